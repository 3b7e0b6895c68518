package machine

import (
	"context"
	"errors"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

var errCtrlC = errors.New("interrupted by the operator")

// interruptIn ends the promotion's context within the phase; then is what the
// phase does about it.
func interruptIn(w *world, name string, then func(context.Context) error) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	w.t.Cleanup(func() { cancel(nil) })
	w.run[name] = func(ctx context.Context, _ *phases.Promotion) error {
		cancel(errCtrlC)
		delete(w.run, name)
		return then(ctx)
	}
	return ctx
}

// Interrupted between two phases, the promotion stops before the next one
// begins: there is no attempt at it.
func TestInterruptBeforeAPhase(t *testing.T) {
	w := newWorld(t)
	ctx := interruptIn(w, "verify", func(context.Context) error { return nil })
	m := w.open(Forward)
	err := m.Run(ctx)
	if stopped := phaseError(t, err); stopped.Phase != "build" || !stopped.Interrupted || !errors.Is(err, errCtrlC) {
		t.Errorf("got %+v", stopped)
	}
	w.inState(m, "verified")
	equal(t, "recorded last", last(w.lines(), 1), []string{"moved verify#1 synced>verified"})
	w.finish(w.resume())
	w.ran("sync#1", "verify#1", "build#1", "copy#1", "apply#1", "health#1")
}

// Interrupted before it began, the promotion is opened and nothing else.
func TestInterruptBeforeTheFirstPhase(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCtrlC)
	m := w.open(Forward)
	if stopped := phaseError(t, m.Run(ctx)); stopped.Phase != "sync" || !stopped.Interrupted {
		t.Errorf("got %+v", stopped)
	}
	w.recorded("opened new: fix the demo")
	if len(w.runs) != 0 {
		t.Errorf("ran %v", w.runs)
	}
}

// A phase that may be cut is cut, and the attempt is recorded as interrupted,
// however the phase puts it. A later resume makes another attempt.
func TestInterruptInAPhase(t *testing.T) {
	for how, then := range map[string]func(context.Context) error{
		"by the cause": func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
		"by the error": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"wrapped": func(ctx context.Context) error {
			<-ctx.Done()
			return errors.Join(errors.New("grind: build.sh"), context.Cause(ctx))
		},
	} {
		for _, name := range []string{"sync", "verify", "build", "copy", "health"} {
			t.Run(name+" "+how, func(t *testing.T) {
				w := newWorld(t)
				ctx := interruptIn(w, name, then)
				m := w.open(Forward)
				err := m.Run(ctx)
				stopped := phaseError(t, err)
				if stopped.Phase != name || stopped.Attempt != 1 || !stopped.Interrupted {
					t.Errorf("got %+v", stopped)
				}
				ev := w.journal.events[indexOf(w, journal.Interrupted)]
				if ev.Phase != name || ev.Attempt != 1 || ev.Text == "" {
					t.Errorf("recorded %s", short(ev))
				}
				if past := w.replay(); past.Stopped == nil || past.Stopped.Kind != journal.Interrupted || past.Unsettled != nil {
					t.Errorf("stopped by %+v, unsettled %+v", past.Stopped, past.Unsettled)
				}
				w.runs = nil
				w.finish(w.resume())
				if w.runs[0] != name+"#2" {
					t.Errorf("the resume began with %s", w.runs[0])
				}
			})
		}
	}
}

// The state machine's library can be wedged for ever by a context that ends at
// the wrong time. The very machine that was interrupted can go on.
func TestInterruptDoesNotWedgeTheMachine(t *testing.T) {
	for _, name := range []string{"sync", "build", "apply"} {
		w := newWorld(t)
		ctx := interruptIn(w, name, func(ctx context.Context) error { return ctx.Err() })
		m := w.open(Forward)
		phaseError(t, m.Run(ctx))
		w.finish(m)
	}
	// Nor is one that is interrupted while it records a transition.
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	w.journal.refuse = func(_ int, ev journal.Event) bool {
		if ev.Kind == journal.Moved && ev.Phase == "build" {
			cancel(errCtrlC)
		}
		return false
	}
	m := w.open(Forward)
	if stopped := phaseError(t, m.Run(ctx)); stopped.Phase != "copy" {
		t.Errorf("stopped in %s", stopped.Phase)
	}
	w.inState(m, "built")
	w.finish(m)
}

// A target must not be left between two releases: an apply that was begun is
// finished and recorded, and only then does the promotion stop.
func TestInterruptInAnUncutPhase(t *testing.T) {
	w := newWorld(t)
	ctx := interruptIn(w, "apply", func(ctx context.Context) error { return ctx.Err() })
	m := w.open(Forward)
	err := m.Run(ctx)
	if stopped := phaseError(t, err); stopped.Phase != "health" || !stopped.Interrupted || !errors.Is(err, errCtrlC) {
		t.Errorf("got %+v", stopped)
	}
	equal(t, "recorded last", last(w.lines(), 2), []string{"intent apply#1", "moved apply#1 copied>applied"})
	w.inState(m, "applied")
	w.finish(w.resume())
	w.ran("sync#1", "verify#1", "build#1", "copy#1", "apply#1", "health#1")
}

// An apply that fails by itself while the operator interrupts has failed: to
// say that it was stopped would hide that a target may be half-way.
func TestInterruptDoesNotHideAFailure(t *testing.T) {
	for _, name := range []string{"apply", "copy"} {
		w := newWorld(t)
		failure := errors.New("hypervisor does not start")
		ctx := interruptIn(w, name, func(context.Context) error { return failure })
		m := w.open(Forward)
		err := m.Run(ctx)
		if stopped := phaseError(t, err); stopped.Phase != name || stopped.Interrupted || !errors.Is(err, failure) {
			t.Errorf("got %+v", stopped)
		}
		equal(t, "recorded last", last(w.lines(), 1), []string{"failed " + name + "#1: hypervisor does not start"})
	}
}

// A phase that gets done although it was interrupted is done.
func TestInterruptTooLate(t *testing.T) {
	w := newWorld(t)
	ctx := interruptIn(w, "health", func(ctx context.Context) error { <-ctx.Done(); return nil })
	m := w.open(Forward)
	if err := m.Run(ctx); err != nil {
		t.Errorf("the last phase was done, but: %v", err)
	}
	w.inState(m, Healthy)
}
