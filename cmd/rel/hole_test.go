package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// hole is on the way from the operator to a host: once so many bytes have gone there on one
// connection, all that are open pass nothing any more, and neither end is told.
type hole struct {
	net.Listener
	to   string
	most int

	mu   sync.Mutex
	open []*holed
	// fell is closed when that has happened, and over when the test has ended.
	fell, over chan struct{}
	falling    sync.Once
}

// holed is a connection through it. Its lost is closed when it passes nothing any more.
type holed struct {
	near, far net.Conn
	lost      chan struct{}
}

// hole digs one before a host.
func (w *world) hole(host string, most int) *hole {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	h := &hole{Listener: listener, to: net.JoinHostPort(w.Addr(host), "22"), most: most, fell: make(chan struct{}), over: make(chan struct{})}
	w.t.Cleanup(func() {
		listener.Close()
		close(h.over)
	})
	go h.accept()
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		w.t.Fatal(err)
	}
	at, port, _ := net.SplitHostPort(listener.Addr().String())
	alias := fmt.Sprintf("Host %s\n    HostName %s\n    Port %s\n    HostKeyAlias %s\n", host, at, port, w.Addr(host))
	// Of several settings ssh takes the first.
	if err := os.WriteFile(w.SSHConfigPath(), append([]byte(alias), text...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (h *hole) accept() {
	for {
		near, err := h.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", h.to)
		if err != nil {
			near.Close()
			continue
		}
		c := &holed{near: near, far: far, lost: make(chan struct{})}
		h.mu.Lock()
		h.open = append(h.open, c)
		h.mu.Unlock()
		go h.carry(c, near, far, h.most)
		go h.carry(c, far, near, 0)
	}
}

// carry passes on what comes from one end; with most, up to so many bytes.
func (h *hole) carry(c *holed, from, to net.Conn, most int) {
	b := make([]byte, 32<<10)
	for sum := 0; ; {
		n, err := from.Read(b)
		select {
		case <-c.lost:
			<-h.over
			err = io.EOF
		default:
			sum += n
			_, _ = to.Write(b[:n])
		}
		if err != nil {
			from.Close()
			to.Close()
			return
		}
		if most > 0 && sum > most {
			h.falling.Do(h.fall)
		}
	}
}

func (h *hole) fall() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.open {
		close(c.lost)
	}
	close(h.fell)
}

// TestHalfOpen: the operator vanishes in the midst of a copy, and the target never hears of
// it: what takes the store paths there waits on, with Nix's lock of the path that it is at.
// Whoever goes on ends it, and needs not wait.
func TestHalfOpen(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.rewrite(`[build]`, "[copy]\nvia = \"relay\"\n\n[build]")
	h := w.hole("choiros-prod", 1<<20)
	code, _ := w.during(rel, begins("build"), func(cmd *exec.Cmd) {
		select {
		case <-h.fell:
		case <-t.Context().Done():
		}
		w.await("choiros-prod", "ls /nix/store/*.lock")
		_ = cmd.Process.Kill()
	})
	if code != -1 {
		t.Fatalf("it ended with %d", code)
	}
	old := strings.TrimPrefix(w.exec("choiros-prod", "ls /var/lib/rel/choiros | grep unpacking"), "unpacking.")
	w.exec("choiros-prod", "pgrep -P "+old) // it is still there
	w.must(exitOK, "resume")
	w.exec("choiros-prod", "[ ! -d /proc/"+old+" ]")
	if left := w.exec("choiros-prod", "ls -d /var/lib/rel/choiros/unpacking* /var/lib/rel/choiros/releases/*/patches* 2>/dev/null || true"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	w.exec("choiros-prod", "nix-store --verify --check-contents")
}
