// Package machine moves one promotion from state to state.
//
// It knows states and phases, and nothing of sockets, buckets or colours. The
// states are those of a table of [phases.Phase]; a state is the last thing
// that is true. A failed attempt is an event, not a state, so going on where a
// promotion stopped is just running the next phase.
//
// State machine and journal meet in one place: the callback before each
// transition appends the event, and cancels the transition if it cannot. So no
// transition bypasses the journal, and memory never runs ahead of disk.
package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/looplab/fsm"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// Recorder is what the machine needs of a journal.
type Recorder interface {
	// Append records the event for good and returns it as recorded.
	Append(journal.Event) (journal.Event, error)
}

// Machine takes one promotion through its phases. It is made by Open or
// Resume and is used by one goroutine.
type Machine struct {
	// Show is given each event once it is recorded, and never before. It may
	// be called by several goroutines.
	Show func(journal.Event)

	recorder  Recorder
	table     []phases.Phase
	promotion *phases.Promotion
	fsm       *fsm.FSM
	attempts  map[string]int
	moves     int
	parts     map[string]json.RawMessage
	current   *phases.Phase
}

// maxMoves is how often one promotion may be moved. The longest way without a
// step back has six; one that goes to and fro this often would do so for ever.
const maxMoves = 64

// LimitError says that a promotion has been moved so often that it is not gone
// on with. It can still be given up.
type LimitError struct {
	Promotion string
	Moves     int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("promotion %s has been moved %d times and gets nowhere: a person has to look", e.Promotion, e.Moves)
}

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

// Open records a new promotion and returns the machine for it.
func Open(recorder Recorder, p *phases.Promotion, start Start, show func(journal.Event)) (*Machine, error) {
	start.Schema = schema
	p.Plan = start.Plan
	m := newMachine(recorder, start.Kind.Table(), p, New, show)
	data, err := json.Marshal(start)
	if err != nil {
		return nil, fmt.Errorf("encode the plan: %w", err)
	}
	text := p.Plan.Subject
	if start.Kind == Rollback {
		text = "back to " + start.Plan.Release.ID
	}
	return m, m.record(journal.Event{Kind: journal.Opened, State: New, Text: text, Data: data})
}

// Resume takes up a recorded promotion where it stopped. One that is over takes
// no more events.
func Resume(recorder Recorder, p *phases.Promotion, past *Past, show func(journal.Event)) (*Machine, error) {
	if past.Ended() {
		return nil, fmt.Errorf("promotion %s is over: %s", past.ID, past.State)
	}
	p.ID, p.Plan = past.ID, past.Start.Plan
	m := newMachine(recorder, past.Start.Kind.Table(), p, past.State, show)
	m.attempts, m.moves, m.parts = past.attempts, past.moves, past.parts
	if err := m.reload(); err != nil {
		return nil, err
	}
	return m, m.record(journal.Event{Kind: journal.Resumed, State: past.State})
}

func newMachine(recorder Recorder, table []phases.Phase, p *phases.Promotion, state string, show func(journal.Event)) *Machine {
	m := &Machine{
		Show: show, recorder: recorder, table: table, promotion: p,
		attempts: map[string]int{}, parts: map[string]json.RawMessage{},
	}
	m.fsm = newFSM(table, state, m.beforeEvent)
	p.Note, p.Pulse = m.note, new(phases.Pulse)
	return m
}

// State is the last thing that is true of the promotion.
func (m *Machine) State() string { return m.fsm.Current() }

// Run takes the promotion to its last state. Each phase is tried once: trying
// again is the operator's decision, and Resume's job. When ctx ends, Run stops
// at the next safe point; the error is then a *[PhaseError] that says so.
func (m *Machine) Run(ctx context.Context) error {
	for {
		phase := m.next()
		if phase == nil {
			return nil
		}
		if ctx.Err() != nil {
			return &PhaseError{Phase: phase.Name, Attempt: m.attempts[phase.Name], Interrupted: interrupted(ctx), Err: context.Cause(ctx)}
		}
		if err := m.attempt(ctx, phase); err != nil {
			return err
		}
	}
}

// interrupted reports whether it was the operator who ended ctx, and not a target
// that someone else has taken over.
func interrupted(ctx context.Context) bool {
	var lost *phases.HoldLostError
	return ctx.Err() != nil && !errors.As(context.Cause(ctx), &lost)
}

// next is the phase that leads on from the current state.
func (m *Machine) next() *phases.Phase {
	if m.State() == New {
		return &m.table[0]
	}
	for i := range m.table[:len(m.table)-1] {
		if m.table[i].State == m.State() {
			return &m.table[i+1]
		}
	}
	return nil
}

// limit refuses to go on with a promotion that has been moved too often.
func (m *Machine) limit() error {
	if m.moves < maxMoves {
		return nil
	}
	return &LimitError{Promotion: m.promotion.ID, Moves: m.moves}
}

// attempt runs one phase once: intent, act, outcome.
func (m *Machine) attempt(ctx context.Context, phase *phases.Phase) error {
	if err := m.limit(); err != nil {
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
	if lost := context.Cause(ctx); failure != nil && ctx.Err() != nil && !interrupted(ctx) && !errors.Is(failure, lost) {
		failure = errors.Join(lost, failure)
	}
	outcome := m.event(journal.Moved)
	outcome.Millis = time.Since(started).Milliseconds()
	parts, data, err := m.collect()
	outcome.Data, failure = data, errors.Join(failure, err)
	if failure == nil {
		if err := m.fire(phase.Name, outcome); err != nil {
			return err
		}
		point(phase.Name + ".after-outcome")
		m.parts = parts // only what is recorded counts as known
		return nil
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

// Look asks the hosts whether the current state still is true, and steps back,
// as recorded transitions, to the last one that is. Resume does it before it
// goes on.
func (m *Machine) Look(ctx context.Context) error {
	for {
		phase := m.reached()
		if phase == nil || phase.Holds == nil {
			return nil
		}
		lost, err := m.holds(ctx, phase)
		if err != nil {
			return fmt.Errorf("look whether it is still %s: %w", phase.State, err)
		}
		if lost == "" {
			return nil
		}
		if err := m.limit(); err != nil {
			return err
		}
		if err := m.fire(undo(phase), journal.Event{Kind: journal.Moved, Text: lost}); err != nil {
			return err
		}
	}
}

// holds calls the phase's look; a panic in it is an error like any other.
func (m *Machine) holds(ctx context.Context, phase *phases.Phase) (lost string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return phase.Holds(ctx, m.promotion)
}

// reached is the phase that led to the current state.
func (m *Machine) reached() *phases.Phase {
	for i := range m.table {
		if m.table[i].State == m.State() {
			return &m.table[i]
		}
	}
	return nil
}

// Abort ends the promotion by hand. A release that is applied has to be taken
// off the targets first; then the end is Reverted.
func (m *Machine) Abort(why string, reverted bool) error {
	event := eventAbort
	if reverted {
		event = eventRevert
	}
	return m.fire(event, journal.Event{Kind: journal.Moved, Text: why})
}
