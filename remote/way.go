package remote

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// way is how a connection to a host is made: from here or, if there is a hop,
// through that host, which was opened for it.
type way struct{ hop *Host }

func (w *way) close() {
	if w.hop != nil {
		w.hop.Close()
	}
}

// reach connects to a destination; path are those that need it on their own way.
func (d *Dialer) reach(ctx context.Context, to destination, path []destination) (*Host, error) {
	s, err := d.resolve(ctx, to)
	if err != nil {
		return nil, err
	}
	via, err := d.jump(ctx, s, append(slices.Clip(path), to))
	if err != nil {
		return nil, err
	}
	host, err := d.handshake(ctx, s, via)
	if err != nil {
		via.close()
		return nil, err
	}
	return host, nil
}

// jump opens the last of the hosts that ProxyJump names, through those before it.
// Their own ProxyJump and ProxyCommand count for nothing then, as with ssh, which is
// told of them on the command line; those of the first do.
func (d *Dialer) jump(ctx context.Context, s *settings, path []destination) (*way, error) {
	hop, ok := s.hop()
	if !ok {
		return new(way), nil
	}
	if slices.ContainsFunc(path, func(to destination) bool { return to.key() == hop.key() }) {
		var names []string
		for _, to := range append(path, hop) {
			names = append(names, to.name)
		}
		return nil, &ConfigError{Host: path[0].name, Option: "a ProxyJump", Reason: "leads in a circle: " + strings.Join(names, ", ")}
	}
	host, err := d.reach(ctx, hop, path)
	if err != nil {
		return nil, fmt.Errorf("on the way to %s: %w", s.alias, err)
	}
	return &way{hop: host}, nil
}

// hop is the last of the hosts to go through, to be reached through the others.
func (s *settings) hop() (hop destination, ok bool) {
	if len(s.jumps) == 0 {
		return hop, false
	}
	last := len(s.jumps) - 1
	// It was read before, in finish.
	hop, _ = parseDestination(s.jumps[last])
	hop.through = strings.Join(s.jumps[:last], ",")
	return hop, true
}

// dial connects to where the host's sshd is, in as many attempts as it is allowed. As
// OpenSSH's, they are a second apart.
func (w *way) dial(ctx context.Context, s *settings) (net.Conn, error) {
	for left := s.attempts - 1; ; left-- {
		conn, err := w.attempt(ctx, s)
		if err == nil || left <= 0 {
			return conn, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (w *way) attempt(ctx context.Context, s *settings) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.patience(), fmt.Errorf("no answer within %s", s.patience()))
	defer cancel()
	switch {
	case w.hop != nil:
		conn, err := w.hop.DialContext(ctx, "tcp", s.address())
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		return &hopConn{Conn: conn, hop: w.hop}, nil
	case s.proxyCommand != "":
		return dialCommand(s.proxyCommand, s.address())
	}
	sources, err := s.sources()
	if err != nil {
		return nil, err
	}
	for i, source := range sources {
		dialer := net.Dialer{LocalAddr: source}
		if !s.tcpKeepAlive {
			dialer.KeepAlive = -1
		}
		conn, failed := dialer.DialContext(ctx, s.network, s.address())
		if failed == nil {
			return conn, nil
		}
		if i > 0 {
			failed = fmt.Errorf("%w; %w", err, failed)
		}
		err = failed
	}
	return nil, err
}

// hopConn is a connection through a hop that was opened for it.
type hopConn struct {
	net.Conn
	hop *Host
}

// Close ends the connection of the hop too, and first: by itself, a channel that is
// closed ends only once the hop says so too.
func (c *hopConn) Close() error {
	c.hop.conn.Close()
	return c.Conn.Close()
}

// sources are the addresses of ours to connect from; a nil one is the system's choice.
func (s *settings) sources() ([]net.Addr, error) {
	switch {
	case s.bindAddress != "":
		source, err := net.ResolveTCPAddr(s.network, net.JoinHostPort(s.bindAddress, "0"))
		return []net.Addr{source}, err
	case s.bindInterface == "":
		return []net.Addr{nil}, nil
	}
	device, err := net.InterfaceByName(s.bindInterface)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.bindInterface, err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.bindInterface, err)
	}
	return s.bindable(addresses)
}

// bindable picks an interface's address of each family, as OpenSSH does: one that is
// local to the machine or the link only if there is no other.
func (s *settings) bindable(addresses []net.Addr) ([]net.Addr, error) {
	var four, six, localFour, localSix []net.Addr
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if !ok {
			continue
		}
		local := network.IP.IsLoopback() || network.IP.IsLinkLocalUnicast()
		source := &net.TCPAddr{IP: network.IP}
		switch {
		case network.IP.To4() != nil && local:
			localFour = append(localFour, source)
		case network.IP.To4() != nil:
			four = append(four, source)
		case local:
			localSix = append(localSix, source)
		default:
			six = append(six, source)
		}
	}
	var sources []net.Addr
	if all := append(four, localFour...); len(all) > 0 && s.network != "tcp6" {
		sources = append(sources, all[0])
	}
	if all := append(six, localSix...); len(all) > 0 && s.network != "tcp4" {
		sources = append(sources, all[0])
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("%s has no address to connect from", s.bindInterface)
	}
	return sources, nil
}
