package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// found is what the hosts are like.
type found struct {
	build, repo string
	source      *phases.Source
	targets     []*foundTarget
}

// foundTarget is what a target is like.
type foundTarget struct {
	host   string
	user   string
	served *phases.Served
	// become is what the login becomes root with; sudo why it cannot with sudo, nor with
	// anything else.
	become string
	sudo   *remote.SudoError
	// answers are those of the addresses that its units listen on.
	answers map[netip.AddrPort]webAnswer
}

// webAnswer is what a server said to a GET: Err why there was no answer.
type webAnswer struct {
	path   string
	status int
	// commit says that the page has a commit in it, ours that it is the one that is
	// checked out there.
	commit, ours bool
	err          error
}

// lookAround asks all hosts at once. All that cannot be asked are told. Where no file is to
// be written no key is recorded either.
func (h *house) lookAround(ctx context.Context, c *initCmd) (*found, error) {
	dialer := h.dialer()
	dialer.ReadOnly = c.Stdout
	f := &found{build: c.Build, repo: c.Repo}
	hosts := []*host{h.host(dialer, phases.Site{Host: c.Build})}
	for _, name := range c.Target {
		f.targets = append(f.targets, &foundTarget{host: name})
		hosts = append(hosts, h.host(dialer, phases.Site{Host: name}))
	}
	failures := make([]error, len(hosts))
	var wait sync.WaitGroup
	for i, host := range hosts {
		wait.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, phases.InspectPatience,
				&remote.LostError{Host: host.name, Err: fmt.Errorf("no answer within %s", phases.InspectPatience)})
			defer cancel()
			if i == 0 {
				f.source, failures[i] = phases.InspectSource(ctx, host, c.Repo)
			} else {
				failures[i] = f.targets[i-1].look(ctx, host, c.Repo)
			}
		})
	}
	wait.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return f, phases.Join(failures)
}

// look asks a target, as root if the login is, or can become it without a password.
func (t *foundTarget) look(ctx context.Context, host *host, repo string) error {
	open, err := host.connect(ctx)
	if err != nil {
		return err
	}
	t.user = open.User()
	if t.user != "root" {
		if err := t.tryRoot(ctx, host, open); err != nil {
			return err
		}
	}
	t.served, err = phases.InspectServed(ctx, host, repo, t.sudo == nil)
	if err != nil {
		return err
	}
	t.answers = askAround(ctx, host, t.served)
	return nil
}

// tryRoot looks what makes root of the login and asks for no password. Where sudo wants
// one, doas may not.
func (t *foundTarget) tryRoot(ctx context.Context, host *host, open *remote.Host) error {
	for _, by := range []string{"sudo", "doas"} {
		become, err := remote.NewBecome(by, "", nil)
		if err != nil {
			return err
		}
		host.become, open.Become = become, become
		var refused *remote.SudoError
		switch err := open.TryBecome(ctx); {
		case err == nil:
			t.become, t.sudo = by, nil
			return nil
		case !errors.As(err, &refused):
			return err
		case t.sudo == nil:
			t.sudo = refused
		}
	}
	return nil
}

const (
	// mostAsked is how many addresses of a target are asked; it serves what it
	// serves on a few.
	mostAsked = 20
	// askTimeout bounds one GET. The services are up, or are not asked.
	askTimeout = 3 * time.Second
	// pageSeen is how much of a page is looked at: as much as a check looks at.
	pageSeen = 64 << 10
)

// askAround asks each address that a unit listens on for a page, through the target.
func askAround(ctx context.Context, host phases.Host, served *phases.Served) map[netip.AddrPort]webAnswer {
	var addresses []netip.AddrPort
	for _, service := range served.Services {
		addresses = append(addresses, service.Listens...)
	}
	slices.SortFunc(addresses, netip.AddrPort.Compare)
	addresses = slices.Compact(addresses)
	addresses = addresses[:min(len(addresses), mostAsked)]
	list := make([]webAnswer, len(addresses))
	var wait sync.WaitGroup
	for i, address := range addresses {
		wait.Go(func() { list[i] = askPages(ctx, host, reachable(address), served.Head) })
	}
	wait.Wait()
	answers := map[netip.AddrPort]webAnswer{}
	for i, address := range addresses {
		answers[address] = list[i]
	}
	return answers
}

// reachable is where a server that listens on an address is reached from its own host.
func reachable(address netip.AddrPort) netip.AddrPort {
	switch ip := address.Addr(); {
	case ip == netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	case ip == netip.IPv6Unspecified(): // which is every address of IPv4 too, mostly
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	return address
}

// healthPages are where servers mostly say how they are; the last is what any has.
var healthPages = []string{"/health", "/healthz", "/"}

// askPages is the first answer that is no error, or that of the last page.
func askPages(ctx context.Context, host phases.Host, address netip.AddrPort, head string) (answer webAnswer) {
	client := &http.Client{
		Timeout:       askTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true},
	}
	for _, path := range healthPages {
		answer = askPage(ctx, client, "http://"+address.String()+path, head)
		answer.path = path
		if answer.err != nil || answer.status < 400 {
			break // who does not speak HTTP will not at the next page
		}
	}
	return answer
}

// aCommit is a commit's name in a page.
var aCommit = regexp.MustCompile(`\b[0-9a-f]{40}\b`)

func askPage(ctx context.Context, client *http.Client, url, head string) (answer webAnswer) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return webAnswer{err: err}
	}
	request.Header.Set("User-Agent", "rel")
	response, err := client.Do(request)
	if err != nil {
		return webAnswer{err: err}
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, pageSeen))
	if err != nil {
		return webAnswer{err: err}
	}
	return webAnswer{status: response.StatusCode, commit: aCommit.Match(page),
		ours: aCommit.MatchString(head) && strings.Contains(string(page), head)}
}
