package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// errNobodyThere says that a password is wanted and that there is no terminal.
var errNobodyThere = errors.New("there is no terminal to ask for it on")

// become is how the login user of a host becomes root; nil, if the plan does not say.
func (h *house) become(site phases.Site) (*remote.Become, error) {
	if site.Become == "" && site.BecomeCommand == "" {
		return nil, nil
	}
	var ask func(ctx context.Context, user string) (string, error)
	if site.BecomePassword == config.AskPassword {
		ask = func(ctx context.Context, user string) (string, error) {
			question := h.asker()
			if question == nil {
				return "", errNobodyThere
			}
			return question(ctx, fmt.Sprintf("Password of %s on %s, for sudo: ", user, site.Host), true)
		}
	}
	return remote.NewBecome(site.Become, site.BecomeCommand, ask)
}

// forwardTimeout bounds the trial of all checks of a target: what is not refused by
// then is not refused.
const forwardTimeout = 3 * time.Second

// tryForwarding makes sure that the checks that go through the targets can: an sshd may
// forbid it, and a release that nobody can check goes back.
func tryForwarding(ctx context.Context, p *phases.Promotion) error {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	addresses := throughTarget(p.Plan.Checks)
	failures := make([]error, len(p.Targets))
	var wait sync.WaitGroup
	for i, target := range p.Targets {
		wait.Go(func() { failures[i] = forbids(ctx, target, addresses) })
	}
	wait.Wait()
	return phases.Join(failures)
}

// forbids is the error of a target that does not connect to one of the addresses for
// us. Whether anybody is there is for the checks to say. All are tried at once, and while
// the target's first shell is opened: that takes longer.
func forbids(ctx context.Context, target phases.Host, addresses []string) error {
	failures := make([]error, len(addresses))
	var wait sync.WaitGroup
	for i, address := range addresses {
		wait.Go(func() {
			conn, err := target.DialContext(ctx, "tcp", address)
			var forbidden *remote.ForwardError
			if errors.As(err, &forbidden) {
				failures[i] = err
			} else if err == nil {
				conn.Close()
			}
		})
	}
	wait.Wait()
	for _, err := range failures {
		if err != nil {
			return err
		}
	}
	return nil
}

// throughTarget are the addresses that the checks of a target connect to, each once.
func throughTarget(checks []phases.Check) (addresses []string) {
	seen := map[string]bool{}
	for _, c := range checks {
		if c.From == "operator" {
			continue
		}
		for _, text := range c.URLs {
			u, err := url.Parse(text)
			if err != nil {
				continue
			}
			name, port := u.Hostname(), u.Port()
			if c.Resolve != "" {
				name = c.Resolve
			}
			if port == "" {
				port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
			}
			if address := net.JoinHostPort(name, port); !seen[address] {
				seen[address] = true
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}
