package main

import (
	"context"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// promote opens a new promotion, whose hosts are reached, and takes it to its
// end.
func (h *house) promote(ctx context.Context, p *phases.Promotion, start machine.Start) error {
	h.claimed(p.ID)
	start.Rel = h.version
	err := h.holding(ctx, p, p.Targets, func(ctx context.Context) (*machine.Machine, error) {
		h.foretell(start.Kind, machine.New)
		m, err := machine.Open(h.journal, p, start, h.show)
		if err != nil {
			return nil, err
		}
		return m, h.drive(ctx, m, p)
	})
	if err == nil {
		h.succeed(p)
	}
	return err
}

// drive takes the machine to its end and keeps the hosts' output.
func (h *house) drive(ctx context.Context, m *machine.Machine, p *phases.Promotion) error {
	defer h.watchSilence()()
	p.Hold.Account(p.Note)
	if err := m.Run(ctx); err != nil {
		return err
	}
	if err := h.journal.Backup(); err != nil {
		h.printer.Say("warning: " + err.Error())
	}
	return nil
}

// promotion is a new one whose output goes to the printer and the log files.
func (h *house) promotion() *phases.Promotion {
	p := &phases.Promotion{Anchor: h.anchor, Recall: h.recall, Seen: new(phases.Seen)}
	h.work = p
	h.outputs = &outputs{house: h}
	p.Line = func(host, text string) {
		h.outputs.line(p.ID, host, text)
		h.printer.Line(host, text)
	}
	p.Tick = func(host string, tick phases.Tick) {
		h.outputs.alive()
		h.printer.Tick(host, tick)
	}
	return p
}

// recall is the release that the journal has of a promotion; nil, where it has none.
func (h *house) recall(id string) *phases.Release {
	events, err := h.journal.Events(id)
	if err != nil || len(events) == 0 {
		return nil
	}
	past, err := machine.Replay(events)
	if err != nil {
		return nil
	}
	return past.Release()
}

// show is what the machine shows recorded events to.
func (h *house) show(ev journal.Event) {
	h.outputs.event(ev)
	if hold := h.hold.Load(); ev.Kind == journal.Intent && hold != nil {
		hold.Enter(ev.Phase)
	}
	h.printer.Event(ev)
}
