package link

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// most is how much a connection carries in one piece: a packet of ssh.
	most = 32 << 10
	// flight bounds the bytes of a connection that are under way in one direction, pieces how many pieces they are, and
	// hoard what the kernel keeps beside them: who sends more has to wait, as on any network.
	flight = 8 << 20
	pieces = 16 << 10
	hoard  = 256 << 10
)

// conn is one connection through a link: near is who dialled, far the host.
type conn struct {
	relay     *Relay
	near, far net.Conn

	mu sync.Mutex
	// opened is what the clock showed when it was dialled, shaken when it was established, and arrived the highest
	// count that has reached the host.
	opened, shaken, arrived int
	// own is the same for this connection alone, as if nothing else ran beside it.
	own    lone
	passed [2]int64
	closed bool
}

// lone is the clock of one connection, and the highest count that has reached its host.
type lone struct{ now, arrived int }

// The directions of a connection, as who dialled sees them.
const (
	up = iota
	down
)

// piece is what was read at once, and when it arrives.
type piece struct {
	bytes      []byte
	due        time.Time
	depth, own int
}

// run is the life of a connection: it is dialled, which is a round trip, and carries until both sides have ended.
func (c *conn) run() {
	defer c.end()
	o := &c.relay.options
	ctx, half := c.relay.ctx, o.RTT/2
	began := time.Now()
	if !pause(ctx, began.Add(half)) {
		return
	}
	dialling, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	far, err := o.Dialer(dialling, "tcp", c.relay.to)
	if err != nil {
		pause(ctx, began.Add(o.RTT))
		return // which resets the other side: it was refused
	}
	c.mu.Lock()
	c.far = far
	c.mu.Unlock()
	for _, side := range []net.Conn{c.near, c.far} {
		if tcp, ok := side.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(hoard)
		}
	}
	if !pause(ctx, time.Now().Add(o.RTT-half)) {
		return
	}
	c.hear(c.opened+1, 1)
	// What interrupts both directions, however many wait for a socket.
	stop := context.AfterFunc(ctx, c.abandon)
	defer stop()
	var wait sync.WaitGroup
	wait.Go(func() { c.carry(up, c.near, c.far) })
	wait.Go(func() {
		// The host knows that it is connected when the confirmation reaches it, and greets only then.
		if pause(ctx, time.Now().Add(half)) {
			c.reach(c.opened+1, 1)
			c.carry(down, c.far, c.near)
		}
	})
	wait.Wait()
}

// end closes both sides. A side that was not ended in order is reset.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.far == nil {
		reset(c.near)
		return
	}
	c.near.Close()
	c.far.Close()
}

// abandon resets both sides.
func (c *conn) abandon() {
	reset(c.near)
	reset(c.far)
}

// carry takes what one side sends to the other, in order and late, until it ends; then it ends the other.
func (c *conn) carry(direction int, from, to net.Conn) {
	way, room := make(chan piece, pieces), semaphore.NewWeighted(flight)
	var failed error // read when way is closed
	c.relay.wait.Go(func() {
		defer close(way)
		failed = c.take(direction, from, way, room)
	})
	for p := range way {
		if !pause(c.relay.ctx, p.due) {
			break
		}
		// Before it is written: the answer may be there before Write returns.
		c.deliver(direction, p)
		if _, err := to.Write(p.bytes); err != nil {
			reset(from)
			break
		}
		room.Release(int64(len(p.bytes)))
	}
	for p := range way { // what take still wants to get rid of
		room.Release(int64(len(p.bytes)))
	}
	if failed != nil && !errors.Is(failed, io.EOF) {
		reset(to)
		return
	}
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// take reads pieces and sends them on their way.
func (c *conn) take(direction int, from net.Conn, way chan<- piece, room *semaphore.Weighted) error {
	w, latency := c.relay.up, c.relay.options.RTT/2
	if direction == down {
		w = c.relay.down
	}
	b := make([]byte, most)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if room.Acquire(c.relay.ctx, int64(n)) != nil {
				return net.ErrClosed
			}
			now := time.Now()
			left := w.reserve(n, now)
			p := c.count(direction, n)
			p.bytes, p.due = bytes.Clone(b[:n]), left.Add(latency)
			way <- p
			if !pause(c.relay.ctx, left.Add(-backlog)) {
				return net.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}

// count counts n bytes that are sent, and says what they carry.
func (c *conn) count(direction, n int) piece {
	now := c.relay.options.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed[direction] += int64(n)
	if direction == up {
		return piece{depth: now, own: c.own.now}
	}
	return piece{depth: c.arrived + 1, own: c.own.arrived + 1}
}

// deliver counts a piece that arrives.
func (c *conn) deliver(direction int, p piece) {
	if direction == up {
		c.reach(p.depth, p.own)
	} else {
		c.hear(p.depth, p.own)
	}
}

// reach is what reaches the host.
func (c *conn) reach(depth, own int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived, c.own.arrived = max(c.arrived, depth), max(c.own.arrived, own)
}

// hear is what comes back.
func (c *conn) hear(depth, own int) {
	now := c.relay.options.Clock.hear(depth)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own.now = max(c.own.now, own)
	if c.shaken == 0 && c.own.now >= c.relay.options.Shaken {
		c.shaken = now
	}
}

// pause waits until then and reports whether it was worth it.
func pause(ctx context.Context, then time.Time) bool {
	left := time.Until(then)
	if left <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// reset closes a connection so that the other end hears of a failure and not of an end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}
