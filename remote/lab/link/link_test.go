package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// host serves each connection with serve, and returns its address.
func host(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wait.Wait()
	})
	return l.Addr().String()
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func lay(t *testing.T, to string, o Options) *Relay {
	t.Helper()
	r, err := New(to, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func dial(t *testing.T, r *Relay) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(r.Host(), r.Port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // nothing here takes so long
	return c
}

func ask(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// A connection is one, and each question that waits for the answer before it is one.
func TestRounds(t *testing.T) {
	clock := new(Clock)
	o := Options{RTT: 20 * time.Millisecond, Clock: clock, Shaken: 3}
	one, other := lay(t, host(t, echo), o), lay(t, host(t, echo), o)
	c := dial(t, one)
	for range 4 {
		ask(t, c)
	}
	if got := clock.Now(); got != 5 {
		t.Errorf("a connection and 4 questions are %d round trips, want 5", got)
	}
	// What follows on another host is of the same chain.
	ask(t, dial(t, other))
	if got := clock.Now(); got != 7 {
		t.Errorf("a connection and a question later it is %d round trips, want 7", got)
	}
	if got, want := one.Conns(), (Conn{Shaken: 3, Rounds: 5, Up: 4, Down: 4}); len(got) != 1 || got[0] != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if got := other.Conns()[0]; got.Opened != 5 || got.Shaken != 0 || got.Rounds != 2 || other.Bytes() != 2 {
		t.Errorf("counted %+v", got)
	}
}

// What is asked at once is one round trip, on however many connections.
func TestRoundsAtOnce(t *testing.T) {
	clock := new(Clock)
	// So long that a busy machine does not ask the second after the first is answered.
	o := Options{RTT: time.Second, Clock: clock}
	to := host(t, echo)
	var conns []net.Conn
	for range 3 {
		conns = append(conns, dial(t, lay(t, to, o)))
	}
	var wait sync.WaitGroup
	for _, c := range conns {
		wait.Go(func() {
			_, _ = c.Write([]byte("1"))
			_, _ = c.Write([]byte("2"))
			_, _ = io.ReadFull(c, make([]byte, 2))
		})
	}
	wait.Wait()
	if got := clock.Now(); got != 2 {
		t.Errorf("it is %d round trips, want 2: to connect, and to ask", got)
	}
}

// A host that speaks first has been connected to, and was asked nothing.
func TestRoundsGreeting(t *testing.T) {
	r := lay(t, host(t, func(c net.Conn) {
		_, _ = c.Write([]byte("hello"))
		echo(c)
	}), Options{RTT: 20 * time.Millisecond})
	c := dial(t, r)
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if got := r.Conns()[0].Rounds; got != 2 {
		t.Errorf("to connect and to be greeted is %d round trips, want 2", got)
	}
}

// Everything arrives, in order, also after the other side has ended.
func TestOrder(t *testing.T) {
	sum := make(chan []byte, 1)
	r := lay(t, host(t, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		sum <- all
		_, _ = c.Write(all)
	}), Options{RTT: 10 * time.Millisecond, Rate: 64 << 20})
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	c := dial(t, r)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	back, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(back, sent) || !bytes.Equal(<-sum, sent) {
		t.Errorf("%d of %d bytes came back, or others: %v", len(back), len(sent), err)
	}
	if got := r.Conns()[0]; got.Up != int64(len(sent)) || got.Down != int64(len(sent)) {
		t.Errorf("counted %+v", got)
	}
}

// The connections share the wire, and nobody takes it far ahead.
func TestWire(t *testing.T) {
	w, now := &wire{rate: 1000}, time.Now()
	for i := range 3 {
		if got, want := w.reserve(500, now), now.Add(time.Duration(i+1)*500*time.Millisecond); !got.Equal(want) {
			t.Errorf("piece %d has left after %s, want %s", i, got.Sub(now), want.Sub(now))
		}
	}
	later := now.Add(time.Minute)
	if got := w.reserve(1000, later); !got.Equal(later.Add(time.Second)) {
		t.Errorf("what was not used is not kept: %s", got.Sub(later))
	}
	if got := (&wire{}).reserve(1<<30, now); !got.Equal(now) {
		t.Errorf("without a limit it takes %s", got.Sub(now))
	}
}

// A host that reads nothing keeps the sender waiting, and the relay small.
func TestBackpressure(t *testing.T) {
	done := make(chan bool)
	r := lay(t, host(t, func(net.Conn) { <-done }), Options{})
	defer close(done)
	c := dial(t, r)
	chunk := make([]byte, 1<<20)
	for range 256 {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Write(chunk); errors.Is(err, os.ErrDeadlineExceeded) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("256 MB were taken, %d of them on the way", r.Bytes())
}

// A host that is not there resets, as if there were no link.
func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := dial(t, lay(t, l.Addr().String(), Options{RTT: 200 * time.Millisecond}))
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("it came to %v, want a reset", err)
	}
}

// A host that resets is not taken for one that has ended.
func TestReset(t *testing.T) {
	r := lay(t, host(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
	}), Options{RTT: 10 * time.Millisecond})
	c := dial(t, r)
	_, _ = c.Write([]byte("?"))
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("it came to %v, want a reset", err)
	}
}

