package machine

import (
	"context"
	"errors"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// A promotion may be given up wherever it stopped. That it has to be taken off
// the targets first can only be so where it may have been on them.
func TestAbort(t *testing.T) {
	for _, c := range []struct {
		state    string
		reverted bool
		want     string
	}{
		{New, false, Aborted},
		{"synced", false, Aborted},
		{"verified", false, Aborted},
		{"built", false, Aborted},
		{"copied", false, Aborted},
		{"applied", false, Aborted}, // overtaken: what came later is left alone
		{New, true, ""},
		{"synced", true, ""},
		{"verified", true, Reverted}, // stepped back from applied
		{"built", true, Reverted},
		{"copied", true, Reverted}, // the apply was cut half-way
		{"applied", true, Reverted},
	} {
		w := stoppedAt(t, c.state)
		m := w.resume()
		before := len(w.journal.events)
		err := m.Abort("no longer wanted", c.reverted)
		if c.want == "" {
			if err == nil || len(w.journal.events) != before {
				t.Errorf("%s was reverted: %v, %v", c.state, err, last(w.lines(), 1))
			}
			w.inState(m, c.state)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.state, err)
		}
		w.inState(m, c.want)
		equal(t, "recorded last", last(w.lines(), 1), []string{"moved " + c.state + ">" + c.want + ": no longer wanted"})
		past := w.replay()
		if !past.Ended() || past.Stopped != nil {
			t.Errorf("%s: ended %v, stopped by %+v", c.state, past.Ended(), past.Stopped)
		}

		// What is given up is over: nothing runs, and it is not given up twice.
		w.runs = nil
		if err := m.Run(context.Background()); err != nil || len(w.runs) != 0 {
			t.Errorf("%s: after the end, %v ran: %v", c.state, w.runs, err)
		}
		before = len(w.journal.events)
		for _, reverted := range []bool{false, true} {
			if err := m.Abort("again", reverted); err == nil || len(w.journal.events) != before {
				t.Errorf("%s was given up twice: %v", c.want, last(w.lines(), 1))
			}
		}
	}
}

// What is live is ended by the next promotion, not by giving it up.
func TestAbortOfWhatIsHealthy(t *testing.T) {
	for _, kind := range []Kind{Forward, Rollback} {
		w := newWorld(t)
		m := w.open(kind)
		w.finish(m)
		before := len(w.journal.events)
		for _, reverted := range []bool{false, true} {
			if err := m.Abort("no longer wanted", reverted); err == nil {
				t.Errorf("a healthy %s was given up", kind)
			}
		}
		if len(w.journal.events) != before {
			t.Errorf("recorded %v", last(w.lines(), 1))
		}
		w.inState(m, Healthy)
	}
}

func TestAbortThatCannotBeRecorded(t *testing.T) {
	w := stoppedAt(t, "copied")
	m := w.resume()
	w.journal.refuse = func(int, journal.Event) bool { return true }
	if err := m.Abort("no longer wanted", false); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	w.inState(m, "copied")
	w.journal.refuse = nil
	if err := m.Abort("no longer wanted", false); err != nil {
		t.Errorf("at the second try: %v", err)
	}
	w.inState(m, Aborted)
}

// A rollback can be given up like any other promotion.
func TestAbortOfARollback(t *testing.T) {
	for reverted, want := range map[bool]string{false: Aborted, true: Reverted} {
		w := newWorld(t)
		w.run["apply"] = func(context.Context, *phases.Promotion) error { return errDisk }
		m := w.open(Rollback)
		phaseError(t, m.Run(context.Background()))
		if err := m.Abort("", reverted); err != nil {
			t.Error(err)
		}
		w.inState(m, want)
	}
}
