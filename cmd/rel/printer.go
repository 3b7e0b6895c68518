package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// The law of what rel says: results go to stdout, talk to stderr. Events are
// shown as they were recorded, and only then; how far something is (a tick) is
// shown, and recorded nowhere. Nothing below this package prints. Messages begin
// in lower case and end without a period; errors begin with "rel:". Colour
// repeats what a word or a mark says already.

// printer shows a promotion as it goes. Its methods may be called by several
// goroutines at once.
type printer interface {
	// event shows a recorded event.
	event(journal.Event)
	// line shows a line that a host printed.
	line(host, text string)
	// tick shows how far something is on a host.
	tick(host string, tick phases.Tick)
	// say tells the operator something that is not recorded.
	say(text string)
	// close leaves the terminal as it should be; nothing is shown after.
	close()
}

// openPrinter chooses the printer that the flags and the terminal call for, unless there
// is one.
func (h *house) openPrinter() error {
	width, isTTY := 0, false
	if h.std.tty != nil {
		width, isTTY = h.std.tty()
	}
	progress := h.globals.Progress
	if progress == "auto" || progress == "" {
		progress = "plain"
		if isTTY && width >= narrowest && !inCI() {
			progress = "tty"
		}
	}
	if progress == "tty" && !isTTY {
		return &usageError{"--progress=tty wants a terminal on stderr"}
	}
	if h.printer != nil {
		return nil
	}
	outliveReaders()
	h.said = newOutlet(h.std.err)
	switch progress {
	case "json":
		h.printer = &jsonPrinter{out: forJSON(h.std.out), err: h.said}
	case "quiet":
		h.printer = quietPrinter{}
	case "tty":
		tty := newTTY(h.said, h.std.size, h.paint(true), time.Now)
		go tty.animate()
		h.printer = tty
		h.hush()
	default:
		h.said = newOutlet(asItIs(h.std.err)) // it has commands of its own, and defuses
		h.printer = newPlain(h.said, h.paint(isTTY))
	}
	return nil
}

// narrowest is the fewest columns that a block is drawn in.
const narrowest = 40

// inCI reports whether nobody looks on while it runs.
func inCI() bool { return isSet("CI") || onGitHub() }

// isSet reports whether the environment has a variable that says yes.
func isSet(name string) bool {
	switch os.Getenv(name) {
	case "", "0", "false":
		return false
	}
	return true
}

// settle has all be shown that was said, and what stands on the terminal stay: something
// else is written there next.
func (h *house) settle() {
	if tty, ok := h.printer.(*ttyPrinter); ok {
		tty.expect(nil)
	}
	h.said.flush()
}

// closePrinter leaves the terminal as it should be.
func (h *house) closePrinter() {
	if h.printer != nil {
		h.printer.close()
	}
	h.unhush()
	h.said.flush()
}

// paint colours text, or leaves it, as the flags and the environment ask.
type paint func(colour, text string) string

// The colours, as SGR parameters.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	faint  = "2"
	bold   = "1"
)

func (h *house) paint(isTTY bool) paint {
	on := (isTTY && os.Getenv("CLICOLOR") != "0" || isSet("CLICOLOR_FORCE")) && os.Getenv("NO_COLOR") == ""
	switch h.globals.Color {
	case "always":
		on = true
	case "never":
		on = false
	}
	if !on {
		return func(_, text string) string { return text }
	}
	return func(colour, text string) string { return "\x1b[" + colour + "m" + text + "\x1b[0m" }
}

// describe is an event in one line, and the mark that goes before it; both
// empty for an event that is not shown in the live view.
func describe(ev *journal.Event) (mark, text string) {
	switch ev.Kind {
	case journal.Opened:
		return "•", fmt.Sprintf("promotion %s: %s", ev.Promotion, ev.Text)
	case journal.Resumed:
		return "•", fmt.Sprintf("promotion %s: going on from %q", ev.Promotion, ev.State)
	case journal.Intent:
		text = ev.Phase
		if ev.Attempt > 1 {
			text += fmt.Sprintf(" (attempt %d)", ev.Attempt)
		}
		return "▸", text
	case journal.Note:
		return " ", hostPrefix(ev.Host) + ev.Text
	case journal.Moved:
		if ev.Phase == "" && machine.Ended(ev.State) {
			return "■", strings.TrimSuffix(fmt.Sprintf("%s by hand: %s", ev.State, ev.Text), ": ")
		}
		if ev.Phase == "" {
			return "↩", fmt.Sprintf("%s, not %s: %s", ev.State, ev.From, ev.Text)
		}
		return "✔", fmt.Sprintf("%s in %s", ev.State, millis(ev.Millis))
	case journal.Failed:
		return "✖", fmt.Sprintf("%s failed after %s", ev.Phase, millis(ev.Millis))
	case journal.Interrupted:
		return "✖", fmt.Sprintf("%s stopped after %s", ev.Phase, millis(ev.Millis))
	}
	return "", ""
}

func hostPrefix(host string) string {
	if host == "" {
		return ""
	}
	return host + ": "
}

func millis(n int64) string {
	d := time.Duration(n) * time.Millisecond
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

func markColour(kind journal.Kind) string {
	switch kind {
	case journal.Moved:
		return green
	case journal.Failed, journal.Interrupted:
		return red
	case journal.Opened, journal.Resumed, journal.Intent:
		return bold
	}
	return faint
}

// jsonPrinter prints the journal's events as `rel log ID --json` does, one a line.
type jsonPrinter struct {
	// mu is for out alone: where nobody reads that, something can still be said.
	mu       sync.Mutex
	out, err io.Writer
}

func (p *jsonPrinter) event(ev journal.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = writeEvents(p.out, []journal.Event{ev})
}

func (p *jsonPrinter) line(string, string)      {}
func (p *jsonPrinter) tick(string, phases.Tick) {}
func (p *jsonPrinter) close()                   {}

func (p *jsonPrinter) say(text string) { fmt.Fprintln(p.err, text) }

// quietPrinter shows nothing: failures still end with their four lines.
type quietPrinter struct{}

func (quietPrinter) event(journal.Event)      {}
func (quietPrinter) line(string, string)      {}
func (quietPrinter) tick(string, phases.Tick) {}
func (quietPrinter) say(string)               {}
func (quietPrinter) close()                   {}

// ends is what a reader of the log is told a promotion came to.
func ends(p *machine.Past) string {
	switch {
	case p.Ended():
		return p.State
	case p.Unsettled != nil:
		return fmt.Sprintf("%s, cut in %s", p.State, p.Unsettled.Phase)
	case p.Stopped != nil && p.Stopped.Kind == journal.Interrupted:
		return fmt.Sprintf("%s, stopped in %s", p.State, p.Stopped.Phase)
	case p.Stopped != nil:
		return fmt.Sprintf("%s, failed in %s", p.State, p.Stopped.Phase)
	case p.Ending != nil:
		return p.State + ", stopped" // between two phases
	}
	return p.State + ", cut off"
}
