package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// proxy stands between rel and one host, as a bad network does.
type proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	pairs []*pair
	hole  bool
	// accepted is how often it was connected to, usual how often it is by a run that
	// nothing happens to.
	accepted, usual int
	// rate is how many bytes a second pass to the host; zero for no limit.
	rate int
}

// pair is a connection from rel, and the one to the host that goes with it.
type pair struct {
	here, there net.Conn
	// dead is closed when nothing is forwarded any more.
	dead chan struct{}
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, to: to}
	go p.serve()
	t.Cleanup(func() {
		listener.Close()
		p.cut()
	})
	return p
}

func (p *proxy) serve() {
	for {
		here, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.forward(here)
	}
}

func (p *proxy) forward(here net.Conn) {
	c := &pair{here: here, dead: make(chan struct{})}
	p.mu.Lock()
	hole := p.hole
	if hole {
		close(c.dead) // accepted, and given nothing
	}
	p.pairs = append(p.pairs, c)
	p.accepted++
	p.mu.Unlock()
	if hole {
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		reset(here)
		return
	}
	p.mu.Lock()
	c.there = there
	p.mu.Unlock()
	go c.pump(p.slow(there), here)
	c.pump(here, there)
}

// limit sets the rate for the connections to come.
func (p *proxy) limit(rate int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// slow is the connection to the host, as fast as the rate allows.
func (p *proxy) slow(there net.Conn) net.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		return there
	}
	return &slowConn{Conn: there, rate: p.rate}
}

type slowConn struct {
	net.Conn
	rate int
}

func (s *slowConn) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(s.rate))
	return s.Conn.Write(b)
}

// pump forwards until one side ends, which ends the other, or until the pair is dead,
// which nobody is told of.
func (c *pair) pump(to, from net.Conn) {
	_, err := io.Copy(writerFunc(func(b []byte) (int, error) {
		select {
		case <-c.dead:
			return 0, net.ErrClosed
		default:
			return to.Write(b)
		}
	}), from)
	select {
	case <-c.dead:
	default:
		if err != nil {
			reset(to)
		}
		to.Close()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// reset closes a connection so that the other end gets an RST.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// cut resets all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		reset(c.here)
		if c.there != nil {
			reset(c.there)
		}
	}
	p.pairs = nil
}

// swallow has all that is sent vanish, in both directions and without a word, on the
// connections there are and on those that come.
func (p *proxy) swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole = true
	for _, c := range p.pairs {
		select {
		case <-c.dead:
		default:
			close(c.dead)
		}
	}
}

// heal lets new connections pass. Those that were swallowed stay dead.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hole = false
}

// again reports whether it was connected to more often than by undisturbed runs.
func (p *proxy) again() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted > p.usual
}

// behind puts a proxy before each of the lab's hosts, and returns them with the
// ssh_config that leads through them.
func (w *world) behind() (proxies []*proxy, sshConfig string) {
	w.t.Helper()
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, host := range append([]string{w.BuildHost()}, w.Targets()...) {
		p := newProxy(w.t, net.JoinHostPort(w.Addr(host), "22"))
		// Of a target: for the run, for the heartbeats and to confirm.
		if p.usual = 3; host == w.BuildHost() {
			p.usual = 1
		}
		proxies = append(proxies, p)
		_, port, _ := net.SplitHostPort(p.listener.Addr().String())
		fmt.Fprintf(&b, "Host %s\n    HostName 127.0.0.1\n    Port %s\n    HostKeyAlias %s\n", host, port, w.Addr(host))
	}
	sshConfig = filepath.Join(w.t.TempDir(), "ssh_config")
	// Whatever is said first counts.
	if err := os.WriteFile(sshConfig, append([]byte(b.String()), text...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return proxies, sshConfig
}
