package show

import (
	"io"
	"sync"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// TTY draws a promotion as one block that is redrawn in place: a line for each
// phase, and under the one that is at work a line for each host and the last lines of
// output. What else is said scrolls up above it. When it is closed the block stays, with
// all that was noted.
type TTY struct {
	mu     sync.Mutex
	screen screen
	paint  Paint
	now    func() time.Time

	rows    []*row
	current *row
	tail    LastLines
	// paused says that a question stands where the block would be drawn, and
	// waiting what is to be said once it is answered.
	paused  bool
	waiting []string
	closed  bool
	stop    chan struct{}
	// drew is when something was drawn last.
	drew time.Time
}

const (
	// Frame is how often the block is redrawn while nothing happens.
	Frame = 250 * time.Millisecond
	// asleep is how long nothing was drawn at least where the process was stopped, and
	// waking how long it then waits to be told so.
	asleep = 4 * Frame
	waking = 30 * time.Millisecond
)

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// NewTTY draws to a terminal of that size; without ok it draws nothing there that does not
// stay. Somebody has to [TTY.Animate] it.
func NewTTY(out io.Writer, size func() (width, height int, ok bool), paint Paint, now func() time.Time) *TTY {
	return &TTY{screen: screen{out: out, size: size, reflows: reflows()}, paint: paint, now: now, drew: now(), stop: make(chan struct{})}
}

// Animate redraws the block until the printer is closed.
func (t *TTY) Animate() {
	tick := time.NewTicker(Frame)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			t.draw(func() []string { return nil })
		}
	}
}

// draw does something, and shows the lines that stay of it above the block.
func (t *TTY) draw(do func() []string) {
	t.awake()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drew = t.now()
	above := do()
	switch {
	case t.closed:
	case t.paused:
		t.waiting = append(t.waiting, above...)
	default:
		t.screen.show(above, t.live())
	}
}

// awake waits a moment, if the process seems to have been stopped: whoever is told that it
// goes on has the screen forget the block, below which a shell has written since.
func (t *TTY) awake() {
	t.mu.Lock()
	slept := t.now().Sub(t.drew) > asleep
	t.mu.Unlock()
	if slept {
		time.Sleep(waking)
	}
}

// Continued is told that the process was stopped, and goes on.
func (t *TTY) Continued() {
	t.mu.Lock()
	t.screen.forget()
	t.drew = t.now()
	t.mu.Unlock()
	t.draw(func() []string { return nil })
}

func (t *TTY) live() []string {
	width, height, ok := t.screen.size()
	if !ok {
		return nil
	}
	return t.block(width).live(height - 1)
}

func (t *TTY) block(width int) *block {
	return &block{paint: t.paint, rows: t.rows, tail: t.tail.Texts(), now: t.now(), width: width}
}

// Expect begins the block of a promotion that has these steps. That of an earlier one
// stays.
func (t *TTY) Expect(steps []Step) {
	t.draw(func() []string {
		above := t.final()
		for _, s := range steps {
			t.rows = append(t.rows, &row{Step: s})
		}
		return above
	})
}

// final ends the block, and returns what stays of it: all, if anything was begun.
func (t *TTY) final() (lines []string) {
	for _, r := range t.rows {
		r.leave(t.now())
	}
	for _, r := range t.rows {
		if r.begun() {
			width, _, _ := t.screen.size()
			lines = t.block(width).final()
			break
		}
	}
	t.rows, t.current, t.tail = nil, nil, LastLines{}
	return lines
}

func (t *TTY) Event(ev journal.Event) {
	t.draw(func() []string { return t.take(&ev) })
}

// take takes an event, and returns what is shown of it above the block.
func (t *TTY) take(ev *journal.Event) []string {
	mark, text := Describe(ev)
	switch {
	case ev.Kind == journal.Intent:
		t.current, t.tail = t.row(ev.Phase), LastLines{}
		t.current.begin(ev.Attempt, t.since(ev))
		return nil
	case ev.Kind == journal.Note && ev.Host != "" && t.current != nil:
		t.current.hear(ev.Host, ev.Text, t.since(ev))
		return nil
	case ev.Phase != "" && (ev.Kind == journal.Moved || ev.Kind == journal.Failed || ev.Kind == journal.Interrupted):
		t.row(ev.Phase).end(ev)
		t.current, t.tail = nil, LastLines{}
		return nil
	case ev.Kind == journal.Resumed:
		t.reset(ev.State)
	case ev.Kind == journal.Moved && !machine.Ended(ev.State):
		t.undo(ev.State)
	}
	if mark == "" {
		return nil
	}
	return []string{t.paint(MarkColour(ev.Kind), mark) + " " + text}
}

// since is when an event was: who watches from another terminal may be told of it late.
func (t *TTY) since(ev *journal.Event) time.Time {
	if now := t.now(); ev.At.IsZero() || ev.At.After(now) {
		return now
	}
	return ev.At
}

// row is the phase's; it is put last, if nobody has told of it.
func (t *TTY) row(phase string) *row {
	for _, r := range t.rows {
		if r.Phase == phase {
			return r
		}
	}
	t.rows = append(t.rows, &row{Step: Step{Phase: phase}})
	return t.rows[len(t.rows)-1]
}

// undo marks what was done after that state. What was heard of it stays, as does what
// failed: they say why it was undone.
func (t *TTY) undo(state string) {
	for _, r := range t.after(state) {
		r.undo()
	}
}

// reset has all be to come that comes after that state: an earlier run is gone on from
// there, which may have come further.
func (t *TTY) reset(state string) {
	for _, r := range t.after(state) {
		r.reset()
	}
}

// after are the rows that come after the one that leads to that state.
func (t *TTY) after(state string) []*row {
	last := -1
	for i, r := range t.rows {
		if r.State == state {
			last = i
		}
	}
	return t.rows[last+1:]
}

func (t *TTY) Line(host, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail.Add(host, text, liveTail)
}

func (t *TTY) Tick(host string, tick phases.Tick) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil {
		t.current.tick(host, tick, t.now())
	}
}

func (t *TTY) Say(text string) {
	t.draw(func() []string { return []string{"• " + Flat(text)} })
}

func (t *TTY) Close() {
	t.unpause(func() []string {
		lines := t.final()
		if !t.closed {
			close(t.stop)
		}
		return lines
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// Pause leaves the screen to a question, until resume.
func (t *TTY) Pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.screen.show(nil, nil)
	t.paused = true
}

func (t *TTY) Resume() { t.unpause(func() []string { return nil }) }

// unpause says what was kept back while a question was open, and then what do returns.
func (t *TTY) unpause(do func() []string) {
	t.draw(func() []string {
		lines := append(t.waiting, do()...)
		t.paused, t.waiting = false, nil
		return lines
	})
}
