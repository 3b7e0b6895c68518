package lab

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// layNetwork chooses the subnet, writes it down, and makes the bridge with the machine's address on it.
func (l *Lab) layNetwork(ctx context.Context) error {
	subnet, err := freeSubnet(l.Dir)
	if err != nil {
		return err
	}
	l.state.settle(subnet)
	if err := l.state.write(); err != nil {
		return err
	}
	for _, args := range [][]string{
		// With an address of its own. A bridge without one takes the lowest of its ports', and so another whenever a host
		// comes up: those that were there before would send to the old one until their ARP caches are out of date.
		{"link", "add", "name", l.state.Bridge, "address", bridgeMAC(l.Dir), "type", "bridge"},
		{"addr", "add", l.state.gateway() + "/24", "dev", l.state.Bridge},
		{"link", "set", l.state.Bridge, "up"},
	} {
		if _, err := run(ctx, nil, "ip", args...); err != nil {
			return err
		}
	}
	l.say("bridge %s at %s.0/24", l.state.Bridge, subnet)
	return nil
}

// freeSubnet is a /24 in 10.64.0.0/10 that nothing on this machine uses. Where the search begins and how far it steps
// depend on the folder, so that two labs that come up at once do not meet.
func freeSubnet(dir string) (string, error) {
	taken, err := takenNets()
	if err != nil {
		return "", err
	}
	const all = 64 * 256
	seed := seedOf(dir)
	begin, step := seed%all, (seed>>14)%all|1
	for i := range uint32(256) {
		n := (begin + i*step) % all
		subnet := fmt.Sprintf("10.%d.%d", 64+n/256, n%256)
		net := netip.MustParsePrefix(subnet + ".0/24")
		if !slices.ContainsFunc(taken, net.Overlaps) {
			return subnet, nil
		}
	}
	return "", fmt.Errorf("no free /24 in 10.64.0.0/10 on this machine: its routes take all that were tried")
}

// takenNets are the networks this machine has an address or a route in. Routes wider than /12 are left out: a VPN that
// takes all of 10/8 gives way to the narrower route of a lab.
func takenNets() ([]netip.Prefix, error) {
	var nets []netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of this machine: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			nets = append(nets, p.Masked())
		}
	}
	b, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("routes of this machine: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		if p, ok := routePrefix(f[1], f[7]); ok && p.Bits() >= 12 {
			nets = append(nets, p)
		}
	}
	return nets, nil
}

// routePrefix reads a destination and its mask as /proc/net/route has them, in hex with the last number first.
func routePrefix(dest, mask string) (netip.Prefix, bool) {
	d, err1 := hex.DecodeString(dest)
	m, err2 := hex.DecodeString(mask)
	if err1 != nil || err2 != nil || len(d) != 4 || len(m) != 4 {
		return netip.Prefix{}, false
	}
	slices.Reverse(d)
	slices.Reverse(m)
	bits, _ := net.IPMask(m).Size()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(d)), bits).Masked(), true
}

// ofLabLink accepts the lab's bridge and its hosts' cables.
func (l *Lab) ofLabLink(name string) bool {
	return name == l.state.Bridge || strings.HasPrefix(name, "vb-"+l.state.Bridge+"-")
}

// removeLinks takes away the links whose names pick accepts.
func removeLinks(ctx context.Context, pick func(name string) bool) error {
	ifaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range ifaces {
		if !pick(i.Name) {
			continue
		}
		if _, err := run(ctx, nil, "ip", "link", "del", i.Name); err != nil && linkExists(i.Name) {
			return err
		}
	}
	return nil
}

// checkPaths is nil if the build host reaches every target. The machine itself always does; but where bridged packets go
// through a firewall that forwards nothing, as with some container engines, host to host is lost.
func (l *Lab) checkPaths(ctx context.Context) error {
	for _, name := range l.Targets() {
		if _, err := l.Exec(ctx, l.BuildHost(), "test -n \"$(ssh-keyscan -T 5 -t ed25519 "+name+" 2>/dev/null)\""); err != nil {
			return fmt.Errorf("no way from the build host to %s over %s (if a firewall of this machine is in it: sysctl -w net.bridge.bridge-nf-call-iptables=0): %w",
				name, l.state.Bridge, err)
		}
	}
	return nil
}

func linkExists(name string) bool {
	_, err := net.InterfaceByName(name)
	return err == nil
}
