package proposal

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/phases"
)

const (
	// mostAsked is how many addresses of a target are asked; it serves what it
	// serves on a few.
	mostAsked = 20
	// askTimeout bounds one GET. The services are up, or are not asked.
	askTimeout = 3 * time.Second
	// pageSeen is how much of a page is looked at: as much as a check looks at.
	pageSeen = 64 << 10
)

// Ask asks each address that a unit listens on for a page, through the target.
func Ask(ctx context.Context, host phases.Host, served *phases.Served) map[netip.AddrPort]Answer {
	var addresses []netip.AddrPort
	for _, service := range served.Services {
		addresses = append(addresses, service.Listens...)
	}
	slices.SortFunc(addresses, netip.AddrPort.Compare)
	addresses = slices.Compact(addresses)
	addresses = addresses[:min(len(addresses), mostAsked)]
	list := make([]Answer, len(addresses))
	var wait sync.WaitGroup
	for i, address := range addresses {
		wait.Go(func() { list[i] = askPages(ctx, host, reachable(address), served.Head) })
	}
	wait.Wait()
	answers := map[netip.AddrPort]Answer{}
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
func askPages(ctx context.Context, host phases.Host, address netip.AddrPort, head string) (answer Answer) {
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

func askPage(ctx context.Context, client *http.Client, url, head string) (answer Answer) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Answer{err: err}
	}
	request.Header.Set("User-Agent", "rel")
	response, err := client.Do(request)
	if err != nil {
		return Answer{err: err}
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, pageSeen))
	if err != nil {
		return Answer{err: err}
	}
	return Answer{status: response.StatusCode, commit: aCommit.Match(page),
		ours: aCommit.MatchString(head) && strings.Contains(string(page), head)}
}
