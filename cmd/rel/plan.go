package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"choir.chat/rel/phases"
)

// plan translates the configuration. Only the commit is still open.
func (c *config) plan() (phases.Plan, error) {
	p := phases.Plan{
		App: c.App, Branch: c.Branch, Manifest: c.Manifest, Restart: c.Services.Restart, Settle: c.Services.Settle,
		Confirm: c.Confirm, OnUnhealthy: c.OnUnhealthy, Keep: c.Keep,
		Build: phases.Site{Host: c.Build.Host, Repo: pick(c.Build.Repo, c.Repo)},
	}
	if c.Copy.Via != "auto" {
		p.Via, p.Cache = c.Copy.Via, c.Copy.Cache
	}
	for _, t := range c.Target {
		site := phases.Site{Host: t.Host, Repo: pick(t.Repo, c.Repo), FromBuild: t.FromBuild}
		site.Become, site.BecomeCommand, site.BecomePassword = c.become(&t)
		p.Targets = append(p.Targets, site)
	}
	for _, a := range c.Artifact {
		p.Artifacts = append(p.Artifacts, phases.Artifact(a))
	}
	for phase, limit := range c.Limit.limits() {
		if p.Limits == nil {
			p.Limits = map[string]phases.Limit{}
		}
		p.Limits[phase] = phases.Limit{Deadline: duration(limit.Deadline, 0), Silence: duration(limit.Silence, 0)}
	}
	for i := range c.Check {
		check, err := c.Check[i].plan(filepath.Dir(c.path))
		if err != nil {
			return p, &configError{Path: c.path, Text: fmt.Sprintf("check %q: %v", c.Check[i].Name, err)}
		}
		p.Checks = append(p.Checks, check)
	}
	return p, nil
}

// become is how the login user of a target becomes root. A target that has a way of its
// own has nothing of the one for every target.
func (c *config) become(t *targetConfig) (name, command, password string) {
	name, command, password = c.Become, c.BecomeCommand, c.BecomePassword
	if t.Become != nil || t.BecomeCommand != nil {
		name, command, password = pick(t.Become, ""), pick(t.BecomeCommand, ""), ""
	}
	if name == "sudo" && t.Become != nil && t.BecomePassword == nil {
		password = c.BecomePassword // it is sudo's all the same
	}
	return name, command, pick(t.BecomePassword, password)
}

// plan fills in the defaults: a check of three probes or so on a service that
// is up, and one minute for a service that is slow to come.
func (k *checkConfig) plan(dir string) (phases.Check, error) {
	check := phases.Check{
		Name: k.Name, From: k.From, URLs: k.urls(), Status: k.Status, Body: k.Body, Location: k.Location, Header: k.Header,
		Resolve: k.Resolve, Insecure: k.Insecure, Successes: k.Successes,
		StartPeriod: duration(k.StartPeriod, 5*time.Second), Interval: duration(k.Interval, time.Second),
		Timeout: duration(k.Timeout, 5*time.Second), Deadline: duration(k.Deadline, time.Minute),
	}
	if check.From == "" {
		check.From = "target"
	}
	if check.Status == 0 {
		check.Status = 200
	}
	if check.Successes == 0 {
		check.Successes = 2
	}
	if k.CA != "" {
		name := k.CA
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		pem, err := os.ReadFile(name)
		if err != nil {
			return check, fmt.Errorf("ca: %w", err)
		}
		check.CA = string(pem)
	}
	return check, nil
}

func duration(set *phases.Duration, otherwise time.Duration) phases.Duration {
	if set != nil {
		return *set
	}
	return phases.Duration(otherwise)
}

// planDifferences names the parts in which the recorded plan is not what the
// configuration would make today.
func planDifferences(recorded, today phases.Plan) []string {
	// These are the promotion's own; no configuration has them.
	today.Commit, today.Subject = recorded.Commit, recorded.Subject
	today.AllowDowngrade, today.AcceptDrift = recorded.AllowDowngrade, recorded.AcceptDrift
	today.Again, today.Force, today.Release = recorded.Again, recorded.Force, recorded.Release
	a, b := parts(recorded), parts(today)
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if string(a[key]) != string(b[key]) {
			differ = append(differ, key)
		}
		delete(b, key)
	}
	return append(differ, slices.Sorted(maps.Keys(b))...)
}

func parts(p phases.Plan) map[string]json.RawMessage {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a plan is strings and numbers
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	return m
}
