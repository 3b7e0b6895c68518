package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"choir.chat/rel/remote/lab/link"
)

// Distance is what lies between the operator and the hosts, and between the build host and the targets.
type Distance struct {
	// RTT and Rate are those of link.Options, to every host.
	RTT  time.Duration
	Rate int64
	// BuildRTT and BuildRate are those between the build host and each target.
	BuildRTT  time.Duration
	BuildRate int64
	// Shaken is link.Options' own.
	Shaken int
}

// Away is a lab at a distance: a link before each sshd, one for the operator and one for the build host.
type Away struct {
	// Clock is the operator's, BuildClock the build host's.
	Clock, BuildClock *link.Clock
	// Links lead from the operator to each host, BuildLinks from the build host to each target.
	Links, BuildLinks map[string]*link.Relay

	lab *Lab
	dir string
}

// SetAway lays the links. The hosts stay as near to the origin and to one another as they are: the links are taken by
// whoever goes by SSHConfigPath and ConfigPath, and on the build host by its alias "away-" and the target's name. The
// files are in dir, which is the caller's.
func (l *Lab) SetAway(dir string, d Distance) (away *Away, err error) {
	a := &Away{
		Clock: new(link.Clock), BuildClock: new(link.Clock),
		Links: map[string]*link.Relay{}, BuildLinks: map[string]*link.Relay{}, lab: l, dir: dir,
	}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	for _, h := range l.state.Hosts {
		o := link.Options{RTT: d.RTT, Rate: d.Rate, Clock: a.Clock, Shaken: d.Shaken}
		if a.Links[h.Name], err = link.New(net.JoinHostPort(h.Addr, "22"), o); err != nil {
			return nil, err
		}
		if h.Build {
			continue
		}
		// Laid inside the build host, so that the target sees it come from there.
		o = link.Options{RTT: d.BuildRTT, Rate: d.BuildRate, Clock: a.BuildClock, Dialer: l.dialFrom(l.BuildHost())}
		if o.Listener, err = l.listenAt(l.BuildHost()); err != nil {
			return nil, err
		}
		if a.BuildLinks[h.Name], err = link.New(net.JoinHostPort(h.Addr, "22"), o); err != nil {
			return nil, err
		}
	}
	return a, a.write()
}

// Close takes the links away.
func (a *Away) Close() {
	for _, links := range []map[string]*link.Relay{a.Links, a.BuildLinks} {
		for _, r := range links {
			if r != nil {
				r.Close()
			}
		}
	}
}

// SSHConfigPath is the lab's ssh_config, by way of the links.
func (a *Away) SSHConfigPath() string { return filepath.Join(a.dir, "ssh_config") }

// ConfigPath is the lab's rel.toml, with the addresses that the build host is to take.
func (a *Away) ConfigPath() string { return filepath.Join(a.dir, "rel.toml") }

// write writes the two files.
func (a *Away) write() error {
	var aliases strings.Builder
	for _, h := range a.lab.state.Hosts {
		r := a.Links[h.Name]
		fmt.Fprintf(&aliases, "Host %s\n    HostName %s\n    Port %s\n    HostKeyAlias %s\n", h.Name, r.Host(), r.Port(), h.Addr)
	}
	text, err := os.ReadFile(a.lab.SSHConfigPath())
	if err != nil {
		return err
	}
	// Of several settings ssh takes the first.
	if err := os.WriteFile(a.SSHConfigPath(), append([]byte(aliases.String()), text...), 0o600); err != nil {
		return err
	}
	if text, err = os.ReadFile(a.lab.ConfigPath()); err != nil {
		return err
	}
	config := strings.ReplaceAll(string(text), `ca = "ca.pem"`, fmt.Sprintf("ca = %q", a.lab.CAPath()))
	for name, r := range a.BuildLinks {
		host := fmt.Sprintf("host = %q\n", name)
		config = strings.ReplaceAll(config, host, host+fmt.Sprintf("from_build = %q\n", "root@"+net.JoinHostPort(r.Host(), r.Port())))
	}
	return os.WriteFile(a.ConfigPath(), []byte(config), 0o600)
}

// listenAt is a port of a host's own address, opened in its network.
func (l *Lab) listenAt(host string) (listener net.Listener, err error) {
	err = l.inNetwork(host, func() (err error) {
		listener, err = net.Listen("tcp", net.JoinHostPort(l.Addr(host), "0"))
		return err
	})
	return listener, err
}

// dialFrom dials as a host would.
func (l *Lab) dialFrom(host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = l.inNetwork(host, func() (err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// inNetwork runs do in a host's network. It must name addresses only, and start nothing: what it starts is elsewhere.
func (l *Lab) inNetwork(host string, do func() error) error {
	h, err := l.host(host)
	if err != nil {
		return err
	}
	pid, err := l.initOf(h)
	if err != nil {
		return err
	}
	return within(pid, do)
}
