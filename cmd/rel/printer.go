package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// The law of what rel says: results go to stdout, talk to stderr. Events are
// shown as they were recorded, and only then; how far something is (a tick) is
// shown, and recorded nowhere. Nothing below this package prints. Messages begin
// in lower case and end without a period; errors begin with "rel:". Colour
// repeats what a word or a mark says already.

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
		h.printer = &jsonPrinter{out: github.ForJSON(h.std.out), err: h.said}
	case "quiet":
		h.printer = quietPrinter{}
	case "tty":
		tty := show.NewTTY(h.said, h.std.size, h.paint(true), time.Now)
		go tty.Animate()
		h.printer = tty
		h.hush()
	default:
		h.said = newOutlet(github.AsItIs(h.std.err)) // it has commands of its own, and defuses
		h.printer = show.NewPlain(h.said, h.paint(isTTY))
	}
	return nil
}

// narrowest is the fewest columns that a block is drawn in.
const narrowest = 40

// inCI reports whether nobody looks on while it runs.
func inCI() bool { return isSet("CI") || github.On() }

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
	if tty, ok := h.printer.(*show.TTY); ok {
		tty.Expect(nil)
	}
	h.said.flush()
}

// closePrinter leaves the terminal as it should be.
func (h *house) closePrinter() {
	if h.printer != nil {
		h.printer.Close()
	}
	h.unhush()
	h.said.flush()
}

func (h *house) paint(isTTY bool) show.Paint {
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

// jsonPrinter prints the journal's events as `rel log ID --json` does, one a line.
type jsonPrinter struct {
	// mu is for out alone: where nobody reads that, something can still be said.
	mu       sync.Mutex
	out, err io.Writer
}

func (p *jsonPrinter) Event(ev journal.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = writeEvents(p.out, []journal.Event{ev})
}

func (p *jsonPrinter) Line(string, string)      {}
func (p *jsonPrinter) Tick(string, phases.Tick) {}
func (p *jsonPrinter) Close()                   {}

func (p *jsonPrinter) Say(text string) { fmt.Fprintln(p.err, text) }

// quietPrinter shows nothing: failures still end with their four lines.
type quietPrinter struct{}

func (quietPrinter) Event(journal.Event)      {}
func (quietPrinter) Line(string, string)      {}
func (quietPrinter) Tick(string, phases.Tick) {}
func (quietPrinter) Say(string)               {}
func (quietPrinter) Close()                   {}
