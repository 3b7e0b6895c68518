package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type unlockCmd struct {
	ID      string `arg:"" help:"Promotion that holds the targets."`
	Message string `short:"m" required:"" placeholder:"WHY" help:"Why, for the targets' record."`
	Force   bool   `help:"Although its owner shows signs of life: what it does is refused from then on."`
}

// Run takes the hold of every target away from the promotion. A dead owner's hold
// ends by itself; this is for an owner who must not go on.
func (c *unlockCmd) Run(ctx context.Context, h *house) error {
	if err := h.open(); err != nil {
		return err
	}
	if err := h.openPrinter(); err != nil {
		return err
	}
	p := h.promotion()
	var err error
	if p.Plan, err = h.config.Plan(); err != nil {
		return err
	}
	ctx, stop := h.interruptible(ctx)
	defer stop()
	// A target that is down must not keep the others held.
	if err := h.reach(ctx, p, machine.Rollback); err != nil && !h.reachedAny() {
		return err
	}
	ctx, cancel := briefly(ctx, "taking the hold away")
	defer cancel()
	targets := h.reached(p)
	if p.ID, err = c.holder(ctx, p, targets); err != nil {
		return err
	}
	for _, target := range targets {
		if err := c.unlock(ctx, h, p, target); err != nil {
			return err
		}
	}
	return nil
}

func (c *unlockCmd) unlock(ctx context.Context, h *house, p *phases.Promotion, target phases.Host) error {
	holder, err := phases.Unlock(ctx, p, target, c.Message, c.Force)
	var held *phases.HeldError
	switch {
	case errors.As(err, &held) && held.Holder.Promotion != p.ID:
		fmt.Fprintf(h.std.out, "%s: left as it is: held by %s\n", target.Name(), &held.Holder)
	case err != nil:
		return err
	case holder == nil:
		fmt.Fprintf(h.std.out, "%s: nobody holds it\n", target.Name())
	default:
		fmt.Fprintf(h.std.out, "%s: taken from %s\n", target.Name(), holder)
	}
	return nil
}

// holder is the promotion of that name which holds a target. Only what was seen
// can be taken: the name has to be said, and has to fit.
func (c *unlockCmd) holder(ctx context.Context, p *phases.Promotion, targets []phases.Host) (string, error) {
	var names []name
	for _, target := range targets {
		look, err := phases.LookAt(ctx, target, nil, &p.Plan, "")
		if err != nil {
			return "", err
		}
		if hold := look.Hold; hold != nil {
			id := hold.Promotion
			names = append(names[:0:0], name{id, id[strings.LastIndexByte(id, '-')+1:]})
			if _, err := match(names, c.ID); err == nil {
				return id, nil
			}
		}
	}
	if len(names) > 0 {
		return "", &refusedError{Text: fmt.Sprintf("it is not %s that holds the targets, but %s", c.ID, names[0].id), Next: "rel status{here}"}
	}
	return "", &refusedError{Text: "nobody holds the targets", Next: "rel status{here}"}
}
