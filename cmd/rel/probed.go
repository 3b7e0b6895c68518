package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"choir.chat/rel/phases"
)

// probed is what one probe of a check came to.
type probed struct {
	check phases.Check
	// host is the target that was asked; empty for the operator.
	host string
	// commit is what is live; empty, if nothing is: then the check was asked for less.
	commit    string
	undecided bool
	err       error
}

// askChecks asks once what the plan has to be asked from there, of what is live on the
// target.
func askChecks(ctx context.Context, plan *phases.Plan, host phases.Host, from string, look *phases.Look) []probed {
	var list []probed
	for i := range plan.Checks {
		if c := plan.Checks[i]; c.From == from {
			list = append(list, probed{check: c, commit: look.LiveCommit})
		}
	}
	var wait sync.WaitGroup
	for i := range list {
		wait.Go(func() {
			a := &list[i]
			if host != nil {
				a.host = host.Name()
			}
			a.undecided, a.err = phases.Probe(ctx, a.check, host, look.Live, look.LiveCommit)
		})
	}
	wait.Wait()
	return list
}

// askOwnChecks asks what the operator's machine has to ask, of what is live on the
// first target that can be asked.
func askOwnChecks(ctx context.Context, plan *phases.Plan, targets []*examined) []probed {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	look := new(phases.Look)
	for _, p := range targets {
		if p.look != nil {
			look = p.look
			break
		}
	}
	return askChecks(ctx, plan, nil, "operator", look)
}

func judgeOwnChecks(f *findings, plan *phases.Plan, list []probed) {
	if len(plan.Checks) == 0 {
		f.warn("checks", "[[check]] in rel.toml", "there is none: healthy means no more than that the units stay up")
	}
	judgeChecks(f, list)
}

func judgeChecks(f *findings, list []probed) {
	for i := range list {
		a := &list[i]
		name := "check " + a.check.Name
		switch {
		case a.err == nil && a.commit == "":
			f.ok(name, "it passes, as far as it can: nothing is live yet")
		case a.err == nil:
			f.ok(name, "it passes with %s live", phases.Short(a.commit))
		case a.undecided:
			f.fail(name, a.cure(f.advice), "it cannot be asked: %v", a.err)
		case a.commit == "":
			f.ok(name, "not there yet, as nothing is live: %v", a.err)
		default:
			f.fail(name, a.cure(f.advice), "it does not pass with %s live: %v", phases.Short(a.commit), a.err)
		}
	}
}

// cure asks the same where a person can see it.
func (a *probed) cure(to advice) string {
	c := &a.check
	command := fmt.Sprintf("curl -sS -i --max-time %.0f", max(1, time.Duration(c.Timeout).Seconds()))
	if c.Insecure || c.CA != "" {
		command += " -k"
	}
	if at, err := url.Parse(c.URLs[0]); err == nil && c.Resolve != "" {
		port := at.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[at.Scheme]
		}
		command += " --resolve " + net.JoinHostPort(at.Hostname(), port) + ":" + c.Resolve
	}
	command += " " + quoted(c.URLs[0])
	if a.host == "" {
		return command
	}
	return to.there(a.host, command)
}
