package show

import (
	"fmt"
	"slices"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// row is a phase as the terminal's block has it.
type row struct {
	Step
	// ended is how the last attempt at it did; empty before, and while it is at work.
	ended  journal.Kind
	atWork bool
	// undone says that it was done, and no longer is; left that rel went away in its midst.
	undone  bool
	left    bool
	attempt int
	started time.Time
	took    time.Duration
	hosts   []*hostRow
}

// hostRow is what was heard of a host in a phase.
type hostRow struct {
	name string
	// note is the last one, after so long.
	note  string
	after time.Duration
	// doing is what takes a while there now.
	doing []*progress
}

// begun reports whether there was an attempt at it in this run.
func (r *row) begun() bool { return r.atWork || r.left || r.ended != "" }

func (r *row) begin(attempt int, now time.Time) {
	r.reset()
	r.atWork, r.attempt, r.started = true, attempt, now
}

// reset has it be to come.
func (r *row) reset() {
	*r = row{Step: r.Step}
	r.Done = false
}

// undo takes it for done no longer, if it was.
func (r *row) undo() { r.undone, r.Done = r.undone || r.Done, false }

func (r *row) end(ev *journal.Event) {
	r.atWork, r.ended, r.Done = false, ev.Kind, ev.Kind == journal.Moved
	r.took = time.Duration(ev.Millis) * time.Millisecond
	for _, h := range r.hosts {
		h.doing = nil
	}
	r.hosts = slices.DeleteFunc(r.hosts, func(h *hostRow) bool { return h.note == "" })
}

// leave has it stay as it is: nobody looks on any more.
func (r *row) leave(now time.Time) {
	if r.atWork {
		r.atWork, r.left, r.took = false, true, now.Sub(r.started)
	}
}

// host is the host's line, or a new one.
func (r *row) host(name string) *hostRow {
	for _, h := range r.hosts {
		if h.name == name {
			return h
		}
	}
	h := &hostRow{name: name}
	r.hosts = append(r.hosts, h)
	return h
}

// hear takes a note. What the host was doing has come to that.
func (r *row) hear(name, text string, now time.Time) {
	h := r.host(name)
	h.note, h.after, h.doing = text, now.Sub(r.started), nil
}

func (r *row) tick(name string, tick phases.Tick, now time.Time) {
	h := r.host(name)
	i := slices.IndexFunc(h.doing, func(p *progress) bool { return p.What == tick.What })
	if i < 0 {
		i, h.doing = len(h.doing), append(h.doing, new(progress))
	}
	h.doing[i].take(tick, now)
}

// texts are what there is to say of the host: of all that it does, or its last note.
func (h *hostRow) texts(now time.Time, width int) []string {
	if len(h.doing) == 0 {
		return []string{h.note}
	}
	var list []string
	for _, p := range h.doing {
		list = append(list, p.text(now, width))
	}
	return list
}

// mark is the sign before the row, and its colour.
func (r *row) mark(now time.Time) (mark, colour string) {
	switch {
	case r.left:
		return "✖", Yellow
	case r.atWork:
		return spinner[int(now.Sub(r.started)/Frame)%len(spinner)], Bold
	case r.undone:
		return "↩", Yellow
	case r.ended == journal.Failed, r.ended == journal.Interrupted:
		return "✖", Red
	case r.Done:
		return "✔", Green
	}
	return "·", Faint
}

// title is the phase and its attempt.
func (r *row) title() string {
	if r.attempt > 1 {
		return fmt.Sprintf("%s (attempt %d)", r.Phase, r.attempt)
	}
	return r.Phase
}

// timing is how long it took or takes, and how it ended.
func (r *row) timing(now time.Time) string {
	switch {
	case r.left:
		return Millis(r.took.Milliseconds()) + "  left"
	case r.atWork:
		elapsed := now.Sub(r.started)
		return joined("  ", Millis(elapsed.Milliseconds()), r.expected(elapsed))
	case r.ended == journal.Failed:
		return Millis(r.took.Milliseconds()) + "  failed"
	case r.ended == journal.Interrupted:
		return Millis(r.took.Milliseconds()) + "  stopped"
	case r.undone && r.ended == "":
		return "undone"
	case r.undone:
		return Millis(r.took.Milliseconds()) + "  undone"
	case r.ended == journal.Moved:
		return Millis(r.took.Milliseconds())
	case r.Done:
		return "done before"
	}
	return r.expected(0)
}

// expected is how long it takes as a rule.
func (r *row) expected(elapsed time.Duration) string {
	switch {
	case r.Usual <= 0:
		return ""
	case elapsed > r.Usual+r.Usual/2+5*time.Second:
		return "longer than usual: " + roundly(r.Usual)
	}
	return "usually " + roundly(r.Usual)
}
