package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// alreadyLive reports whether the hosts, as they were just asked, leave a start nothing
// to do, and says so. Then nothing is held, recorded or changed: what is live stays what
// it was promoted as.
//
// A journal that has another release for live is not content with that: a promotion
// brings it and the targets together.
func (h *house) alreadyLive(ctx context.Context, p *phases.Promotion, looks []*phases.Look, presumed *phases.Presumption) (bool, error) {
	id := phases.AlreadyLive(ctx, p, looks, presumed)
	if id == "" {
		return false, nil
	}
	history, err := h.history()
	if err != nil {
		return false, err
	}
	live := targetStatus{Live: id}
	if live.compare(history); len(live.Drift) > 0 {
		return false, nil
	}
	var hosts []string
	for _, target := range p.Targets {
		hosts = append(hosts, target.Name())
	}
	text := fmt.Sprintf("already live and healthy on %s: %s", strings.Join(hosts, ", "), p.Plan.Subject)
	if h.globals.Progress == "json" {
		// In the form of an event, and without a number: it is none of the journal's.
		h.printer.Event(journal.Event{At: time.Now().UTC(), Promotion: id, Kind: journal.Note, Operator: h.journal.Operator,
			State: machine.Healthy, Text: text})
	} else {
		h.printer.Say("nothing to do: the commit is live, and every check passes (rel start --force restarts it)")
		h.settle()
		fmt.Fprintf(h.std.out, "%s %s\n", id, text)
	}
	return true, nil
}

// presume begins to ask the checks of what is live as far as the journal knows, beside
// what the hosts are asked; nil, if that is nothing. Whether it is indeed is for the
// targets to say.
func (h *house) presume(ctx context.Context, p *phases.Promotion) *phases.Presumption {
	ids, err := h.journal.Promotions()
	if err != nil || len(ids) == 0 || p.Plan.Force {
		return nil
	}
	events, err := h.journal.Events(ids[len(ids)-1])
	if err != nil {
		return nil
	}
	past, err := machine.Replay(events)
	if err != nil || past.State != machine.Healthy {
		return nil
	}
	return phases.Presume(ctx, p, past.ID, past.Start.Plan.Commit)
}
