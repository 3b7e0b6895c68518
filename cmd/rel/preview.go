package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type planCmd struct {
	scope
	Build            bool `help:"Build the artifacts first, in the build host's store alone, so that closures can be compared and bytes counted."`
	JSON             bool `name:"json" help:"Print it as JSON."`
	DetailedExitcode bool `help:"End with 2, not 0, if start would change something."`
}

// previewTimeout bounds what rel plan asks beside the survey: Nix may have to evaluate
// all of nixpkgs for it.
const previewTimeout = 5 * time.Minute

// exitChanges is how rel plan ends, if it is asked to, where something would change;
// terraform plan has the same.
const exitChanges = 2

// previewed is what rel plan prints as JSON. Fields are only ever added.
type previewed struct {
	Schema int `json:"schema"`
	*phases.Preview
	Restart []string `json:"restart,omitempty"`
	Checks  []string `json:"checks,omitempty"`
	// Changes says that start would change something; Refused why it would not begin, each
	// with what to do about that.
	Changes bool     `json:"changes"`
	Refused []hurdle `json:"refused,omitempty"`
}

// hurdle is why a promotion would be refused.
type hurdle struct {
	Host string `json:"host"`
	Text string `json:"text"`
	Cure string `json:"cure,omitempty"`
	code int
}

// Run shows what a start would do, now.
func (c *planCmd) Run(ctx context.Context, h *house) error {
	plan, err := c.plan(h)
	if err != nil {
		return err
	}
	if err := h.openPrinter(); err != nil {
		return err
	}
	p := h.promotion()
	p.Plan = plan
	ctx, stop := h.interruptible(ctx)
	defer stop()
	if err := h.reach(ctx, p, machine.Forward); err != nil {
		return err
	}
	looks, err := c.survey(ctx, h, p)
	if err != nil {
		return err
	}
	limit := previewTimeout
	if c.Build {
		limit = time.Duration(p.Limit(&phases.Phase{Name: "build", Deadline: 3 * time.Hour}).Deadline)
	}
	asking, answered := context.WithTimeoutCause(ctx, limit, fmt.Errorf("asking what it would come to took longer than %s", limit))
	defer answered()
	seen, err := phases.Foretell(asking, p, looks, c.Build)
	if err != nil {
		return err
	}
	h.closePrinter()
	return c.show(h, judgePreview(seen, &p.Plan, h.advice()))
}

// judgePreview says whether something would change, or start would refuse to.
func judgePreview(seen *phases.Preview, plan *phases.Plan, a advice) *previewed {
	v := &previewed{Schema: 1, Preview: seen, Restart: plan.Restart}
	for i := range plan.Checks {
		v.Checks = append(v.Checks, plan.Checks[i].Name)
	}
	for i := range seen.Targets {
		t := &seen.Targets[i]
		v.Changes = v.Changes || t.Commit != seen.Commit || len(t.Links) > 0
		for _, refusal := range t.Refusals {
			e := a.explainRefusal(refusal)
			text := strings.Join(append([]string{e.what}, e.detail...), "; ")
			v.Refused = append(v.Refused, hurdle{Host: refusal.Host, Text: text, Cure: e.cure, code: e.code})
		}
	}
	return v
}

func (c *planCmd) show(h *house, v *previewed) error {
	if c.JSON {
		encoder := json.NewEncoder(github.ForJSON(h.std.out))
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(v); err != nil {
			return err
		}
	} else if err := atOnce(h.std.out, func(out io.Writer) { writePreview(out, v, h.paint(false)) }); err != nil {
		return err
	}
	switch {
	case slices.ContainsFunc(v.Refused, func(o hurdle) bool { return o.code == exitHeld }):
		return &exitError{exitHeld} // start takes the hold before it looks at the rest
	case len(v.Refused) > 0:
		return &exitError{exitRefused}
	case v.Changes && c.DetailedExitcode:
		return &exitError{exitChanges}
	}
	return nil
}

// confirm shows, on a terminal, what comes with the commit, and asks once whether it is
// to go live. Who passes --yes, or has nobody to ask, is not asked.
func (h *house) confirm(ctx context.Context, p *phases.Promotion, looks []*phases.Look) error {
	ask := h.asker()
	if ask == nil || h.globals.Yes || h.agreed == p.Plan.Commit {
		return nil
	}
	// Nobody need answer for what would be refused.
	if err := refusal(p, looks); err != nil {
		return err
	}
	asking, answered := briefly(ctx, "asking which commits come with it")
	defer answered()
	histories, err := phases.Histories(asking, p, looks)
	if err != nil {
		return err
	}
	for _, line := range shortPreview(p, looks, histories) {
		h.insist(line)
	}
	answer, err := ask(ctx, fmt.Sprintf("promote %s? [y/N] ", p.Plan.Short()), false)
	if err != nil {
		return err
	}
	if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
		return &refusedError{Text: p.Plan.Short() + " is not promoted: the answer was no", Next: "rel start{here}, or rel plan{here} for all of it"}
	}
	h.agreed = p.Plan.Commit // who waits for a hold is not asked again
	return nil
}

// refusal is the gravest reason that the targets have to refuse the plan, if they have one.
func refusal(p *phases.Promotion, looks []*phases.Look) error {
	for i, target := range p.Targets {
		if refused := looks[i].Refusals(target.Name(), &p.Plan); len(refused) > 0 {
			return refused[0]
		}
	}
	return nil
}
