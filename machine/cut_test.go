package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// The journal fails at its nth append, for every n until the promotion gets
// through: the machine is never ahead of what is recorded, and going on from
// what is recorded comes to the same end without repeating what is done.
func TestCutAtEveryAppend(t *testing.T) {
	for _, kind := range []Kind{Forward, Rollback} {
		for mode, refuse := range map[string]func(n int) func(int, journal.Event) bool{
			"once":            func(n int) func(int, journal.Event) bool { return func(i int, _ journal.Event) bool { return i == n } },
			"from then on":    func(n int) func(int, journal.Event) bool { return func(i int, _ journal.Event) bool { return i >= n } },
			"but for outcome": outcomesPass,
		} {
			t.Run(string(kind)+" "+mode, func(t *testing.T) {
				whole := newWorld(t)
				whole.finish(whole.open(kind))
				through := false
				for n := 1; !through; n++ {
					through = cutAt(t, kind, n, refuse(n), whole)
					if n > 100 {
						t.Fatal("the promotion never gets through")
					}
				}
			})
		}
	}
}

// outcomesPass fails from the nth append on, but lets outcomes through: what
// comes after a failed append must still not be recorded out of order.
func outcomesPass(n int) func(int, journal.Event) bool {
	return func(i int, ev journal.Event) bool {
		return i >= n && ev.Kind != journal.Moved && ev.Kind != journal.Failed
	}
}

func cutAt(t *testing.T, kind Kind, n int, refuse func(int, journal.Event) bool, whole *world) (through bool) {
	t.Helper()
	w := newWorld(t)
	w.journal.refuse = refuse
	m, err := Open(w.journal, &phases.Promotion{ID: "p1"}, startOf(kind), w.show)
	if err != nil {
		if !errors.Is(err, errDisk) || len(w.journal.events) != 0 {
			t.Errorf("append %d: %v, %d events recorded", n, err, len(w.journal.events))
		}
		return false
	}
	err = m.Run(context.Background())
	equal(t, fmt.Sprintf("append %d: shown", n), w.shown, w.journal.events)
	past := w.replay()
	if m.State() != past.State {
		t.Errorf("append %d: the machine is %s, recorded is %s", n, m.State(), past.State)
	}
	if err == nil {
		w.inState(m, Healthy)
		// Of what failed, nothing but notes may have been lost.
		equal(t, fmt.Sprintf("append %d: recorded", n), w.lines(), whole.lines())
		return w.journal.appends < n
	}
	if !errors.Is(err, errDisk) {
		t.Errorf("append %d: %v does not say why", n, err)
	}

	// The disk has room again, and the operator goes on.
	w.journal.refuse = nil
	done := map[string]bool{}
	for _, ev := range w.journal.events {
		if ev.Kind == journal.Moved {
			done[ev.Phase] = true
		}
	}
	w.runs = nil
	m = w.resume()
	if err := m.Look(context.Background()); err != nil {
		t.Fatalf("append %d: %v", n, err)
	}
	w.finish(m)
	intents := map[string]bool{}
	for _, ev := range w.journal.events {
		if ev.Kind == journal.Intent {
			run := fmt.Sprintf("%s#%d", ev.Phase, ev.Attempt)
			if intents[run] {
				t.Errorf("append %d: attempt %s is there twice", n, run)
			}
			intents[run] = true
		}
	}
	for _, run := range w.runs {
		if !intents[run] {
			t.Errorf("append %d: %s ran without an intent", n, run)
		}
	}
	for phase := range done {
		if slices.ContainsFunc(w.runs, func(run string) bool { return run[:len(run)-2] == phase }) {
			t.Errorf("append %d: %s was recorded as done and ran again: %v", n, phase, w.runs)
		}
	}
	got, want := w.replay().Facts, whole.replay().Facts
	for _, facts := range []*phases.Facts{&got, &want} {
		if facts.Build != nil {
			facts.Build.CreatedAt = time.Time{}
		}
		// Which attempt it was is the one thing that differs.
		facts.Apply = &phases.Applied{Targets: map[string]phases.Outcome{"prod": {Result: facts.Apply.Targets["prod"].Result}}}
	}
	equal(t, fmt.Sprintf("append %d: facts at the end", n), got, want)
	return false
}

// A journal that fails while a phase is failing must not hide the failure.
func TestCutWhileFailing(t *testing.T) {
	w := newWorld(t)
	failure := errors.New("no route to host")
	w.run["copy"] = func(context.Context, *phases.Promotion) error {
		w.journal.refuse = func(int, journal.Event) bool { return true }
		return failure
	}
	m := w.open(Forward)
	err := m.Run(context.Background())
	if !errors.Is(err, failure) || !errors.Is(err, errDisk) || phaseError(t, err).Phase != "copy" {
		t.Errorf("got %v, want both errors", err)
	}
	w.inState(m, "built")
	// The intent without an outcome says that nobody knows what was done.
	if past := w.replay(); past.Unsettled == nil || past.Unsettled.Phase != "copy" || past.Stopped != nil {
		t.Errorf("unsettled %+v, stopped %+v", past.Unsettled, past.Stopped)
	}
}

// A phase whose intent is not recorded does not begin.
func TestCutBeforeTheIntent(t *testing.T) {
	w := newWorld(t)
	w.journal.refuse = func(_ int, ev journal.Event) bool { return ev.Kind == journal.Intent && ev.Phase == "apply" }
	m := w.open(Forward)
	if err := m.Run(context.Background()); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	w.ran("sync#1", "verify#1", "build#1", "copy#1")
	w.inState(m, "copied")
}

// A resume that cannot be recorded does not begin either.
func TestCutAtTheResume(t *testing.T) {
	w := newWorld(t)
	w.run["build"] = failOnce(errors.New("no route to host"))
	phaseError(t, w.open(Forward).Run(context.Background()))
	before := len(w.journal.events)
	w.journal.refuse = func(int, journal.Event) bool { return true }
	if _, err := Resume(w.journal, &phases.Promotion{}, w.replay(), w.show); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	if len(w.journal.events) != before {
		t.Error("something was recorded")
	}
}
