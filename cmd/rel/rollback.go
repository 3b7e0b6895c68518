package main

import (
	"context"
	"fmt"

	"choir.chat/rel/machine"
)

type rollbackCmd struct {
	ID      string `arg:"" optional:"" help:"Promotion whose release to make live; by default the last healthy one before the live one."`
	Message string `short:"m" placeholder:"WHY" help:"Why, for the audit."`
}

// Run makes a recorded release live again.
func (c *rollbackCmd) Run(ctx context.Context, h *house) error {
	history, to, err := h.begin(c.choose)
	if err != nil {
		return err
	}
	start := machine.Start{Kind: machine.Rollback, Plan: to.Start.Plan, Of: origin(to), Why: c.Message, Rel: h.version}
	start.Plan.Release = to.Release()
	if live := history.Live(); live != nil {
		start.From = origin(live)
		// All that serve the live release go back, also those that joined since.
		start.Plan.Targets = live.Start.Plan.Targets
	}
	p := h.promotion()
	p.Plan = start.Plan
	ctx, stop := h.interruptible(ctx)
	defer stop()
	h.printer.say(fmt.Sprintf("back to %s (%s)", to.ID, to.Start.Plan.Subject))
	for _, link := range staying(history.Live(), to) {
		h.printer.say("note: " + link + " is no part of that release, and stays as it is")
	}
	if err := h.reach(ctx, p, machine.Rollback); err != nil {
		return err
	}
	if p.ID, err = h.newID(ctx, start.Plan.Commit); err != nil {
		return err
	}
	h.claimed(p.ID)
	m, err := machine.Open(h.journal, p, start, h.show)
	if err != nil {
		return err
	}
	if err := h.drive(ctx, m); err != nil {
		return err
	}
	return h.succeed(p)
}

func (c *rollbackCmd) choose(history machine.History) (*machine.Past, error) {
	if c.ID == "" {
		if to := history.Previous(); to != nil {
			return to, nil
		}
		return nil, &refusedError{Text: "there is no healthy release before the live one to go back to", Next: "rel log"}
	}
	to, err := find(history, c.ID)
	if err != nil {
		return nil, err
	}
	if to.State != machine.Healthy {
		return nil, &refusedError{Text: fmt.Sprintf("promotion %s never became healthy (it is %s)", to.ID, to.State), Next: "rel log"}
	}
	return to, nil
}

// staying are the links of the live release that the one to go back to lacks.
func staying(live, to *machine.Past) []string {
	if live == nil {
		return nil
	}
	has := map[string]bool{}
	for _, o := range to.Release().Outputs {
		has[o.Link] = true
	}
	var links []string
	for _, o := range live.Release().Outputs {
		if !has[o.Link] {
			links = append(links, o.Link)
		}
	}
	return links
}

// origin is the promotion that built the release.
func origin(p *machine.Past) string {
	if p.Start.Kind == machine.Rollback {
		return p.Start.Of
	}
	return p.ID
}
