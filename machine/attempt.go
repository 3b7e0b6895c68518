package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// PhaseError says in which phase a promotion stopped.
type PhaseError struct {
	Phase   string
	Attempt int
	// Interrupted says that the operator stopped it.
	Interrupted bool
	Err         error
}

func (e *PhaseError) Error() string { return e.Phase + ": " + e.Err.Error() }

func (e *PhaseError) Unwrap() error { return e.Err }

// attempt runs one phase once: intent, act, outcome.
func (m *Machine) attempt(ctx context.Context, phase *phases.Phase) error {
	moves := 1
	if phase.Uncut {
		moves = 2 // what is applied has to be checked as well
	}
	if err := m.limit(moves); err != nil {
		return err
	}
	m.current = phase
	m.promotion.Attempt = m.attempts[phase.Name] + 1
	point(phase.Name + ".before-intent")
	if err := m.record(m.event(journal.Intent)); err != nil {
		return err
	}
	m.attempts[phase.Name]++ // one that is not recorded was none
	point(phase.Name + ".after-intent")
	started := time.Now()
	failure := m.run(ctx, phase)
	point(phase.Name + ".after-action")
	outcome := m.event(journal.Moved)
	outcome.Millis = time.Since(started).Milliseconds()
	parts, data, err := m.collect()
	outcome.Data, failure = data, errors.Join(failure, err)
	if failure != nil {
		return m.stop(ctx, phase, outcome, parts, failure)
	}
	if err := m.fire(phase.Name, outcome); err != nil {
		return err
	}
	point(phase.Name + ".after-outcome")
	m.parts = parts // only what is recorded counts as known
	return nil
}

// stop records that an attempt ended without reaching its state.
func (m *Machine) stop(ctx context.Context, phase *phases.Phase, outcome journal.Event, parts map[string]json.RawMessage, failure error) error {
	if cause := context.Cause(ctx); taken(ctx) && !errors.Is(failure, cause) {
		failure = errors.Join(cause, failure)
	}
	stopped := &PhaseError{Phase: phase.Name, Attempt: m.promotion.Attempt, Err: failure,
		Interrupted: !phase.Uncut && interrupted(ctx) && (errors.Is(failure, context.Cause(ctx)) || errors.Is(failure, context.Canceled))}
	outcome.Kind, outcome.Text = journal.Failed, failure.Error()
	if stopped.Interrupted {
		outcome.Kind = journal.Interrupted
	}
	if err := m.record(outcome); err != nil {
		return errors.Join(stopped, err)
	}
	point(phase.Name + ".after-outcome")
	m.parts = parts
	// A phase that failed may have taken an earlier state with it: a release
	// that did not pass its checks goes back. An uncertain look is no reason
	// to hide the failure; the next resume looks again.
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if phase.Name == m.table[len(m.table)-1].Name {
		_ = m.Look(look)
	}
	return stopped
}

// taken reports whether what ended ctx is that someone else has taken a target
// over, and interrupted whether it was the operator.
func taken(ctx context.Context) bool {
	var lost *phases.HoldLostError
	return ctx.Err() != nil && errors.As(context.Cause(ctx), &lost)
}

func interrupted(ctx context.Context) bool { return ctx.Err() != nil && !taken(ctx) }

// run calls the phase within its deadline, and turns a panic in it into a
// failure that is recorded like any other.
func (m *Machine) run(ctx context.Context, phase *phases.Phase) (err error) {
	if phase.Uncut {
		ctx = context.WithoutCancel(ctx)
	}
	outer := ctx
	limit := m.promotion.Limit(phase)
	deadline := time.Duration(limit.Deadline)
	ctx, cancel := context.WithTimeoutCause(ctx, deadline,
		fmt.Errorf("the %s phase took longer than %s", phase.Name, deadline))
	defer cancel()
	ctx, stop := m.promotion.Pulse.Watch(ctx, phase.Name, time.Duration(limit.Silence))
	defer stop()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	err = phase.Run(ctx, m.promotion)
	// What ended it is the reason, and not in what way it noticed.
	if cause := context.Cause(ctx); err != nil && outer.Err() == nil && cause != nil && !errors.Is(err, cause) {
		err = errors.Join(cause, err)
	}
	return err
}
