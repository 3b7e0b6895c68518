package main

import (
	"context"
	"fmt"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type resumeCmd struct {
	ID string `arg:"" optional:"" help:"Promotion; by default the one that was at work last of those that can be resumed."`
	waits
}

// refusedError is a command that does not fit what the journal says.
type refusedError struct{ Text, Next string }

func (e *refusedError) Error() string { return e.Text }

// usageError is a command line that makes no sense.
type usageError struct{ Text string }

func (e *usageError) Error() string { return e.Text }

// Run goes on with a promotion.
func (c *resumeCmd) Run(ctx context.Context, h *house) error {
	history, err := h.begin(ctx, c.waits)
	if err != nil {
		return err
	}
	past, err := c.choose(history)
	if err != nil {
		return err
	}
	h.claimed(past.ID)
	// Who watches is told also of a failure before anything is recorded.
	h.left = past.ID
	c.sayOthers(h, history, past)
	h.sayDifferences(past)
	p := h.promotion()
	p.ID, p.Plan = past.ID, past.Start.Plan
	ctx, stop := h.interruptible(ctx)
	defer stop()
	if err := h.reach(ctx, p, past.Start.Kind); err != nil {
		return err
	}
	err = h.patiently(ctx, c.waits, p, func() error {
		return h.holding(ctx, p, p.Targets, func(ctx context.Context) (*machine.Machine, error) { return h.resume(ctx, p, past) })
	})
	if err == nil {
		h.succeed(p)
	}
	return err
}

// resume looks how far the promotion really is, and takes it to its end.
func (h *house) resume(ctx context.Context, p *phases.Promotion, past *machine.Past) (*machine.Machine, error) {
	h.foretell(past.Start.Kind, past.State)
	m, err := machine.Resume(h.journal, p, past, h.show)
	if err != nil {
		return nil, err
	}
	h.printer.Say("looking whether the hosts still are as the journal has it")
	look, cancel := briefly(ctx, "looking at the hosts")
	defer cancel()
	if err := m.Look(look); err != nil {
		return m, err
	}
	return m, h.drive(ctx, m, p)
}

// choose is the promotion that is named or, without a name, the one of those that can go on
// which was at work last: whoever types no more than "resume" means what they just saw stop.
// A refusal leaves its promotion open, and so there may be several.
func (c *resumeCmd) choose(history machine.History) (*machine.Past, error) {
	if c.ID != "" {
		past, err := find(history, c.ID)
		if err != nil {
			return nil, err
		}
		if err := unended(past); err != nil {
			return nil, err
		}
		if live := history.Overtaken(past); live != nil {
			return nil, &refusedError{
				Text: fmt.Sprintf("promotion %s was overtaken: %s is live since", past.ID, live.ID), Next: "rel abort " + past.ID + "{here}"}
		}
		return past, nil
	}
	list := history.Resumable()
	if len(list) == 0 {
		return nil, &refusedError{Text: "there is no promotion to go on with", Next: "rel start{here}"}
	}
	return urgent(list), nil
}

// sayOthers tells, where no promotion was named, which others stopped as well.
func (c *resumeCmd) sayOthers(h *house, history machine.History, past *machine.Past) {
	var others []string
	for _, other := range history.Resumable() {
		if other.ID != past.ID {
			others = append(others, other.ID)
		}
	}
	if c.ID != "" || len(others) == 0 {
		return
	}
	h.printer.Say(fmt.Sprintf("note: going on with %s; also stopped, and left as it is: %s (rel abort ID gives one up)",
		past.ID, strings.Join(others, ", ")))
}

// urgent is the promotion to settle first: what the targets may run, unconfirmed, which none
// of the others gets past; else the one that was at work last.
func urgent(list []*machine.Past) *machine.Past {
	for _, p := range list {
		if p.State == "applied" || p.Unsettled != nil && p.Unsettled.Phase == "apply" {
			return p
		}
	}
	return list[len(list)-1]
}

// sayDifferences tells that the recorded plan is not what rel.toml says today.
// The recorded one counts. Without a readable rel.toml there is nothing to tell.
func (h *house) sayDifferences(past *machine.Past) {
	if past.Start.Rel != h.version {
		h.printer.Say(fmt.Sprintf("note: this promotion was started by rel %s; this is rel %s", past.Start.Rel, h.version))
	}
	if past.Start.Kind != machine.Forward {
		return
	}
	conf, err := config.Read(h.globals.Config)
	if err != nil {
		return
	}
	today, err := conf.Plan()
	if err != nil {
		return
	}
	if differ := config.Differences(past.Start.Plan, today); len(differ) > 0 {
		h.printer.Say(fmt.Sprintf("note: %s has changed since this promotion was started (%s); the recorded plan counts",
			conf.Path(), strings.Join(differ, ", ")))
	}
}
