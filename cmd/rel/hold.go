package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// waits is the flag of the commands that may find the targets held.
type waits struct {
	Wait time.Duration `placeholder:"D" help:"Wait that long for whoever holds the targets, instead of giving up at once."`
}

const (
	// waitPoll is how often it is looked whether the wait is over, and waitSay
	// how often the operator is told that it is not.
	waitPoll = time.Second
	waitSay  = 15 * time.Second
)

// until waits, at most until the deadline, for free to say that there is nobody
// in the way. who says whom is waited for. It reports whether the wait was worth
// it.
func (h *house) until(ctx context.Context, deadline time.Time, who string, free func(context.Context) bool) bool {
	var said time.Time
	for time.Now().Before(deadline) && ctx.Err() == nil {
		if time.Since(said) >= waitSay {
			said = time.Now()
			h.printer.Say(fmt.Sprintf("waiting for another %s: %s", time.Until(deadline).Round(time.Second), who))
		}
		if free(ctx) {
			return true
		}
		select {
		case <-time.After(waitPoll):
		case <-ctx.Done():
		}
	}
	return ctx.Err() != nil
}

// patiently runs what takes the targets' hold; if someone has it, again once they
// are gone, for as long as the operator wants to wait.
func (h *house) patiently(ctx context.Context, w waits, p *phases.Promotion, fn func() error) error {
	deadline := time.Now().Add(w.Wait)
	for {
		err := fn()
		var held *phases.HeldError
		if !errors.As(err, &held) || !h.until(ctx, deadline, held.Error(), func(ctx context.Context) bool { return isFree(ctx, p, held.Host) }) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// isFree reports whether nobody who lives holds the target.
func isFree(ctx context.Context, p *phases.Promotion, name string) bool {
	for _, target := range p.Targets {
		if target.Name() == name {
			ctx, cancel := context.WithTimeout(ctx, lookTimeout)
			defer cancel()
			look, err := phases.LookAt(ctx, target, nil, &p.Plan, "")
			return err == nil && !look.Hold.Alive()
		}
	}
	return true
}

// claimPatiently is claim, but waits for another run on this machine.
func (h *house) claimPatiently(ctx context.Context, w waits) error {
	h.changes = true
	err := h.claim()
	var claimed *journal.ClaimedError
	if w.Wait == 0 || !errors.As(err, &claimed) {
		return err
	}
	if err := h.openPrinter(); err != nil {
		return err
	}
	ctx, stop := h.interruptible(ctx)
	defer stop()
	h.until(ctx, time.Now().Add(w.Wait), claimed.Error(), func(context.Context) bool {
		err = h.claim()
		return !errors.As(err, &claimed)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// holding runs fn while the promotion holds the targets. fn makes the machine,
// once they are held, and takes it as far as it goes; its context ends if the hold
// is lost.
func (h *house) holding(ctx context.Context, p *phases.Promotion, targets []phases.Host, fn func(context.Context) (*machine.Machine, error)) error {
	slow := time.AfterFunc(waitSay, func() { h.printer.Say("waiting for the hold of the targets: a script there does not end") })
	hold, err := phases.Take(ctx, p, targets, h.mine)
	slow.Stop()
	if err != nil {
		return err
	}
	h.hold.Store(hold)
	ctx, stop := hold.Keep(ctx)
	m, err := fn(ctx)
	state := ""
	if m != nil {
		state = m.State()
	}
	if m != nil && err != nil {
		h.left = p.ID
	}
	hold.Release(ctx, state, state == machine.Healthy && !p.Plan.Adopt)
	// What it still waits for is cut off with the connections.
	h.beats = append(h.beats, stop())
	return err
}

// mine reports whether a hold is of a promotion of this journal, which nobody
// else can be running: this run has claimed the journal.
func (h *house) mine(holder *phases.Holder) bool {
	events, err := h.journal.Events(holder.Promotion)
	return err == nil && len(events) > 0 && holder.Operator == h.journal.Operator.Name
}

// anchor is where the journal is now. Where that cannot be read a ledger's line goes
// without.
func (h *house) anchor() phases.Anchor {
	head, err := h.journal.Head()
	if err != nil || head.Seq == 0 {
		return phases.Anchor{}
	}
	return phases.Anchor{Journal: head.Journal, Seq: head.Seq, Head: head.Hash.String()}
}
