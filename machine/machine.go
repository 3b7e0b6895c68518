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
	"fmt"

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
	defer m.promotion.Drop()
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

// Abort ends the promotion by hand. A release that is applied has to be taken
// off the targets first; then the end is Reverted.
func (m *Machine) Abort(why string, reverted bool) error {
	event := eventAbort
	if reverted {
		event = eventRevert
	}
	return m.fire(event, journal.Event{Kind: journal.Moved, Text: why})
}
