package main

import (
	"fmt"
	"slices"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// row is a phase as the terminal's block has it.
type row struct {
	step
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
	*r = row{step: r.step}
	r.done = false
}

// undo takes it for done no longer, if it was.
func (r *row) undo() { r.undone, r.done = r.undone || r.done, false }

func (r *row) end(ev *journal.Event) {
	r.atWork, r.ended, r.done = false, ev.Kind, ev.Kind == journal.Moved
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
		return "✖", yellow
	case r.atWork:
		return spinner[int(now.Sub(r.started)/frame)%len(spinner)], bold
	case r.undone:
		return "↩", yellow
	case r.ended == journal.Failed, r.ended == journal.Interrupted:
		return "✖", red
	case r.done:
		return "✔", green
	}
	return "·", faint
}

// title is the phase and its attempt.
func (r *row) title() string {
	if r.attempt > 1 {
		return fmt.Sprintf("%s (attempt %d)", r.phase, r.attempt)
	}
	return r.phase
}

// timing is how long it took or takes, and how it ended.
func (r *row) timing(now time.Time) string {
	switch {
	case r.left:
		return millis(r.took.Milliseconds()) + "  left"
	case r.atWork:
		elapsed := now.Sub(r.started)
		return joined("  ", millis(elapsed.Milliseconds()), r.expected(elapsed))
	case r.ended == journal.Failed:
		return millis(r.took.Milliseconds()) + "  failed"
	case r.ended == journal.Interrupted:
		return millis(r.took.Milliseconds()) + "  stopped"
	case r.undone && r.ended == "":
		return "undone"
	case r.undone:
		return millis(r.took.Milliseconds()) + "  undone"
	case r.ended == journal.Moved:
		return millis(r.took.Milliseconds())
	case r.done:
		return "done before"
	}
	return r.expected(0)
}

// expected is how long it takes as a rule.
func (r *row) expected(elapsed time.Duration) string {
	switch {
	case r.usual <= 0:
		return ""
	case elapsed > r.usual+r.usual/2+5*time.Second:
		return "longer than usual: " + roundly(r.usual)
	}
	return "usually " + roundly(r.usual)
}
