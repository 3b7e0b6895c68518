package machine

import (
	"context"
	"errors"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// Facts whose outcome was not recorded are not taken for recorded: run again,
// the very machine records them with the next outcome.
func TestFactsOfAnUnrecordedOutcomeAreRecordedLater(t *testing.T) {
	w := newWorld(t)
	w.run["sync"] = func(_ context.Context, p *phases.Promotion) error {
		p.Facts.Sync = &phases.Synced{Before: map[string]string{"prod": "1"}} // the same each time
		return nil
	}
	w.journal.refuse = func(_ int, ev journal.Event) bool { return ev.Kind == journal.Moved }
	m := w.open(Forward)
	if err := m.Run(context.Background()); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	w.journal.refuse = nil
	w.finish(m)
	if w.replay().Facts.Sync == nil {
		t.Error("the promotion is healthy, and the journal has no facts of its sync")
	}
}

// An uncut phase is not interrupted, whatever its error looks like.
func TestInterruptOfAnUncutPhaseIsNone(t *testing.T) {
	w := newWorld(t)
	ctx := interruptIn(w, "apply", func(context.Context) error {
		return errors.Join(errors.New("hypervisor does not start"), context.Canceled)
	})
	if stopped := phaseError(t, w.open(Forward).Run(ctx)); stopped.Interrupted {
		t.Errorf("an apply that failed is said to have been stopped: %v", stopped)
	}
}

// Looking at the hosts is a phase's code too; a bug in it must not take down
// the process that holds the failure.
func TestLookThatPanics(t *testing.T) {
	w := newWorld(t)
	w.run["health"] = func(context.Context, *phases.Promotion) error { return errDisk }
	w.hold["apply"] = func(context.Context, *phases.Promotion) (string, error) { panic("no such target") }
	m := w.open(Forward)
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("the look's panic got through: %v", r)
		}
	}()
	if err := m.Run(context.Background()); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
	w.inState(m, "applied")
}

// A phase whose error does not say that its time was up: the deadline is named
// all the same.
func TestFailureByDeadlineThatLooksLikeAnother(t *testing.T) {
	w := newWorld(t)
	phases.Forward[2].Deadline = 1
	w.run["build"] = func(ctx context.Context, _ *phases.Promotion) error {
		<-ctx.Done()
		return errors.New("grind: the connection was lost")
	}
	err := w.open(Forward).Run(context.Background())
	if want := "build: the build phase took longer than 1ns\ngrind: the connection was lost"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// What became healthy after p was last at work overtakes it, whatever the ids:
// they begin with the time by the operators' clocks, and two operators have two.
func TestHistoryOvertakenByAnEarlierId(t *testing.T) {
	h := chronicle("2 bbb copied", "1 aaa healthy")
	if got := idOf(h.Overtaken(found(t, h, "2"))); got != "1" {
		t.Errorf("2 is overtaken by %q; 1 became healthy after 2 was last at work", got)
	}
}
