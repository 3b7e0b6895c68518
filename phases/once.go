package phases

import (
	"context"
	"errors"
	"net"
	"strings"
)

// errNothingLive says of a check that it cannot be asked before there is a release.
var errNothingLive = errors.New("it asks for the release, and nothing is live yet")

// Probe asks a check once, of the release with that id and commit: from the operator,
// if host is nil. Without a commit only what says nothing of the release is asked for.
// undecided says of an error that it tells nothing about what is asked.
func Probe(ctx context.Context, c Check, host Host, id, commit string) (undecided bool, err error) {
	if commit == "" {
		if c, err = c.anonymous(); err != nil {
			return false, err
		}
	} else {
		p := Promotion{ID: id, Facts: Facts{Build: &Release{Commit: commit}}}
		c = p.expand(c)
	}
	dial := new(net.Dialer).DialContext
	if host != nil {
		dial = host.DialContext
	}
	p, err := newProber(c, dial)
	if err != nil {
		return true, err
	}
	defer p.client.CloseIdleConnections()
	err = p.probe(ctx)
	return err != nil && verdictOf(err) == Inconclusive, err
}

// anonymous is the check without what names the release.
func (c Check) anonymous() (Check, error) {
	names := func(text string) bool { return strings.Contains(text, "${") }
	for _, u := range c.URLs {
		if names(u) {
			return c, errNothingLive
		}
	}
	for _, text := range []*string{&c.Body, &c.Location, &c.Header} {
		if names(*text) {
			*text = ""
		}
	}
	return c, nil
}
