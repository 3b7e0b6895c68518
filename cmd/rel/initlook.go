package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/cmd/rel/proposal"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// lookAround asks all hosts at once. All that cannot be asked are told. Where no file is to
// be written no key is recorded either.
func (h *house) lookAround(ctx context.Context, c *initCmd) (*proposal.Found, error) {
	dialer := h.dialer()
	dialer.ReadOnly = c.Stdout
	f := &proposal.Found{Build: c.Build, Repo: c.Repo}
	hosts := []*host{h.host(dialer, phases.Site{Host: c.Build})}
	for _, name := range c.Target {
		f.Targets = append(f.Targets, &proposal.FoundTarget{Host: name})
		hosts = append(hosts, h.host(dialer, phases.Site{Host: name}))
	}
	failures := make([]error, len(hosts))
	var wait sync.WaitGroup
	for i, host := range hosts {
		wait.Go(func() {
			if i > 0 {
				failures[i] = h.lookAtTarget(ctx, host, c.Repo, f.Targets[i-1])
				return
			}
			ctx, cancel := patiently(ctx, host)
			defer cancel()
			f.Source, failures[i] = phases.InspectSource(ctx, host, c.Repo)
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, phases.Join(failures)
}

// patiently bounds what a host is asked of itself.
func patiently(ctx context.Context, host *host) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, phases.InspectPatience,
		&remote.LostError{Host: host.name, Err: fmt.Errorf("no answer within %s", phases.InspectPatience)})
}

// lookAtTarget asks a target, as root if the login is, or can become it.
func (h *house) lookAtTarget(ctx context.Context, host *host, repo string, t *proposal.FoundTarget) error {
	open, err := host.connect(ctx)
	if err != nil {
		return err
	}
	t.User = open.User()
	if t.User != "root" {
		if err := h.tryRoot(ctx, host, open, t); err != nil {
			return err
		}
	}
	ctx, cancel := patiently(ctx, host)
	defer cancel()
	t.Served, err = phases.InspectServed(ctx, host, repo, t.Sudo == nil)
	if err != nil {
		return err
	}
	t.Answers = proposal.Ask(ctx, host, t.Served)
	return nil
}

// tryRoot looks what makes root of the login, best without a password: where sudo wants
// one, doas may not. Only then somebody is asked for it.
func (h *house) tryRoot(ctx context.Context, host *host, open *remote.Host, t *proposal.FoundTarget) error {
	ways := []phases.Site{{Become: "sudo"}, {Become: "doas"}, {Become: "sudo", BecomePassword: config.AskPassword}}
	for _, way := range ways {
		asks := way.BecomePassword != ""
		if asks && (h.asker() == nil || !t.WantsPassword()) {
			break
		}
		way.Host = t.Host
		become, err := h.become(way)
		if err != nil {
			return err
		}
		host.become, open.Become = become, become
		var refused *remote.SudoError
		switch err := open.TryBecome(ctx); {
		case err == nil:
			t.Become, t.Asks, t.Sudo = way.Become, asks, nil
			return nil
		case !errors.As(err, &refused):
			return err
		case t.Sudo == nil:
			t.Sudo = refused
		case asks:
			h.tell(fmt.Sprintf("%s: %s: it is looked at without root", t.Host, refused))
		}
	}
	return nil
}
