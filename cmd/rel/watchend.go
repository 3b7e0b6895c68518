package main

import (
	"fmt"
	"slices"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/remote"
)

// stop is the end of who watches no longer.
func (w *watch) stop() error {
	text := "rel: watching no longer"
	if w.id != "" {
		text += "; promotion " + w.id + " goes on"
	}
	fmt.Fprintln(w.house.std.err, text)
	return &exitError{exitInterrupted}
}

// end says what came of the promotion, in the words of the rel that was at work on it,
// and ends as that did.
func (w *watch) end() error {
	h := w.house
	switch {
	case w.id == "":
		fmt.Fprintln(h.std.err, "nothing runs: no rel is at work here")
		return w.cut()
	case len(w.events) == 0:
		fmt.Fprintf(h.std.err, "rel: promotion %s was not begun; its rel is gone\n", w.id)
		return &exitError{exitFailed}
	}
	past, err := machine.Replay(w.events)
	if err != nil {
		return err
	}
	code := exitStatus(past, w.events)
	if code == exitOK {
		h.result(past.ID, &past.Start.Plan, &past.Facts)
		return nil
	}
	last := w.last(past)
	fmt.Fprintf(h.std.err, "%s %s\n", h.failPaint()("rel:"), remote.Clean(last.what))
	for _, line := range last.targets {
		fmt.Fprintf(h.std.err, "targets: %s\n", remote.Clean(line))
	}
	fmt.Fprintf(h.std.err, "next:    %s\n", remote.Clean(last.next))
	if last.log != "" {
		fmt.Fprintf(h.std.err, "log:     %s\n", last.log)
	}
	return &exitError{code}
}

// cut names the promotion whose rel is gone without a word, if one is.
func (w *watch) cut() error {
	h := w.house
	history, err := h.history()
	if err != nil {
		return err
	}
	for _, past := range slices.Backward(history.Resumable()) {
		events, err := h.journal.Events(past.ID)
		if err != nil {
			return err
		}
		if past.Unsettled == nil && lastStop(events) != nil {
			continue
		}
		fmt.Fprintf(h.std.err, "promotion %s is %s: its rel is gone\n", past.ID, remote.Clean(ends(past)))
		fmt.Fprintf(h.std.err, "next:    %s\n", h.advice().placed("rel resume "+past.ID+"{here}"))
		break
	}
	return nil
}

// lastWords are the lines that end a failure.
type lastWords struct {
	what    string
	targets []string
	next    string
	log     string
}

func (w *watch) last(past *machine.Past) lastWords {
	a := w.house.advice()
	l := lastWords{targets: []string{a.placed("rel status{here} says what they run")}, next: a.placed("rel resume " + past.ID + "{here}")}
	stopped := past.Stopped
	switch {
	case past.Ended():
		l.what = fmt.Sprintf("promotion %s was given up, and is %s", past.ID, past.State)
		l.next = a.placed("rel log " + past.ID + "{here}")
	case past.Ending != nil:
		l.what = w.events[len(w.events)-1].Text
		l.targets, l.next = past.Ending.Targets, past.Ending.Next
	case past.Unsettled != nil || lastStop(w.events) == nil:
		l.what = fmt.Sprintf("its rel is gone: promotion %s is %s", past.ID, ends(past))
		stopped = past.Unsettled
	default:
		l.what = fmt.Sprintf("promotion %s is %s", past.ID, ends(past))
		if stopped.Kind == journal.Failed {
			l.what = stopped.Phase + " failed: " + stopped.Text
		}
	}
	if stopped != nil && !past.Ended() {
		l.log = firstThere(w.house.journal.OutputPath(past.ID, stopped.Phase, stopped.Attempt), w.house.journal.Path())
	}
	return l
}
