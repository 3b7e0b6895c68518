package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// targetStatus is what one target runs, against what the journal says.
type targetStatus struct {
	Host string `json:"host"`
	// Live is the promotion that the target holds for live and confirmed;
	// Journal the one that this journal does.
	Live    string `json:"live,omitempty"`
	Commit  string `json:"sha,omitempty"`
	Journal string `json:"journal,omitempty"`
	// Pending is a promotion that waits for its confirmation.
	Pending string            `json:"pending,omitempty"`
	Links   map[string]string `json:"links,omitempty"`
	Units   map[string]string `json:"units,omitempty"`
	// Drift says in which ways the target is not as the journal has it.
	Drift []string `json:"drift,omitempty"`
	// Error is why the target could not be asked.
	Error string `json:"error,omitempty"`
}

// Run asks every target what it runs.
func (c *statusCmd) Run(ctx context.Context, h *house) error {
	if err := h.open(); err != nil {
		return err
	}
	history, err := h.history()
	if err != nil {
		return err
	}
	plan, err := h.config.plan()
	if err != nil {
		return err
	}
	live := history.Live()
	dialer := h.dialer()
	list := make([]targetStatus, len(plan.Targets))
	failures := make([]error, len(plan.Targets))
	var wait sync.WaitGroup
	for i, site := range plan.Targets {
		target := &host{name: site.Host, dialer: dialer}
		h.hosts = append(h.hosts, target)
		wait.Go(func() { list[i], failures[i] = statusOf(ctx, target, &plan, live) })
	}
	wait.Wait()
	if err := c.print(h, list, history); err != nil {
		return err
	}
	return verdict(list, failures)
}

// verdict is how status ends: drift and hosts that cannot be asked are no
// success, so that a monitor may run it.
func verdict(list []targetStatus, failures []error) error {
	for _, err := range failures {
		if err != nil {
			return &exitError{explain(err).code}
		}
	}
	for _, s := range list {
		if len(s.Drift) > 0 {
			return &exitError{exitRefused}
		}
	}
	return nil
}

func statusOf(ctx context.Context, target *host, plan *phases.Plan, live *machine.Past) (targetStatus, error) {
	s := targetStatus{Host: target.name}
	// Reaching the host has deadlines of its own: a passphrase may be asked for.
	if _, err := target.connect(ctx); err != nil {
		s.Error = remote.Clean(explain(err).what)
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*lookTimeout)
	defer cancel()
	id := ""
	if live != nil {
		s.Journal, id = live.ID, live.ID
	}
	look, err := phases.LookAt(ctx, target, nil, plan, id)
	if err != nil {
		s.Error = remote.Clean(explain(err).what)
		return s, err
	}
	s.Live, s.Commit, s.Pending, s.Links = look.Live, look.LiveCommit, look.Pending, look.Links
	s.Units = map[string]string{}
	for name, unit := range look.Units {
		s.Units[name] = unit["ActiveState"]
	}
	s.Drift = drift(look, plan, live)
	return s, nil
}

// drift names the ways in which a target is not as the journal has it.
func drift(look *phases.Look, plan *phases.Plan, live *machine.Past) []string {
	var ways []string
	if live == nil {
		if look.Live != "" {
			ways = append(ways, "this journal does not know "+look.Live)
		}
		return ways
	}
	if look.Live != live.ID {
		ways = append(ways, fmt.Sprintf("it holds %s for live, the journal %s", orNothing(look.Live), live.ID))
	}
	release := live.Release()
	for i := range release.Outputs {
		o := &release.Outputs[i]
		if at := look.Links[o.Link]; at != o.Target() {
			ways = append(ways, fmt.Sprintf("%s points at %s, not at %s", o.Link, orNothing(at), o.Target()))
		}
	}
	for _, unit := range plan.Restart {
		if u := look.Units[unit]; !u.Up() {
			ways = append(ways, fmt.Sprintf("unit %s is %s", unit, orNothing(u["ActiveState"])))
		}
	}
	return ways
}

func (c *statusCmd) print(h *house, list []targetStatus, history machine.History) error {
	if c.JSON {
		encoder := json.NewEncoder(h.std.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(struct {
			Schema  int            `json:"schema"`
			Targets []targetStatus `json:"targets"`
		}{1, list})
	}
	for i := range list {
		s := &list[i]
		if s.Error != "" {
			fmt.Fprintf(h.std.out, "%s\n", s.Error)
			continue
		}
		subject := ""
		if past := history.Find(s.Live); past != nil {
			subject = "  " + past.Start.Plan.Subject
		}
		fmt.Fprintf(h.std.out, "%s  %s  %s%s\n", s.Host, orNothing(s.Live), shortOr(s.Commit, "no commit"), subject)
		for _, link := range slices.Sorted(maps.Keys(s.Links)) {
			fmt.Fprintf(h.std.out, "    %s -> %s\n", link, s.Links[link])
		}
		for _, unit := range slices.Sorted(maps.Keys(s.Units)) {
			fmt.Fprintf(h.std.out, "    %s %s\n", unit, s.Units[unit])
		}
		if s.Pending != "" {
			fmt.Fprintf(h.std.out, "    %s is applied and not confirmed\n", s.Pending)
		}
		for _, way := range s.Drift {
			fmt.Fprintf(h.std.out, "    drift: %s\n", way)
		}
	}
	return nil
}
