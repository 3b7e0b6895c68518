// Package link is the distance between two machines: a TCP relay that adds latency, caps the bandwidth, and counts
// connections, bytes and round trips. Tests and the benchmark put one in front of a host's sshd, since the kernels they
// run on have no netem.
//
// Round trips are counted by cause and not by time. Whoever dials has a Clock. What is sent to a host carries the clock's
// count; what the host sends carries one more than the highest it has received on that connection; what arrives sets
// the clock to what it carries, if that is more. All relays of one operator share one clock, so in the end it shows the
// longest chain of questions of which none was asked before the one before it was answered. It may be more than the
// program had to wait for: a heartbeat that ticks beside a long build counts as a chain. It is never more than the time
// that passed, in round trips: with some latency, what is asked at once is also counted as one.
//
// A connection is a question too: its first byte passes once the connecting has taken its round trip. What a link does
// not have is loss, and TCP's slow start.
package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Dial is how many round trips it takes golang.org/x/crypto/ssh to log in to OpenSSH with the first key it has: to
// connect, the host's version and offer, the key exchange, the service, the method "none", a key, its signature.
const Dial = 7

// dialWithin is how long the host may take to accept a connection.
const dialWithin = 10 * time.Second

// Options say what lies between two machines.
type Options struct {
	// RTT is the latency, there and back.
	RTT time.Duration
	// Rate is how many bytes a second pass in each direction, of all connections together; zero for no limit.
	Rate int64
	// Clock is that of whoever dials; a new one if nil.
	Clock *Clock
	// Shaken is the number of round trips after which a connection counts as established; Dial if zero.
	Shaken int
	// Listener is where the relay is dialled; a port of 127.0.0.1 if nil. The relay closes it.
	Listener net.Listener
	// Dialer reaches the host; net.Dialer's DialContext if nil.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Relay is a link that is up.
type Relay struct {
	to       string
	options  Options
	up, down *wire

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu    sync.Mutex
	conns []*conn
	shut  bool
}

// New puts a link before the host at to, an address and a port.
func New(to string, o Options) (*Relay, error) {
	if o.RTT < 0 || o.Rate < 0 {
		return nil, fmt.Errorf("a link to %s cannot have a latency of %s and pass %d bytes a second", to, o.RTT, o.Rate)
	}
	if o.Clock == nil {
		o.Clock = new(Clock)
	}
	if o.Shaken == 0 {
		o.Shaken = Dial
	}
	if o.Dialer == nil {
		o.Dialer = new(net.Dialer).DialContext
	}
	if o.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		o.Listener = l
	}
	r := &Relay{to: to, options: o, up: &wire{rate: o.Rate}, down: &wire{rate: o.Rate}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wait.Go(r.accept)
	return r, nil
}

// Host and Port are where the relay is dialled.
func (r *Relay) Host() string { return r.address()[0] }

// Port is beside Host.
func (r *Relay) Port() string { return r.address()[1] }

func (r *Relay) address() [2]string {
	host, port, _ := net.SplitHostPort(r.options.Listener.Addr().String())
	return [2]string{host, port}
}

func (r *Relay) accept() {
	for {
		near, err := r.options.Listener.Accept()
		if errors.Is(err, net.ErrClosed) || r.ctx.Err() != nil {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, say: others may end
			continue
		}
		c := &conn{relay: r, near: near, opened: r.options.Clock.Now()}
		r.mu.Lock()
		if r.shut {
			near.Close()
		} else {
			r.conns = append(r.conns, c)
			r.wait.Go(c.run)
		}
		r.mu.Unlock()
	}
}

// Close ends the link and every connection on it, and returns when nothing of it runs any more.
func (r *Relay) Close() {
	r.mu.Lock()
	r.shut = true
	r.mu.Unlock()
	r.cancel()
	r.options.Listener.Close()
	r.wait.Wait()
}
