package machine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/looplab/fsm"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// fire moves the state machine; beforeEvent records it.
func (m *Machine) fire(event string, ev journal.Event) error {
	// Never the caller's context: one that ends within Event would wedge the
	// machine for ever (looplab/fsm#115).
	err := m.fsm.Event(context.Background(), event, ev)
	var canceled fsm.CanceledError
	if errors.As(err, &canceled) && canceled.Err != nil {
		return canceled.Err
	}
	return err
}

// beforeEvent is the one place where state machine and journal meet.
func (m *Machine) beforeEvent(_ context.Context, e *fsm.Event) {
	ev := e.Args[0].(journal.Event)
	ev.From, ev.State = e.Src, e.Dst
	if err := m.record(ev); err != nil {
		e.Cancel(err)
		return
	}
	m.moves++
}

// event begins an event of the current attempt.
func (m *Machine) event(kind journal.Kind) journal.Event {
	ev := journal.Event{Kind: kind}
	if m.current != nil {
		ev.Phase, ev.Attempt = m.current.Name, m.promotion.Attempt
	}
	return ev
}

func (m *Machine) note(host, text string) {
	ev := m.event(journal.Note)
	ev.Host, ev.Text = host, text
	// A note that cannot be recorded must not stop a phase half-way; if the
	// journal is gone, the outcome's append says so.
	_ = m.record(ev)
}

// record appends, then shows.
func (m *Machine) record(ev journal.Event) error {
	ev.Promotion = m.promotion.ID
	recorded, err := m.recorder.Append(ev)
	if err != nil {
		return fmt.Errorf("cannot record the %s event: %w", ev.Kind, err)
	}
	if m.Show != nil {
		m.Show(recorded)
	}
	return nil
}

// collect returns the facts as they are now and, as data to record, those that
// the attempt changed. It makes what the next phase sees exactly what a resume
// would see.
func (m *Machine) collect() (parts map[string]json.RawMessage, data json.RawMessage, err error) {
	if parts, err = m.promotion.Facts.Parts(); err != nil {
		return nil, nil, fmt.Errorf("encode the facts: %w", err)
	}
	changed := map[string]json.RawMessage{}
	for name, part := range parts {
		if !bytes.Equal(part, m.parts[name]) {
			changed[name] = part
		}
	}
	if m.promotion.Facts, err = phases.Assemble(parts); err != nil || len(changed) == 0 {
		return parts, nil, err
	}
	data, err = json.Marshal(changed)
	return parts, data, err
}

func (m *Machine) reload() (err error) {
	m.promotion.Facts, err = phases.Assemble(m.parts)
	return err
}
