package machine

import (
	"context"
	"fmt"
	"runtime/debug"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

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
		if err := m.limit(1); err != nil {
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
