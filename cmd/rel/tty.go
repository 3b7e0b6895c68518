package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"

	"choir.chat/rel/journal"
)

// ttyPrinter draws the phase at work as a block that is redrawn in place: a
// line for the phase, a line for each host with the last thing heard of it,
// and below them the last lines of output. What is done scrolls up and stays.
type ttyPrinter struct {
	mu    sync.Mutex
	out   io.Writer
	size  func() (width int, ok bool)
	paint paint

	phase   string
	started time.Time
	hosts   []string
	heard   map[string]heard
	tail    []string
	// drawn is how many lines of the block stand on the screen.
	drawn int
	// paused says that a question stands where the block would be drawn, and
	// waiting what is to be said once it is answered.
	paused  bool
	waiting []string
	closed  bool
	stop    chan struct{}
}

// heard is the last note of a host, and how long it took from the phase's start.
type heard struct {
	text  string
	after time.Duration
}

const (
	// frame is how often the block is redrawn while nothing happens.
	frame = 250 * time.Millisecond
	// liveTail is how many lines of output the block shows.
	liveTail = 5
)

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func newTTY(out io.Writer, size func() (int, bool), paint paint) *ttyPrinter {
	t := &ttyPrinter{out: out, size: size, paint: paint, heard: map[string]heard{}, stop: make(chan struct{})}
	go t.animate()
	return t
}

func (t *ttyPrinter) animate() {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.mu.Lock()
			t.redraw()
			t.mu.Unlock()
		}
	}
}

func (t *ttyPrinter) event(ev journal.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mark, text := describe(&ev)
	switch ev.Kind {
	case journal.Intent:
		t.phase, t.started = text, time.Now()
		t.hosts, t.heard, t.tail = nil, map[string]heard{}, nil
	case journal.Note:
		if ev.Host == "" || t.phase == "" {
			t.permanent("  " + text)
			break
		}
		t.hear(ev.Host, ev.Text)
	default:
		if mark == "" {
			break
		}
		t.erase()
		t.write(t.paint(markColour(ev.Kind), mark) + " " + text)
		if t.phase != "" {
			for _, host := range t.hosts {
				t.write(t.paint(faint, t.hostLine(host)))
			}
		}
		t.phase = ""
	}
	t.redraw()
}

func (t *ttyPrinter) hear(host, text string) {
	if _, known := t.heard[host]; !known {
		t.hosts = append(t.hosts, host)
	}
	t.heard[host] = heard{text: text, after: time.Since(t.started)}
}

func (t *ttyPrinter) line(host, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail = append(t.tail, hostPrefix(host)+text)
	if len(t.tail) > liveTail {
		t.tail = t.tail[1:]
	}
}

func (t *ttyPrinter) say(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.permanent("• " + text)
	t.redraw()
}

func (t *ttyPrinter) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.unpause()
	t.erase()
	t.closed = true
	close(t.stop)
}

// pause leaves the screen to a question, until resume.
func (t *ttyPrinter) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	t.paused = true
}

func (t *ttyPrinter) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unpause()
	t.redraw()
}

// unpause says what was kept back while a question was open.
func (t *ttyPrinter) unpause() {
	t.paused = false
	for _, line := range t.waiting {
		t.write(line)
	}
	t.waiting = nil
}

// permanent prints a line above the block.
func (t *ttyPrinter) permanent(text string) {
	t.erase()
	t.write(text)
}

func (t *ttyPrinter) hostLine(host string) string {
	h := t.heard[host]
	return fmt.Sprintf("    %-16s %6s  %s", host, millis(h.after.Milliseconds()), h.text)
}

// redraw draws the block over the one that stands there, in one write: a
// terminal that shows half of it would flicker.
func (t *ttyPrinter) redraw() {
	if t.closed || t.paused {
		return
	}
	var b strings.Builder
	b.WriteString(t.eraser())
	t.drawn = 0
	if t.phase != "" {
		for _, line := range t.block() {
			b.WriteString(t.fit(line))
			t.drawn++
		}
	}
	_, _ = io.WriteString(t.out, b.String())
}

func (t *ttyPrinter) block() []string {
	elapsed := time.Since(t.started)
	turn := spinner[int(elapsed/frame)%len(spinner)]
	lines := []string{t.paint(bold, turn+" "+t.phase) + "  " + millis(elapsed.Milliseconds())}
	for _, host := range t.hosts {
		lines = append(lines, t.hostLine(host))
	}
	for _, line := range t.tail {
		lines = append(lines, t.paint(faint, "    │ "+line))
	}
	return lines
}

// write prints one line that stays, in full: it may wrap.
func (t *ttyPrinter) write(line string) {
	switch {
	case t.closed:
	case t.paused:
		t.waiting = append(t.waiting, line)
	default:
		_, _ = io.WriteString(t.out, line+"\n")
	}
}

// fit cuts a line of the block to the terminal's width: one that wrapped would
// make the block taller than what eraser goes up by.
func (t *ttyPrinter) fit(line string) string {
	width := 80
	if w, ok := t.size(); ok {
		width = w
	}
	return ansi.Truncate(strings.ReplaceAll(line, "\t", " "), max(width-1, 1), "…") + "\n"
}

func (t *ttyPrinter) erase() {
	_, _ = io.WriteString(t.out, t.eraser())
	t.drawn = 0
}

// eraser goes up to the block's first line and clears from there to the end.
func (t *ttyPrinter) eraser() string {
	if t.drawn == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\x1b[J", t.drawn)
}
