package config

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

// Plan translates the file. Only the commit is still open. It reads the certificates that
// checks name, and fails if it cannot.
func (f *File) Plan() (phases.Plan, error) {
	p := phases.Plan{
		App: f.App, Branch: f.Branch, Manifest: f.Manifest, Restart: f.Services.Restart, Settle: f.Services.Settle,
		Confirm: f.Confirm, OnUnhealthy: f.OnUnhealthy, Keep: f.Keep,
		Build: phases.Site{Host: f.Build.Host, Repo: pick(f.Build.Repo, f.Repo)},
	}
	if f.Copy.Via != "auto" {
		p.Via, p.Cache = f.Copy.Via, f.Copy.Cache
	}
	for _, t := range f.Target {
		site := phases.Site{Host: t.Host, Repo: pick(t.Repo, f.Repo), FromBuild: t.FromBuild}
		site.Become, site.BecomeCommand, site.BecomePassword = f.RootOf(&t)
		p.Targets = append(p.Targets, site)
	}
	for _, a := range f.Artifact {
		p.Artifacts = append(p.Artifacts, phases.Artifact(a))
	}
	for phase, limit := range f.Limit.limits() {
		if p.Limits == nil {
			p.Limits = map[string]phases.Limit{}
		}
		p.Limits[phase] = phases.Limit{Deadline: duration(limit.Deadline, 0), Silence: duration(limit.Silence, 0)}
	}
	for i := range f.Check {
		check, err := f.Check[i].plan(filepath.Dir(f.path))
		if err != nil {
			return p, &Error{Path: f.path, Text: fmt.Sprintf("check %q: %v", f.Check[i].Name, err)}
		}
		p.Checks = append(p.Checks, check)
	}
	return p, nil
}

// AskPassword is the one value of become_password: a password that stands in a file is no
// secret.
const AskPassword = "ask"

// RootOf is how the login user of a target becomes root. A target that has a way of its
// own has nothing of the one for every target.
func (f *File) RootOf(t *Target) (name, command, password string) {
	name, command, password = f.Become, f.BecomeCommand, f.BecomePassword
	if t.Become != nil || t.BecomeCommand != nil {
		name, command, password = pick(t.Become, ""), pick(t.BecomeCommand, ""), ""
	}
	if name == "sudo" && t.Become != nil && t.BecomePassword == nil {
		password = f.BecomePassword // it is sudo's all the same
	}
	return name, command, pick(t.BecomePassword, password)
}

// plan fills in the defaults: a check of three probes or so on a service that
// is up, and one minute for a service that is slow to come.
func (k *Check) plan(dir string) (phases.Check, error) {
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

// Differences names the parts in which the recorded plan is not what the
// configuration would make today.
func Differences(recorded, today phases.Plan) []string {
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
