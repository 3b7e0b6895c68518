package remote

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// zeros is input of that many bytes, which tells how much was under way when it was read.
type zeros struct {
	io.Reader
	h    *Host
	most int64
}

func newZeros(h *Host, n int64) *zeros {
	return &zeros{Reader: io.LimitReader(endless{}, n), h: h}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func (z *zeros) Read(b []byte) (int, error) {
	z.h.uplink.mu.Lock()
	z.most = max(z.most, z.h.uplink.sent-z.h.uplink.echoed)
	z.h.uplink.mu.Unlock()
	return z.Reader.Read(b)
}

// On a slow way no more is under way than arrives in two seconds, so that a question
// beside a stream is answered within that.
func TestUplinkIsBounded(t *testing.T) {
	const slow = 400_000
	_, d := newServer(t, func(s *server) { s.slow = slow })
	h := dial(t, d)
	input := newZeros(h, slow*3/2)
	var out bytes.Buffer
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "wc -c", Stdin: input, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "600000" {
		t.Errorf("%s bytes arrived", got)
	}
	// What is measured over the buffers of a loopback is somewhat more than passes.
	rtt, rate := h.Uplink()
	if rtt == 0 || rate == 0 || rate > 3*slow || input.most > 6*slow {
		t.Errorf("rtt %s, %.0f bytes in a second, and at most %d under way", rtt, rate, input.most)
	}
	t.Logf("rtt %s, %.0f bytes in a second, and at most %d under way", rtt, rate, input.most)
}

// A host that answers no requests is sent things all the same.
func TestUplinkOfTheSilent(t *testing.T) {
	_, d := newServer(t, func(s *server) { s.silent = true })
	h := dial(t, d)
	h.uplink.patience = 100 * time.Millisecond
	input := newZeros(h, 4<<20)
	var out bytes.Buffer
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "wc -c", Stdin: input, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "4194304" || !h.uplink.deaf {
		t.Errorf("%s bytes arrived", got)
	}
}

func TestMeasure(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	if rtt, rate := h.Uplink(); rtt != 0 || rate != 0 {
		t.Errorf("%s and %f are known already", rtt, rate)
	}
	rtt, rate, err := h.Measure(t.Context(), false)
	if err != nil || rtt == 0 || rate == 0 {
		t.Errorf("%s, %f, %v", rtt, rate, err)
	}
	if n := s.sessions.Load(); n != 0 {
		t.Errorf("it took %d sessions", n)
	}
}

// TestMeasureProbes: a little that takes a round trip to arrive makes a far host look slow.
func TestMeasureProbes(t *testing.T) {
	_, d := newServer(t, func(s *server) { s.far = 100 * time.Millisecond })
	h := dial(t, d)
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "cat >/dev/null", Stdin: io.LimitReader(endless{}, 12<<10), Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	_, guess, err := h.Measure(t.Context(), false)
	if err != nil || h.uplink.isProbed() {
		t.Fatalf("it was probed, since nothing was known: %v", err)
	}
	if _, rate, err := h.Measure(t.Context(), true); err != nil || rate < 2*guess {
		t.Errorf("%.0f bytes a second, and %.0f by a probe: %v", guess, rate, err)
	}
}

// TestMeasureGivesUp: a link that crawls is not made to carry all that is probed with.
func TestMeasureGivesUp(t *testing.T) {
	const slow = 20_000
	s, d := newServer(t, func(s *server) { s.slow = slow })
	h := dial(t, d)
	before := s.arrived.Load()
	_, rate, err := h.Measure(t.Context(), true)
	if err != nil || rate == 0 || rate > crawl {
		t.Errorf("%.0f bytes a second: %v", rate, err)
	}
	if n := s.arrived.Load() - before; n < int64(probes[0]) || n > 2*int64(probes[0]) {
		t.Errorf("%d bytes were sent for it", n)
	}
}

// BenchmarkUplink is what the bound costs a fast way, near and far: nothing that can be
// seen.
func BenchmarkUplink(b *testing.B) {
	for _, c := range []struct {
		name string
		deaf bool
		far  time.Duration
		size int64
	}{
		{"near, bounded", false, 0, 256 << 20}, {"near, unbounded", true, 0, 256 << 20},
		{"far, bounded", false, 100 * time.Millisecond, 64 << 20}, {"far, unbounded", true, 100 * time.Millisecond, 64 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			_, d := newServer(b, func(s *server) { s.far = c.far })
			b.SetBytes(c.size)
			for b.Loop() {
				h := dial(b, d)
				h.uplink.deaf = c.deaf
				if _, err := h.Run(b.Context(), Script{Name: "s", Code: "cat >/dev/null", Stdin: io.LimitReader(endless{}, c.size), Stdout: io.Discard}); err != nil {
					b.Fatal(err)
				}
				h.Close()
			}
		})
	}
}

// farConn is a connection on which everything takes a while to arrive, and nothing waits
// for what was sent before it.
type farConn struct {
	net.Conn
	away     time.Duration
	arriving chan arrival
	rest     []byte
}

type arrival struct {
	at    time.Time
	bytes []byte
}

func newFarConn(conn net.Conn, away time.Duration) *farConn {
	c := &farConn{Conn: conn, away: away, arriving: make(chan arrival, 1<<16)}
	go func() {
		defer close(c.arriving)
		for {
			b := make([]byte, 64<<10)
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			c.arriving <- arrival{time.Now().Add(away), b[:n]}
		}
	}()
	return c
}

func (c *farConn) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		next, ok := <-c.arriving
		if !ok {
			return 0, io.EOF
		}
		time.Sleep(time.Until(next.at))
		c.rest = next.bytes
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