// Close ends what runs, in the midst of whatever it does, and leaves nothing.
func TestClose(t *testing.T) {
	before := running()
	stuck := make(chan bool)
	to := host(t, func(c net.Conn) { <-stuck })
	r, err := New(to, Options{RTT: time.Hour, Rate: 1})
	if err != nil {
		t.Fatal(err)
	}
	quick, err := New(to, Options{Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	for _, r := range []*Relay{r, quick, quick} {
		c := dial(t, r)
		conns = append(conns, c)
		go func() { _, _ = io.Copy(c, zeros{}) }()
	}
	for quick.Bytes() == 0 {
		time.Sleep(time.Millisecond)
	}
	r.Close()
	quick.Close()
	close(stuck)
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a connection outlived its link")
		}
	}
	if _, err := net.DialTimeout("tcp", net.JoinHostPort(r.Host(), r.Port()), time.Second); err == nil {
		t.Error("the link is still listening")
	}
	if now := running(); now > before {
		t.Errorf("%d goroutines of the link are left", now-before)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// running counts the goroutines that are in this package's own files, the tests apart.
func running() (n int) {
	b := make([]byte, 1<<20)
	for text := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(text, "link.(*Relay)") || strings.Contains(text, "link.(*conn)") {
			n++
		}
	}
	return n
}

func TestNew(t *testing.T) {
	for _, o := range []Options{{RTT: -1}, {Rate: -1}} {
		if _, err := New("127.0.0.1:1", o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	own := errors.New("not reached")
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	asked := make(chan string, 1)
	r := lay(t, "nowhere:22", Options{Listener: l, Dialer: func(_ context.Context, _, to string) (net.Conn, error) {
		asked <- to
		return nil, own
	}})
	if c, err := net.Dial("tcp", net.JoinHostPort(r.Host(), r.Port())); err == nil {
		defer c.Close()
	}
	if got := <-asked; got != "nowhere:22" {
		t.Errorf("it dials %s", got)
	}
}

func TestShaking(t *testing.T) {
	for want, conns := range map[int][]Conn{
		0:  {{Opened: 4}}, // it never stood
		7:  {{Opened: 0, Shaken: 7}, {Opened: 0, Shaken: 7}},
		8:  {{Opened: 1, Shaken: 8}, {Opened: 0, Shaken: 7}, {Opened: 2, Shaken: 7}},
		15: {{Opened: 20, Shaken: 28}, {Opened: 0, Shaken: 7}, {Opened: 30}},
	} {
		if got := Shaking(conns); got != want {
			t.Errorf("of %+v it is %d, want %d", conns, got, want)
		}
	}
}
