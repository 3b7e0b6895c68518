package machine

import (
	"context"
	"errors"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// toAndFro takes a rollback forward and back, over resumes, until it is refused.
func toAndFro(t *testing.T) (*world, *Machine, error) {
	t.Helper()
	w := newWorld(t)
	w.run["health"] = func(context.Context, *phases.Promotion) error { return errDisk }
	w.hold["apply"] = lost("prod went back")
	w.hold["copy"] = lost("collected")
	m := w.open(Rollback)
	for range 3 * maxMoves {
		err := errors.Join(m.Run(context.Background()), m.Look(context.Background()))
		var limit *LimitError
		if errors.As(err, &limit) {
			return w, m, err
		}
		m = w.resume()
	}
	t.Fatal("a promotion goes to and fro for ever")
	return nil, nil, nil
}

func countMoves(events []journal.Event) (n int) {
	for _, ev := range events {
		if ev.Kind == journal.Moved {
			n++
		}
	}
	return n
}

// What goes to and fro ends: no attempt is begun and no step made any more, not
// in a later resume either, but it can be given up.
func TestLimit(t *testing.T) {
	for _, reverted := range []bool{false, true} {
		w, m, err := toAndFro(t)
		var limit *LimitError
		if !errors.As(err, &limit) || *limit != (LimitError{Promotion: "p1", Moves: maxMoves}) {
			t.Fatalf("got %#v", err)
		}
		if n := countMoves(w.journal.events); n != 64 {
			t.Errorf("moved %d times", n)
		}

		state := m.State()
		m = w.resume()
		before := len(w.journal.events)
		w.runs = nil
		if err := m.Run(context.Background()); !errors.As(err, &limit) {
			t.Errorf("a resume got %v", err)
		}
		if len(w.runs) != 0 || len(w.journal.events) != before {
			t.Errorf("beyond the limit, %v ran, recorded %v", w.runs, last(w.lines(), 1))
		}
		w.inState(m, state)

		want := Aborted
		if reverted {
			want = Reverted
		}
		if err := m.Abort("enough", reverted); err != nil {
			t.Errorf("it cannot be given up: %v", err)
		}
		w.inState(m, want)
	}
}

// A step back is refused too, and only that: what still holds is no error.
func TestLimitOfALook(t *testing.T) {
	for _, c := range []struct {
		lost    string
		refused bool
	}{{"prod went back", true}, {"", false}} {
		w := stoppedAt(t, "applied")
		past := w.replay()
		past.moves = maxMoves
		m, err := Resume(w.journal, &phases.Promotion{}, past, w.show)
		if err != nil {
			t.Fatal(err)
		}
		w.hold["apply"] = lost(c.lost)
		var limit *LimitError
		if err := m.Look(context.Background()); errors.As(err, &limit) != c.refused || err != nil && !c.refused {
			t.Errorf("lost %q: got %v", c.lost, err)
		}
		w.inState(m, "applied")
	}
}

// The last move that is allowed may be the one that ends it well; the way there
// counts whether or not it was one process that went it.
func TestLimitIsNotTheLastMove(t *testing.T) {
	for begun, healthy := range map[int]bool{maxMoves - 6: true, maxMoves - 5: false} {
		w := newWorld(t)
		past, err := Replay(tale(Forward, 1))
		if err != nil {
			t.Fatal(err)
		}
		past.moves = begun
		m, err := Resume(w.journal, &phases.Promotion{}, past, w.show)
		if err != nil {
			t.Fatal(err)
		}
		var limit *LimitError
		err = m.Run(context.Background())
		if healthy && (err != nil || m.State() != Healthy) || !healthy && (!errors.As(err, &limit) || m.State() != "copied") {
			t.Errorf("from %d moves on: %v, %s", begun, err, m.State())
		}
	}
}

// An attempt whose intent could not be recorded was none: the very machine goes
// on with the same number, as a resume would.
func TestAttemptsOfUnrecordedIntentsAreNotCounted(t *testing.T) {
	w := newWorld(t)
	m := w.open(Forward)
	w.journal.refuse = func(int, journal.Event) bool { return true }
	for range 3 {
		if err := m.Run(context.Background()); !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
	}
	w.journal.refuse = nil
	w.finish(m)
	w.ran("sync#1", "verify#1", "build#1", "copy#1", "apply#1", "health#1")
}
