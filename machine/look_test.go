package machine

import (
	"context"
	"errors"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

func lost(why string) func(context.Context, *phases.Promotion) (string, error) {
	return func(context.Context, *phases.Promotion) (string, error) { return why, nil }
}

// stoppedAt is a promotion that is in the state, because the phase after it
// failed.
func stoppedAt(t *testing.T, state string) *world {
	t.Helper()
	w := newWorld(t)
	table := phases.Forward
	failing := table[0].Name
	for i := range table[:len(table)-1] {
		if table[i].State == state {
			failing = table[i+1].Name
		}
	}
	w.run[failing] = failOnce(errors.New("no route to host"))
	phaseError(t, w.open(Forward).Run(context.Background()))
	if got := w.replay().State; got != state {
		t.Fatalf("the promotion is %s, want %s", got, state)
	}
	w.runs, w.holds = nil, nil
	return w
}

// Where what is recorded still is so, looking records nothing.
func TestLookAtWhatHolds(t *testing.T) {
	for state, looked := range map[string][]string{
		New: nil, "synced": nil, "verified": nil, "built": {"build"}, "copied": {"copy"}, "applied": {"apply"},
	} {
		w := stoppedAt(t, state)
		m := w.resume()
		before := len(w.journal.events)
		if err := m.Look(context.Background()); err != nil {
			t.Error(err)
		}
		if len(w.journal.events) != before {
			t.Errorf("%s: recorded %v", state, w.lines()[before:])
		}
		w.inState(m, state)
		equal(t, state+": looked at", w.holds, looked)
	}
}

// A target that went back by itself, and whose closure was collected since: the
// promotion steps back through both, says why, and goes on from there.
func TestLookStepsBackThroughWhatIsLost(t *testing.T) {
	w := stoppedAt(t, "applied")
	w.hold["apply"] = lost("prod went back: not confirmed in time")
	w.hold["copy"] = lost("prod: 3 paths are gone")
	m := w.resume()
	before := len(w.lines())
	if err := m.Look(context.Background()); err != nil {
		t.Fatal(err)
	}
	equal(t, "looked at", w.holds, []string{"apply", "copy", "build"})
	equal(t, "recorded", w.lines()[before:], []string{
		"moved applied>copied: prod went back: not confirmed in time",
		"moved copied>built: prod: 3 paths are gone",
	})
	w.inState(m, "built")
	// That the health phase had failed is still to be told.
	if past := w.replay(); past.Stopped == nil || past.Stopped.Phase != "health" {
		t.Errorf("stopped by %+v", past.Stopped)
	}

	// The second resume finds the promotion where the first left it.
	clear(w.hold)
	w.holds = nil
	m = w.resume()
	if err := m.Look(context.Background()); err != nil {
		t.Fatal(err)
	}
	equal(t, "looked at again", w.holds, []string{"build"})
	w.finish(m)
	w.ran("copy#2", "apply#2", "health#2")
}

// All is lost that can be: verified is the last state that nothing takes away.
func TestLookStepsBackNoFurtherThanItCan(t *testing.T) {
	w := stoppedAt(t, "applied")
	for _, name := range []string{"build", "copy", "apply"} {
		w.hold[name] = lost("gone")
	}
	m := w.resume()
	if err := m.Look(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.inState(m, "verified")
	equal(t, "recorded last", last(w.lines(), 3), []string{"moved applied>copied: gone", "moved copied>built: gone", "moved built>verified: gone"})
	clear(w.hold)
	w.finish(m)
	w.ran("build#2", "copy#2", "apply#2", "health#2")
}

// A host that cannot be asked proves nothing: what is recorded stands.
func TestLookThatIsUncertainMovesNothing(t *testing.T) {
	unreachable := errors.New("prod: connection refused")
	w := stoppedAt(t, "copied")
	w.hold["copy"] = func(context.Context, *phases.Promotion) (string, error) { return "", unreachable }
	m := w.resume()
	before := len(w.journal.events)
	if err := m.Look(context.Background()); !errors.Is(err, unreachable) {
		t.Errorf("got %v", err)
	}
	if len(w.journal.events) != before {
		t.Errorf("recorded %v", last(w.lines(), 1))
	}
	w.inState(m, "copied")

	// An answer that comes with an error is none.
	w.hold["copy"] = func(context.Context, *phases.Promotion) (string, error) { return "gone", unreachable }
	if err := m.Look(context.Background()); !errors.Is(err, unreachable) {
		t.Errorf("got %v", err)
	}
	w.inState(m, "copied")

	// What was certain before it stays: one step, and no second.
	w = stoppedAt(t, "applied")
	w.hold["apply"] = lost("prod went back")
	w.hold["copy"] = func(context.Context, *phases.Promotion) (string, error) { return "", unreachable }
	m = w.resume()
	if err := m.Look(context.Background()); !errors.Is(err, unreachable) {
		t.Errorf("got %v", err)
	}
	w.inState(m, "copied")
}

// A step back is a transition like any other: not recorded, not made.
func TestLookThatCannotBeRecorded(t *testing.T) {
	w := stoppedAt(t, "applied")
	w.hold["apply"] = lost("prod went back")
	m := w.resume()
	w.journal.refuse = func(int, journal.Event) bool { return true }
	if err := m.Look(context.Background()); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	w.inState(m, "applied")
}

// A release that did not pass its checks goes back at once; the promotion then
// says so at once, even when the operator has interrupted it meanwhile.
func TestLookAfterTheLastPhaseFailed(t *testing.T) {
	for _, interrupted := range []bool{false, true} {
		w := newWorld(t)
		ctx := context.Background()
		failure := errors.New("hypervisor answers 502")
		w.hold["apply"] = func(ctx context.Context, _ *phases.Promotion) (string, error) {
			return "prod went back: unhealthy", ctx.Err()
		}
		if interrupted {
			ctx = interruptIn(w, "health", func(context.Context) error { return failure })
		} else {
			w.run["health"] = func(context.Context, *phases.Promotion) error { return failure }
		}
		m := w.open(Forward)
		if err := m.Run(ctx); !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
		equal(t, "recorded last", last(w.lines(), 3), []string{
			"intent health#1", "failed health#1: hypervisor answers 502", "moved applied>copied: prod went back: unhealthy",
		})
		w.inState(m, "copied")
	}

	// That this look cannot be had does not hide the failure.
	w := newWorld(t)
	failure := errors.New("hypervisor answers 502")
	w.run["health"] = func(context.Context, *phases.Promotion) error { return failure }
	w.hold["apply"] = func(context.Context, *phases.Promotion) (string, error) {
		return "", errors.New("prod: connection refused")
	}
	m := w.open(Forward)
	if err := m.Run(context.Background()); !errors.Is(err, failure) || phaseError(t, err).Phase != "health" {
		t.Errorf("got %v", err)
	}
	w.inState(m, "applied")
}

// What can be lost is looked at with the facts and by the table of its kind.
func TestLookInARollback(t *testing.T) {
	w := newWorld(t)
	w.run["health"] = failOnce(errors.New("no route to host"))
	phaseError(t, w.open(Rollback).Run(context.Background()))
	w.hold["apply"] = func(_ context.Context, p *phases.Promotion) (string, error) {
		if p.ID != "p1" || p.Facts.Apply == nil || p.Release().ID != "older" {
			t.Errorf("looked at %s with the facts %+v", p.ID, p.Facts)
		}
		return "prod went back", nil
	}
	w.hold["copy"] = lost("collected")
	m := w.resume()
	if err := m.Look(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.inState(m, "verified")
}
