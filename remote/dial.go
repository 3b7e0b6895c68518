package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/singleflight"
)

const (
	// dialTimeout bounds the TCP connect, and then the first word of the host,
	// where the configuration has no ConnectTimeout: long enough for three SYNs
	// on a bad network.
	dialTimeout = 15 * time.Second
	// handshakeTimeout bounds everything from the version exchange to the end
	// of authentication; x/crypto's own timeout ends with the TCP connect. A
	// passphrase or the touch of a key may be waited for within it.
	handshakeTimeout = 90 * time.Second
	// A keepalive is sent every keepaliveInterval; after keepaliveMisses
	// without an answer the connection is given up.
	keepaliveInterval = 5 * time.Second
	keepaliveMisses   = 3
	// sessions is how many run at once on a connection. sshd allows ten
	// unless MaxSessions says otherwise.
	sessions = 8
)

// Dialer opens connections to hosts.
type Dialer struct {
	// ConfigFile is the SSH configuration to read; empty for OpenSSH's own.
	ConfigFile string
	// Ask puts a question to the operator, until ctx ends; nil where there is no terminal.
	Ask func(ctx context.Context, question string, secret bool) (string, error)
	// ReadOnly says that nothing is written down: a host whose key is not on record is
	// let pass or refused as ever, and is not recorded.
	ReadOnly bool
	// Tell takes what the operator should know of a connection that does not fail;
	// nil drops it.
	Tell func(text string)

	telling sync.Mutex
	told    map[string]bool
	// unlocked are the encrypted keys that the operator was asked for, by file; nil
	// where that came to nothing.
	unlocking sync.Mutex
	unlocked  map[string]ssh.Signer
	// resolved are the settings of the run's hosts, by destination.
	resolving singleflight.Group
	resolved  sync.Map
	// accepted are the new host keys that this run goes by, by the host's recorded name.
	accepting sync.Mutex
	accepted  map[string]ssh.PublicKey
}

// tell says a thing once: a run opens several connections to a host.
func (d *Dialer) tell(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	d.telling.Lock()
	defer d.telling.Unlock()
	if d.Tell == nil || d.told[text] {
		return
	}
	if d.told == nil {
		d.told = map[string]bool{}
	}
	d.told[text] = true
	d.Tell(text)
}

// say says a thing each time.
func (d *Dialer) say(text string) {
	d.telling.Lock()
	defer d.telling.Unlock()
	if d.Tell != nil {
		d.Tell(text)
	}
}

// asks reports whether the operator may be asked something about a host.
func (d *Dialer) asks(s *settings) bool { return d.Ask != nil && !s.batchMode }

// Dial connects to the host that the operator calls alias.
func (d *Dialer) Dial(ctx context.Context, alias string) (*Host, error) {
	to, err := parseDestination(alias)
	if err != nil {
		return nil, err
	}
	return d.reach(ctx, to, nil)
}

func (d *Dialer) handshake(ctx context.Context, s *settings, via *way) (*Host, error) {
	keys, err := d.hostKeys(ctx, s)
	if err != nil {
		return nil, err
	}
	raw, err := via.dial(ctx, s)
	if err != nil {
		return nil, &DialError{Host: s.alias, Address: s.address(), Err: err}
	}
	conn := &listened{Conn: raw}
	ctx, cancel := context.WithTimeoutCause(ctx, handshakeTimeout,
		fmt.Errorf("the SSH handshake took longer than %s", handshakeTimeout))
	defer cancel()
	ring := &keyring{dialer: d, settings: s}
	var refused error
	config := &ssh.ClientConfig{
		Config:            s.crypto,
		User:              s.user,
		HostKeyAlgorithms: keys.algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			refused = keys.check(ctx, key)
			return refused
		},
		AuthCallback: func(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) { return ring.next(ctx, c), nil },
	}
	greeted, stop := conn.greeting(ctx, s.patience())
	defer stop()
	client, err := clientConn(greeted, conn, s.address(), config)
	switch {
	case err == nil:
		return newHost(s, client, conn, ring.used, keys.verified, via), nil
	case refused != nil:
		return nil, refused
	}
	// What a command said before it ended is not the host's answer, whatever it says.
	var proxy *ProxyError
	if refusal := ring.refusal(err); refusal != nil && !errors.As(err, &proxy) {
		return nil, refusal
	}
	if command, ok := raw.(*commandConn); ok {
		err = command.blame(err)
	}
	return nil, &DialError{Host: s.alias, Address: s.address(), Err: err}
}

// greeting ends the returned context if the host says nothing at all for that long.
// Nobody can be typing a passphrase yet, and on a network that died meanwhile, the
// next connection is the one that passes.
func (l *listened) greeting(ctx context.Context, patience time.Duration) (greeted context.Context, stop func()) {
	greeted, silent := context.WithCancelCause(ctx)
	timer := time.AfterFunc(patience, func() {
		if l.heard.Load() == 0 {
			silent(fmt.Errorf("it accepted the connection, and then said nothing for %s", patience))
		}
	})
	return greeted, func() {
		timer.Stop()
		silent(nil)
	}
}

// clientConn does the handshake until ctx ends, and closes conn if it
// fails. Connections through a jump host know no deadlines: what ends them is
// that they are closed.
func clientConn(ctx context.Context, conn net.Conn, address string, config *ssh.ClientConfig) (*ssh.Client, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, address, config)
	if !stop() && err == nil {
		err = errors.New("the connection was closed")
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}
