package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// host is what phases know of a remote host. It connects at its first use, and
// again when the connection was lost in between.
type host struct {
	name   string
	dialer *remote.Dialer
	// become is how a login that is not root's becomes root, and tried says that it
	// was found to; wrong is what is wrong with it.
	become *remote.Become
	tried  bool
	wrong  error
	// again says that it was reached before, through another connection.
	again bool
	// say tells the operator what is tried again.
	say func(string)
	// raw makes what takes a script's standard error as it comes.
	raw func(host string) io.WriteCloser

	// dialling is for one at a time; whoever waits for it may give up.
	dialling chan struct{}
	open     atomic.Pointer[remote.Host]
}

var _ phases.Host = (*host)(nil)

// host is the remote host of that name, not connected yet.
func (h *house) host(dialer *remote.Dialer, site phases.Site) *host {
	host := &host{name: site.Host, dialer: dialer, dialling: make(chan struct{}, 1), say: h.tell, raw: h.raw}
	host.become, host.wrong = h.become(site)
	h.hosts = append(h.hosts, host)
	return host
}

func (h *host) Name() string { return h.name }

const (
	// firstDials is how often a host is dialled that was not reached yet: it may
	// be starting, but mostly it is the wrong one.
	firstDials = 2
	// moreDials is how often it is when its connection was lost: a laptop that
	// changes its network takes a while.
	moreDials = 6
	// sendings is how often what was surely not sent is.
	sendings = 3
)

// firstPause is the one before a host is dialled again; the next are longer. It is a
// variable for tests that cut connections thousands of times.
var firstPause = time.Second

// connect returns the open connection, or opens one.
func (h *host) connect(ctx context.Context) (*remote.Host, error) {
	select {
	case h.dialling <- struct{}{}:
		defer func() { <-h.dialling }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	open := h.open.Load()
	if open != nil && !open.Closed() || h.wrong != nil {
		return open, h.wrong
	}
	tries := uint(firstDials)
	if open != nil {
		tries = moreDials
	}
	try := 1
	open, err := backoff.Retry(ctx, func() (*remote.Host, error) { return h.dial(ctx) },
		backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: firstPause, Multiplier: 2, MaxInterval: 15 * time.Second}),
		backoff.WithMaxTries(tries), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			try++
			h.say(fmt.Sprintf("%v; trying again in %s (%d of %d)", err, wait.Round(time.Second), try, tries))
		}))
	if err != nil {
		return nil, err
	}
	open.Become = h.become
	h.open.Store(open)
	// Shells are there by the time that the first script is. What a connection of its
	// own is for runs as root.
	if !h.again {
		open.Stand(false)
	}
	if h.tried {
		open.Stand(true)
		return open, nil
	}
	// Before anything: who cannot become root should not be told so half-way.
	if err = open.TryBecome(ctx); err == nil {
		open.Stand(true)
	}
	var lost *remote.LostError
	h.tried = !errors.As(err, &lost)
	return open, err
}

// dial dials once. Only what may be otherwise in a moment is worth another try.
func (h *host) dial(ctx context.Context) (*remote.Host, error) {
	open, err := h.dialer.Dial(ctx, h.name)
	var unreached *remote.DialError
	// A name that was found once will be again: a laptop without a network finds none.
	found := h.again || h.open.Load() != nil
	if err != nil && (!errors.As(err, &unreached) || !unreached.Fleeting() && !found) {
		return nil, backoff.Permanent(err)
	}
	return open, err
}

// through does what needs the connection, and does it again where it is certain
// that nothing of it was sent, or that it does no harm to send it twice.
func (h *host) through(ctx context.Context, harmless bool, fn func(*remote.Host) error) error {
	for try := 1; ; try++ {
		open, err := h.connect(ctx)
		if err != nil {
			return err
		}
		err = fn(open)
		var lost *remote.LostError
		if !errors.As(err, &lost) || !lost.Unsent && !harmless || try == sendings || ctx.Err() != nil {
			return err
		}
		h.say(lost.Error() + "; connecting again")
	}
}

func (h *host) Run(ctx context.Context, s phases.Script) (out []byte, err error) {
	open, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	if s.Lasts && open.FewSessions() {
		own, err := h.Redial(ctx)
		if err != nil {
			return nil, err
		}
		defer own.Close()
		s.Lasts = false
		return own.Run(ctx, s)
	}
	raw := h.raw(h.name)
	defer raw.Close()
	script := remote.Script{Name: deed(s.Name), Code: s.Code, Parts: phases.Parts(s.Code), Env: s.Env, Root: s.Root, Stdin: s.Stdin, Stdout: s.Stdout, Bytes: s.Bytes, Line: s.Line,
		Raw: raw, Decode: s.Decode, Lasts: s.Lasts}
	if s.Loan != nil {
		script.Loan = s.Loan.(*remote.Loan)
	}
	// What may be sent again is not read but once.
	var input []byte
	if s.Stdin != nil && (s.Reads || !script.Alone()) {
		if input, err = io.ReadAll(s.Stdin); err != nil {
			return nil, err
		}
	}
	err = h.through(ctx, s.Reads, func(open *remote.Host) (err error) {
		if input != nil {
			script.Stdin = bytes.NewReader(input)
		}
		out, err = open.Run(ctx, script)
		return err
	})
	return out, err
}

// Uplink is how far the host is, and how much a second can be sent there; zero for what
// could not be learned.
func (h *host) Uplink(ctx context.Context, probe bool) (rtt time.Duration, bytesPerSecond float64) {
	open, err := h.connect(ctx)
	if err != nil {
		return 0, 0
	}
	rtt, bytesPerSecond, _ = open.Measure(ctx, probe)
	return rtt, bytesPerSecond
}

func (h *host) Upload(ctx context.Context, path string, data []byte, mode uint32) error {
	return h.through(ctx, true, func(open *remote.Host) error { return open.Upload(ctx, path, data, mode) })
}

func (h *host) DialContext(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = h.through(ctx, false, func(open *remote.Host) (err error) {
		conn, err = open.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

func (h *host) Loan(ctx context.Context, address string) (phases.Loan, error) {
	open, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	return open.Loan(address)
}

// Redial opens a second connection, beside the one that is open.
func (h *host) Redial(ctx context.Context) (phases.Connection, error) {
	fresh := &host{name: h.name, dialer: h.dialer, become: h.become, tried: true, again: true, say: h.say, raw: h.raw, dialling: make(chan struct{}, 1)}
	_, err := fresh.connect(ctx)
	return fresh, err
}

// connected reports whether the host was reached in this run.
func (h *host) connected() bool { return h.open.Load() != nil }

// Reached reports whether there is a connection at this moment.
func (h *host) Reached() bool {
	open := h.open.Load()
	return open != nil && !open.Closed()
}

func (h *host) key() string {
	if open := h.open.Load(); open != nil {
		return open.Key()
	}
	return ""
}

// Close ends the connection.
func (h *host) Close() {
	if open := h.open.Load(); open != nil {
		open.Close()
	}
}

// connectAll connects to the hosts side by side. All failures are told, not
// only the first: who has to mend two things should not need two runs.
func connectAll(ctx context.Context, hosts []*host) error {
	failures := make([]error, len(hosts))
	var wait sync.WaitGroup
	for i, h := range hosts {
		wait.Go(func() { _, failures[i] = h.connect(ctx) })
	}
	wait.Wait()
	return phases.Join(failures)
}
