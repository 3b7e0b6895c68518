package main

import (
	"context"
	"fmt"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type abortCmd struct {
	ID      string `arg:"" help:"Promotion to give up."`
	Message string `short:"m" placeholder:"WHY" help:"Why, for the audit."`
}

// Run ends a stopped promotion. Targets that it may have changed are put back
// first; those that went back by themselves are left as they are.
func (c *abortCmd) Run(ctx context.Context, h *house) error {
	history, err := h.begin(ctx, waits{})
	if err != nil {
		return err
	}
	past, err := c.choose(history)
	if err != nil {
		return err
	}
	h.claimed(past.ID)
	ctx, stop := h.interruptible(ctx)
	defer stop()
	p := h.promotion()
	p.ID, p.Plan, p.Attempt = past.ID, past.Start.Plan, past.Attempts("apply")
	// A later promotion went on from what this one left; putting back what was
	// before would take that one off the targets.
	if !past.Touched() || history.Overtaken(past) != nil {
		m, err := machine.Resume(h.journal, p, past, h.show)
		if err != nil {
			return err
		}
		return c.end(h, m, false)
	}
	// A target that is down must not keep the others on the release.
	if err := h.reach(ctx, p, machine.Rollback); err != nil && !h.reachedAny() {
		return err
	}
	return h.holding(ctx, p, h.reached(p), func(ctx context.Context) (*machine.Machine, error) {
		m, err := machine.Resume(h.journal, p, past, h.show)
		if err != nil {
			return nil, err
		}
		p.Hold.Account(p.Note)
		// As an apply, it is finished and not cut.
		if _, err := phases.Revert(context.WithoutCancel(ctx), p, "given up by the operator"); err != nil {
			return m, err
		}
		return m, c.end(h, m, true)
	})
}

// end records that the promotion is over.
func (c *abortCmd) end(h *house, m *machine.Machine, reverted bool) error {
	if err := m.Abort(c.Message, reverted); err != nil {
		return err
	}
	h.settle()
	fmt.Fprintf(h.std.out, "%s %s\n", h.work.ID, m.State())
	// It is over all the same.
	if err := h.journal.Backup(); err != nil {
		h.printer.Say("warning: " + err.Error())
		h.settle()
	}
	return nil
}

func (c *abortCmd) choose(history machine.History) (*machine.Past, error) {
	past, err := find(history, c.ID)
	if err != nil {
		return nil, err
	}
	return past, unended(past)
}

// unended refuses a promotion that is over.
func unended(past *machine.Past) error {
	if !past.Ended() {
		return nil
	}
	return &refusedError{Text: fmt.Sprintf("promotion %s is over: %s", past.ID, past.State), Next: "rel log " + past.ID + "{here}"}
}
