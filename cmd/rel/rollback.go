package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type rollbackCmd struct {
	ID          string `arg:"" optional:"" help:"Promotion whose release to make live; by default the last healthy one before the live one."`
	AcceptDrift bool   `help:"Repoint also links that someone repointed by hand."`
	Force       bool   `help:"Restart the units even if that release is live already."`
	waits
	Message string `short:"m" placeholder:"WHY" help:"Why, for the audit."`
}

// Run makes a recorded release live again. What is live, and what can be, is
// for the targets to say: the journal here may be another operator's elder.
func (c *rollbackCmd) Run(ctx context.Context, h *house) error {
	history, err := h.begin(ctx, c.waits)
	if err != nil {
		return err
	}
	p := h.promotion()
	if p.Plan, err = h.servingPlan(history); err != nil {
		return err
	}
	ctx, stop := h.interruptible(ctx)
	defer stop()
	if err := h.reach(ctx, p, machine.Rollback); err != nil {
		return err
	}
	// What is live may be another once whoever holds the targets is gone.
	serving := p.Plan
	return h.patiently(ctx, c.waits, p, func() error {
		p.Plan = serving
		if err := c.choose(ctx, h, p, history); err != nil {
			return err
		}
		h.warn(&p.Plan)
		h.printer.Say(fmt.Sprintf("back to %s (%s)", p.Plan.Release.ID, p.Plan.Subject))
		if p.ID, err = h.newID(ctx, p.Plan.Commit); err != nil {
			return err
		}
		return h.promote(ctx, p, machine.Start{Kind: machine.Rollback, Plan: p.Plan, Why: c.Message})
	})
}

// servingPlan is the plan whose targets serve the app: that of the live
// promotion or, where the journal has none, of the configuration.
func (h *house) servingPlan(history machine.History) (phases.Plan, error) {
	if live := history.Live(); live != nil {
		return live.Start.Plan, nil
	}
	conf, err := config.Read(h.globals.Config)
	if err != nil {
		return phases.Plan{}, err
	}
	return conf.Plan()
}

// ledger is what the targets know of the releases they ran. They have to agree
// on the live one, unless the operator names the one to go to.
func (c *rollbackCmd) ledger(ctx context.Context, p *phases.Promotion) (*phases.Ledger, error) {
	ledgers, err := c.ledgers(ctx, p)
	if err != nil {
		return nil, err
	}
	var first, fullest *phases.Ledger
	for i, target := range p.Targets {
		ledger := ledgers[i]
		// One that joined later knows less.
		if fullest == nil || len(ledger.Releases) > len(fullest.Releases) {
			fullest = ledger
		}
		if first == nil {
			first = ledger
		} else if ledger.Live != first.Live && c.ID == "" {
			return nil, &refusedError{
				Text: fmt.Sprintf("the targets do not run the same release: %s has %s for live, %s has %s",
					p.Targets[0].Name(), orNothing(first.Live), target.Name(), orNothing(ledger.Live)),
				Next: "rel status{here}, then rel resume or rel abort the promotion that stopped",
			}
		}
	}
	return fullest, nil
}

// ledgers are those of all targets. Whether they let the checks through is tried
// beside the asking.
func (c *rollbackCmd) ledgers(ctx context.Context, p *phases.Promotion) ([]*phases.Ledger, error) {
	list, failures := make([]*phases.Ledger, len(p.Targets)), make([]error, len(p.Targets))
	var forbidden error
	var wait sync.WaitGroup
	wait.Go(func() { forbidden = tryForwarding(ctx, p) })
	for i, target := range p.Targets {
		wait.Go(func() { list[i], failures[i] = phases.ReadLedger(ctx, target, nil, p.Plan.App) })
	}
	wait.Wait()
	if forbidden != nil {
		return nil, forbidden
	}
	return list, phases.Join(failures)
}

// choose fills in the plan: the release to go back to, with the services and
// checks that it was promoted with, where the journal knows them.
func (c *rollbackCmd) choose(ctx context.Context, h *house, p *phases.Promotion, history machine.History) error {
	ctx, cancel := briefly(ctx, "reading the targets' records")
	defer cancel()
	ledger, err := c.ledger(ctx, p)
	if err != nil {
		return err
	}
	id, err := c.name(history, ledger)
	if err != nil {
		return err
	}
	past, err := history.Find(id)
	if err != nil {
		return err
	}
	serving, release := p.Plan, (*phases.Release)(nil)
	if past != nil && past.Release() != nil {
		p.Plan, release = past.Start.Plan, past.Release()
	} else {
		recorded := ledger.Find(id)
		if recorded == nil {
			return &refusedError{Text: fmt.Sprintf("neither the journal nor the targets have release %s on record", id), Next: "rel status{here}"}
		}
		if release, err = phases.FetchRelease(ctx, p.Targets[0], nil, p.Plan.App, recorded.ID); err != nil {
			return err
		}
		p.Plan.Artifacts = nil
		for _, o := range release.Outputs {
			p.Plan.Artifacts = append(p.Plan.Artifacts, o.Artifact)
		}
	}
	// All that serve the app go back, also those that joined since.
	p.Plan.Targets, p.Plan.Build = serving.Targets, serving.Build
	p.Plan.Commit, p.Plan.Subject, p.Plan.Release = release.Commit, release.Subject, release
	p.Plan.AcceptDrift, p.Plan.Force, p.Plan.Adopt = c.AcceptDrift, c.Force, false
	// And so do all units that run it: the release may have come with more.
	for _, unit := range serving.Restart {
		if !slices.Contains(p.Plan.Restart, unit) {
			p.Plan.Restart = append(slices.Clip(p.Plan.Restart), unit)
		}
	}
	p.Plan.From = ledger.Kept
	if live := ledger.Find(ledger.Live); live != nil && !ledger.Astray {
		p.Plan.From = live.Origin
	}
	return nil
}

// name is the promotion that built the release to go back to.
func (c *rollbackCmd) name(history machine.History, ledger *phases.Ledger) (string, error) {
	if c.ID == "" {
		if list := ledger.Candidates(); len(list) > 0 {
			return list[0].Origin, nil
		}
		return "", &refusedError{Text: "there is no healthy release before the live one to go back to", Next: "rel log{here}"}
	}
	if r := ledger.Find(c.ID); r != nil {
		return r.Origin, nil
	}
	// Promotions of the same content are one release: the last one stands for it.
	var names []name
	var releases []phases.Recorded
	for _, r := range slices.Backward(ledger.Releases) {
		if !slices.ContainsFunc(releases, func(later phases.Recorded) bool {
			return later.Content == r.Content && strings.HasPrefix(cmp.Or(later.Commit, adoptedWord), c.ID)
		}) {
			names, releases = append(names, name{r.ID, cmp.Or(r.Commit, adoptedWord)}), append(releases, r)
		}
	}
	if i, err := match(names, c.ID); err == nil {
		return releases[i].Origin, nil
	}
	to, err := find(history, c.ID)
	if err != nil {
		return "", err
	}
	if to.State != machine.Healthy {
		return "", &refusedError{Text: fmt.Sprintf("promotion %s never became healthy (it is %s)", to.ID, to.State), Next: "rel log{here}"}
	}
	return to.Release().ID, nil
}
