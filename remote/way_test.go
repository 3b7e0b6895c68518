package remote

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// network makes one configuration of several servers, by their names.
func network(t *testing.T, names ...string) (map[string]*server, *Dialer) {
	t.Helper()
	servers := map[string]*server{}
	d := &Dialer{ConfigFile: filepath.Join(t.TempDir(), "config")}
	var all strings.Builder
	for _, name := range names {
		s, its := newServer(t, func(s *server) { s.forwards = true })
		servers[name] = s
		all.WriteString(strings.Replace(read(t, its.ConfigFile), "Host box", "Host "+name, 1))
	}
	write(t, d.ConfigFile, all.String())
	return servers, d
}

// prepend has more said of hosts, before all else.
func prepend(t *testing.T, d *Dialer, text string) {
	t.Helper()
	write(t, d.ConfigFile, text+"\n"+read(t, d.ConfigFile))
}

func TestProxyJump(t *testing.T) {
	cases := []struct{ name, config, through string }{
		{"one hop", "Host far\n ProxyJump near\n", "near far"},
		{"two hops", "Host far\n ProxyJump near,mid\n", "near mid far"},
		{"the first hop's own", "Host far\n ProxyJump mid\nHost mid\n ProxyJump near\n", "near mid far"},
		{"not that of the second", "Host far\n ProxyJump near,mid\nHost mid\n ProxyJump nowhere.invalid\n ProxyCommand false\n", "near mid far"},
		{"the first hop's command", "Host far\n ProxyJump near\nHost near\n ProxyCommand %RELAY\n", "near far"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			servers, d := network(t, "near", "mid", "far")
			prepend(t, d, strings.ReplaceAll(c.config, "%RELAY", relay(t)))
			h, err := d.Dial(t.Context(), "far")
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			var through []string
			for _, name := range []string{"near", "mid", "far"} {
				if servers[name].conn.Load() != nil {
					through = append(through, name)
				}
			}
			if got := strings.Join(through, " "); got != c.through {
				t.Errorf("it went through %s, want %s", got, c.through)
			}
			if out, err := h.Run(t.Context(), Script{Name: "hi", Code: "echo hi"}); err != nil || string(out) != "hi\n" {
				t.Errorf("got %q, %v", out, err)
			}
			// Each closes the one that it goes through.
			var hops []*Host
			for hop := h.via.hop; hop != nil; hop = hop.via.hop {
				hops = append(hops, hop)
			}
			if len(hops) != len(through)-1 {
				t.Errorf("there are %d hops, want %d", len(hops), len(through)-1)
			}
			h.Close()
			for _, hop := range hops {
				<-hop.done
			}
		})
	}
}

