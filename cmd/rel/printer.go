package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// The law of what rel says: results go to stdout, talk to stderr. Events are
// shown as they were recorded, and only then. Nothing below this package
// prints. Messages begin in lower case and end without a period; errors begin
// with "rel:". Colour repeats what a word or a mark says already.

// printer shows a promotion as it goes. Its methods may be called by several
// goroutines at once.
type printer interface {
	// event shows a recorded event.
	event(journal.Event)
	// line shows a line that a host printed.
	line(host, text string)
	// say tells the operator something that is not recorded.
	say(text string)
	// close leaves the terminal as it should be; nothing is shown after.
	close()
}

// openPrinter chooses the printer that the flags and the terminal call for.
func (h *house) openPrinter() error {
	width, isTTY := 0, false
	if h.std.tty != nil {
		width, isTTY = h.std.tty()
	}
	switch h.globals.Progress {
	case "json":
		h.printer = &jsonPrinter{out: h.std.out, err: h.std.err}
	case "quiet":
		h.printer = quietPrinter{}
	case "tty":
		if !isTTY {
			return &usageError{"--progress=tty wants a terminal on stderr"}
		}
		h.printer = newTTY(h.std.err, h.std.tty, h.paint(true))
	case "plain":
		h.printer = &plainPrinter{out: h.std.err, paint: h.paint(isTTY)}
	default:
		if isTTY && width >= 40 && os.Getenv("CI") == "" {
			h.printer = newTTY(h.std.err, h.std.tty, h.paint(true))
		} else {
			h.printer = &plainPrinter{out: h.std.err, paint: h.paint(false)}
		}
	}
	return nil
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
	on := isTTY && os.Getenv("NO_COLOR") == "" && os.Getenv("CLICOLOR") != "0"
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

// plainPrinter prints a line for everything: for logs and for CI.
type plainPrinter struct {
	mu    sync.Mutex
	out   io.Writer
	paint paint
}

func (p *plainPrinter) event(ev journal.Event) {
	if mark, text := describe(&ev); mark != "" {
		p.print(p.paint(markColour(ev.Kind), mark), text)
	}
}

func (p *plainPrinter) line(host, text string) { p.print(" ", hostPrefix(host)+"| "+text) }
func (p *plainPrinter) say(text string)        { p.print("•", text) }
func (p *plainPrinter) close()                 {}

func (p *plainPrinter) print(mark, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "%s %s %s\n", time.Now().Format(time.TimeOnly), mark, text)
}

// jsonPrinter prints the journal's events as they are, one a line.
type jsonPrinter struct {
	mu       sync.Mutex
	out, err io.Writer
}

func (p *jsonPrinter) event(ev journal.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = json.NewEncoder(p.out).Encode(ev)
}

func (p *jsonPrinter) line(string, string) {}
func (p *jsonPrinter) close()              {}

func (p *jsonPrinter) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.err, text)
}

// quietPrinter shows nothing: failures still end with their four lines.
type quietPrinter struct{}

func (quietPrinter) event(journal.Event) {}
func (quietPrinter) line(string, string) {}
func (quietPrinter) say(string)          {}
func (quietPrinter) close()              {}

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
	}
	return p.State
}
