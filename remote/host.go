package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Host is an open connection to a host. Its methods may be called by several
// goroutines; Close ends it.
type Host struct {
	// Become is how scripts that need root, and uploads, become root; nil if the
	// login is root's. It is set before the host is used.
	Become *Become

	name   string
	client *ssh.Client
	conn   *listened
	key    string
	via    *way
	pace   pace
	// address is where it was reached, hostKey what it proved itself with.
	address string
	hostKey ssh.PublicKey
	// seats bound the sessions that are open at once; seated says that there was one.
	seats  *seats
	seated atomic.Bool
	// patience is greetingTimeout.
	patience time.Duration
	done     chan struct{}
	// uplink is what is known of the way to the host.
	uplink uplink
	// asking is held by who waits for an echo.
	asking chan struct{}

	// loans are what the host may use to log in elsewhere; nil before the first.
	lending sync.Mutex
	loans   []*Loan
	// forwarded says that the host has an agent of ours already. sshd grants that once
	// on a connection, and gives it to every session that begins after it (OpenSSH's
	// session.c, session_auth_agent_req).
	forwarding sync.Mutex
	forwarded  bool
}

func newHost(s *settings, client *ssh.Client, conn *listened, key string, hostKey ssh.PublicKey, via *way) *Host {
	h := &Host{name: s.alias, client: client, conn: conn, key: key, address: s.address(), hostKey: hostKey, via: via, pace: s.pace(),
		seats: newSeats(sessions), patience: greetingTimeout, done: make(chan struct{}), asking: make(chan struct{}, 1)}
	h.uplink.host, h.uplink.patience = h, echoTimeout
	go func() {
		_ = client.Wait()
		close(h.done)
	}()
	go h.keepalive()
	return h
}

// Name is what the operator calls the host.
func (h *Host) Name() string { return h.name }

// Key is the fingerprint of the operator's key that the host let in.
func (h *Host) Key() string { return h.key }

// User is whom the host let in.
func (h *Host) User() string { return h.client.User() }

// Address is where the host was reached, as host:port.
func (h *Host) Address() string { return h.address }

// HostKey is the public key that the host has proved to have, as known_hosts has it
// without the name; the key itself, also where a certificate vouched for it.
func (h *Host) HostKey() string { return keyText(h.hostKey) }

// Closed reports whether the connection has ended.
func (h *Host) Closed() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// Close ends the connection. Scripts that run go on running on the host.
func (h *Host) Close() error {
	err := h.client.Close()
	h.conn.Close()
	if h.via != nil {
		h.via.close()
	}
	return err
}

// keepalive notices a connection that has died without a word, as those of a
// laptop that slept or changed its network do. Anything that arrives is a sign
// of life: on a slow link the answer waits behind what is being sent.
func (h *Host) keepalive() {
	tick := time.NewTicker(h.pace.every)
	defer tick.Stop()
	for misses, heard := 0, h.conn.heard.Load(); ; {
		select {
		case <-h.done:
			return
		case <-tick.C:
		}
		if now := h.conn.heard.Load(); now != heard {
			misses, heard = 0, now
		} else if misses++; misses > h.pace.misses {
			h.conn.Close()
			return
		}
		// Its answer is heard like everything else. One request waits at most:
		// the client sends the next only when this one is answered.
		select {
		case h.asking <- struct{}{}:
			go func() {
				defer func() { <-h.asking }()
				_, _ = h.request(nil)
			}()
		default:
		}
	}
}

// alive makes sure that a connection of which nothing was heard for a while is still
// there, before something is sent that cannot be sent twice: that of a laptop that
// slept has ended without a word.
func (h *Host) alive(ctx context.Context) error {
	last := time.UnixMilli(h.conn.last.Load())
	// By the clock on the wall: the other one may stand still while a laptop sleeps.
	if time.Now().Round(0).Sub(last) < 2*keepaliveInterval {
		return nil
	}
	if err := h.answers(ctx); err != nil {
		return h.unsent(ctx, err)
	}
	return nil
}

// answers waits for the host to answer.
func (h *Host) answers(ctx context.Context) error {
	return h.bounded(ctx, "an answer", func() error {
		_, err := h.echo(ctx, nil)
		return err
	})
}

// settle finds out, where a session has ended without a word, whether the connection
// has. Its sessions are told of its end one by one, and it last: others that wait would be
// sent something that comes to nothing, and nobody could tell.
func (h *Host) settle() {
	if err := h.answers(context.Background()); err != nil {
		h.conn.Close()
		<-h.done
	}
}

// listened is a connection that counts what it hears.
type listened struct {
	net.Conn
	heard atomic.Int64
	// last is when that was, in milliseconds of the clock on the wall.
	last atomic.Int64
}

func (l *listened) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.heard.Add(int64(n))
	l.last.Store(time.Now().UnixMilli())
	return n, err
}

// unresolved are glibc's and musl's words for a name without an address
// (gai_strerror), which sshd passes on (OpenSSH's channels.c).
var unresolved = map[string]bool{
	"Name or service not known": true, "Temporary failure in name resolution": true,
	"No address associated with hostname": true, "Non-recoverable failure in name resolution": true,
	"Name does not resolve": true, "Try again": true,
}

// DialContext connects to addr as the host sees it. The error is a
// *[net.DNSError] if the host does not know the name, a *[ForwardError] if it connects
// to nothing for us, and a *[LostError] if it cannot be asked.
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := h.client.DialContext(ctx, network, addr)
	var refused *ssh.OpenChannelError
	switch {
	case err == nil:
		return conn, nil
	case errors.As(err, &refused) && refused.Reason == ssh.Prohibited:
		return nil, &ForwardError{Host: h.name, Address: addr}
	case errors.As(err, &refused) && unresolved[refused.Message]:
		return nil, &net.DNSError{Err: oneLine(refused.Message) + " on " + h.name, Name: addr}
	case errors.As(err, &refused):
		return nil, errors.New(oneLine(refused.Message) + ": " + addr + " on " + h.name)
	case ctx.Err() != nil:
		return nil, err
	}
	return nil, &LostError{Host: h.name, Err: err}
}

// sessionTimeout bounds the opening of a session and the start of its command.
// Neither runs anything of ours: a host that takes longer answers nothing at all.
const sessionTimeout = 45 * time.Second

// unsent is the error of what failed before anything was sent.
func (h *Host) unsent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// What cannot open a session is of no use any more.
	h.conn.Close()
	<-h.done
	return &LostError{Host: h.name, Err: err, Unsent: true}
}

// errEnded says of a connection that nothing waits for it any more.
var errEnded = errors.New("it ended")

// bounded runs what waits for the host, and closes the connection if that takes
// too long; not if ctx ends, since others use the connection too. It does not wait for longer than there is a connection: a
// channel that is asked for in the instant in which the client's loop ends is
// never answered, and nothing that is closed ends its wait. What is left of fn then
// stays behind.
func (h *Host) bounded(ctx context.Context, what string, fn func() error) error {
	timeout := time.NewTimer(sessionTimeout)
	defer timeout.Stop()
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-h.done:
		return errEnded
	case <-timeout.C:
		h.conn.Close()
		return fmt.Errorf("%s took longer than %s", what, sessionTimeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
