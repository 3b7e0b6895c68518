package main

import (
	"context"
	"fmt"
	"strings"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type adoptCmd struct {
	Message string `short:"m" placeholder:"WHY" help:"Why, for the audit."`
}

// Run records what the targets' links point at as release zero.
func (c *adoptCmd) Run(ctx context.Context, h *house) error {
	if err := h.open(); err != nil {
		return err
	}
	plan, err := h.config.Plan()
	if err != nil {
		return err
	}
	if _, err := h.begin(ctx, waits{}); err != nil {
		return err
	}
	p := h.promotion()
	p.Plan = plan
	ctx, stop := h.interruptible(ctx)
	defer stop()
	if err := h.reach(ctx, p, machine.Adopt); err != nil {
		return err
	}
	return h.adopt(ctx, p, c.Message)
}

// adopt takes the promotion, which has its hosts, through the adoption.
func (h *house) adopt(ctx context.Context, p *phases.Promotion, why string) (err error) {
	p.Plan.Adopt, p.Plan.Commit, p.Plan.Subject = true, "", "what was there before rel"
	if p.ID, err = h.newID(ctx, adoptedWord); err != nil {
		return err
	}
	return h.promote(ctx, p, machine.Start{Kind: machine.Adopt, Plan: p.Plan, Why: why})
}

// judge is about the targets before a start is recorded: a commit that was
// rolled back asks for a reason, and links that nobody recorded for an adoption.
func (c *startCmd) judge(ctx context.Context, h *house, p *phases.Promotion, looks []*phases.Look) error {
	unknown, err := c.unknown(p, looks)
	if err != nil || len(unknown) == 0 {
		return err
	}
	return h.offerAdoption(ctx, p, strings.Join(unknown, ", "))
}

// unknown are the targets whose links nobody recorded.
func (c *startCmd) unknown(p *phases.Promotion, looks []*phases.Look) (unknown []string, err error) {
	for i, target := range p.Targets {
		look := looks[i]
		if !look.Root {
			return nil, &phases.Refusal{Reason: phases.NotRoot, Host: target.Name(), Thing: look.User}
		}
		if was := look.RolledBack[p.Plan.Commit]; was != "" && !c.Again {
			return nil, &phases.Refusal{Reason: phases.RolledBack, Host: target.Name(), Thing: was, Items: []string{p.Plan.Commit}}
		}
		if !look.Known && len(look.Links) > 0 {
			unknown = append(unknown, target.Name())
		}
	}
	return unknown, nil
}

// offerAdoption asks whether to record what runs now, so that a rollback can
// come back to it. Without anyone to ask it is only said: an apply that fails
// puts the links back in any case.
func (h *house) offerAdoption(ctx context.Context, p *phases.Promotion, targets string) error {
	h.printer.Say(fmt.Sprintf("the links on %s point at something that rel has no record of", targets))
	ask := h.asker()
	if !h.globals.Yes {
		if ask == nil {
			h.printer.Say("note: no rollback can come back to it; rel adopt, before rel start, records it")
			return nil
		}
		answer, err := ask(ctx, "record it, so that a rollback can come back to it? [Y/n] ", false)
		if err != nil {
			return err
		}
		if answer = strings.ToLower(answer); answer != "" && answer != "y" && answer != "yes" {
			return nil
		}
	}
	adopted := h.promotion()
	adopted.Plan, adopted.Build, adopted.Targets = p.Plan, p.Build, p.Targets
	adopted.Operator, adopted.Key = p.Operator, p.Key
	if err := h.adopt(ctx, adopted, "before the first start"); err != nil {
		return err
	}
	h.work = p
	// The targets are not what they were.
	p.Seen = new(phases.Seen)
	return nil
}