// A hop that answers nothing any more, not even that a channel is closed, keeps no
// connection open.
func TestProxyJumpIsDeaf(t *testing.T) {
	servers, d := network(t, "near", "far")
	prepend(t, d, "Host far\n ProxyJump near\n")
	h, err := d.Dial(t.Context(), "far")
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	servers["near"].deaf.Store(true)
	h.conn.Close()
	select {
	case <-h.done:
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}

// The error says whose fault it is, and on whose way.
func TestProxyJumpFails(t *testing.T) {
	d := &Dialer{ConfigFile: filepath.Join(t.TempDir(), "config")}
	write(t, d.ConfigFile, "Host far\n HostName 10.0.0.1\n ProxyJump near.invalid\n User x\n")
	_, err := d.Dial(t.Context(), "far")
	var failed *DialError
	if !errors.As(err, &failed) || failed.Host != "near.invalid" {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "on the way to far")
}

// A hop that forbids it will do so in a moment, too.
func TestProxyJumpIsForbidden(t *testing.T) {
	s, d := newServer(t, func(s *server) { s.forbids = true })
	prepend(t, d, "Host far\n HostName 10.0.0.1\n ProxyJump box\n UserKnownHostsFile /dev/null\n")
	_, err := d.Dial(t.Context(), "far")
	var failed *DialError
	var forbidden *ForwardError
	if s.conn.Load() == nil || !errors.As(err, &failed) || !errors.As(err, &forbidden) {
		t.Fatalf("got %v", err)
	}
	if failed.Host != "far" || forbidden.Host != "box" || failed.Fleeting() {
		t.Errorf("on the way to %s, %s; it is to be tried again: %v", failed.Host, forbidden.Host, failed.Fleeting())
	}
}

// ssh starts itself for ever here.
func TestProxyJumpInACircle(t *testing.T) {
	d := &Dialer{ConfigFile: filepath.Join(t.TempDir(), "config")}
	for config, circle := range map[string]string{
		"Host b\n HostName 127.0.0.1\nHost *\n ProxyJump b\n":                "a, b, b",
		"Host a\n ProxyJump b\nHost b\n ProxyJump c\nHost c\n ProxyJump a\n": "a, b, c, a",
	} {
		write(t, d.ConfigFile, config)
		_, err := (&Dialer{ConfigFile: d.ConfigFile}).Dial(t.Context(), "a")
		var refused *ConfigError
		if !errors.As(err, &refused) {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "in a circle: "+circle)
	}
}

func TestConnectFrom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more than one address on its loopback device")
	}
	for option, want := range map[string]string{"BindAddress 127.0.0.7": "127.0.0.7", "BindInterface lo": "127.0.0.1", "AddressFamily inet": "127.0.0.1"} {
		s, d := newServer(t)
		prepend(t, d, option)
		dial(t, d)
		if got, _, _ := net.SplitHostPort((*s.conn.Load()).RemoteAddr().String()); got != want {
			t.Errorf("%s: it came from %s", option, got)
		}
	}
	for _, option := range []string{"BindAddress 192.0.2.1", "BindInterface none0", "AddressFamily inet6"} {
		_, d := newServer(t)
		prepend(t, d, option)
		_, err := d.Dial(t.Context(), "box")
		var failed *DialError
		if !errors.As(err, &failed) {
			t.Errorf("%s: got %v", option, err)
		}
	}
}

func TestBindable(t *testing.T) {
	var addresses []net.Addr
	for _, text := range []string{"127.0.0.1/8", "fe80::1/64", "10.0.0.2/24", "2001:db8::2/64", "10.0.0.3/24"} {
		ip, network, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, &net.IPNet{IP: ip, Mask: network.Mask})
	}
	cases := []struct {
		network   string
		addresses []net.Addr
		want      string
	}{
		{"tcp", addresses, "10.0.0.2 2001:db8::2"},
		{"tcp4", addresses, "10.0.0.2"},
		{"tcp6", addresses, "2001:db8::2"},
		{"tcp", addresses[:2], "127.0.0.1 fe80::1"},
		{"tcp6", addresses[:1], ""},
	}
	for _, c := range cases {
		sources, err := (&settings{network: c.network}).bindable(c.addresses)
		var got []string
		for _, source := range sources {
			got = append(got, source.(*net.TCPAddr).IP.String())
		}
		if strings.Join(got, " ") != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s of %s: %s, %v; want %s", c.network, c.addresses, got, err, c.want)
		}
	}
}

// What the configuration has of algorithms is offered, in its order.
func TestAlgorithms(t *testing.T) {
	_, d := newServer(t)
	prepend(t, d, "Ciphers aes256-ctr,aes128-ctr\nMACs umac-64@openssh.com,hmac-sha2-512\nKexAlgorithms ecdh-sha2-nistp384\n")
	h := dial(t, d)
	algorithms := h.client.Conn.(ssh.AlgorithmsConnMetadata).Algorithms()
	if got := fmt.Sprint(algorithms.KeyExchange, " ", algorithms.Write.Cipher, " ", algorithms.Write.MAC); got != "ecdh-sha2-nistp384 aes256-ctr hmac-sha2-512" {
		t.Errorf("they are %s", got)
	}
}
