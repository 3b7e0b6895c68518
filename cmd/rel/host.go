package main

import (
	"context"
	"net"
	"sync"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// host is what phases know of a remote host. It connects at its first use, and
// again when the connection was lost in between.
type host struct {
	name   string
	dialer *remote.Dialer
	// become is how a login that is not root's becomes root.
	become string

	mu   sync.Mutex
	open *remote.Host
}

var _ phases.Host = (*host)(nil)

func (h *host) Name() string { return h.name }

func (h *host) connect(ctx context.Context) (*remote.Host, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil && !h.open.Closed() {
		return h.open, nil
	}
	open, err := h.dialer.Dial(ctx, h.name)
	if err != nil {
		return nil, err
	}
	open.Sudo = h.become == "sudo"
	h.open = open
	return open, nil
}

func (h *host) Run(ctx context.Context, s phases.Script) ([]byte, error) {
	open, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	return open.Run(ctx, remote.Script(s))
}

func (h *host) Upload(ctx context.Context, path string, data []byte, mode uint32) error {
	open, err := h.connect(ctx)
	if err != nil {
		return err
	}
	return open.Upload(ctx, path, data, mode)
}

func (h *host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	open, err := h.connect(ctx)
	if err != nil {
		return nil, err
	}
	return open.DialContext(ctx, network, addr)
}

// Redial opens a second connection, beside the one that is open.
func (h *host) Redial(ctx context.Context) (phases.Connection, error) {
	fresh := &host{name: h.name, dialer: h.dialer, become: h.become}
	_, err := fresh.connect(ctx)
	return fresh, err
}

// connected reports whether the host was reached in this run.
func (h *host) connected() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open != nil
}

func (h *host) key() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == nil {
		return ""
	}
	return h.open.Key()
}

// Close ends the connection.
func (h *host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open != nil {
		h.open.Close()
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
	var list phases.HostErrors
	for _, err := range failures {
		if err != nil {
			list = append(list, err)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}
