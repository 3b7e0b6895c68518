package remote

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// lend has the scripts of a session use the loan until stop is called: they find an
// agent at SSH_AUTH_SOCK that has this key alone. The operator's own agent is never
// forwarded.
func (h *Host) lend(l *Loan) (stop func()) {
	h.lending.Lock()
	defer h.lending.Unlock()
	if h.loans == nil {
		// The host opens a channel for each use, and does not say from which session.
		go h.serveLoans(h.client.HandleChannelOpen("auth-agent@openssh.com"))
	}
	h.loans = append(h.loans, l)
	return func() {
		l.withdraw()
		h.lending.Lock()
		defer h.lending.Unlock()
		// Not nil when it is empty: the channels are handled already.
		h.loans = slices.DeleteFunc(h.loans, func(other *Loan) bool { return other == l })
	}
}

// forwardOnce has the sessions that begin from now on find an agent of ours.
func (h *Host) forwardOnce(ctx context.Context, session *ssh.Session) error {
	h.forwarding.Lock()
	defer h.forwarding.Unlock()
	if h.forwarded {
		return nil
	}
	if err := h.forward(ctx, session); err != nil {
		return err
	}
	h.forwarded = true
	return nil
}

// errDenied is a host's no.
var errDenied = errors.New("it was denied")

// forward asks for an agent's channels. The error is a *[LostError] if there was no
// answer; agent.RequestAgentForwarding does not tell that from a no.
func (h *Host) forward(ctx context.Context, session *ssh.Session) error {
	err := h.bounded(ctx, "forwarding an agent", func() error {
		granted, err := session.SendRequest("auth-agent-req@openssh.com", true, nil)
		if err == nil && !granted {
			return errDenied
		}
		return err
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errDenied):
		return fmt.Errorf("%s: its sshd forwards no agent (AllowAgentForwarding): %w", h.name, err)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &LostError{Host: h.name, Err: err, Unsent: true}
}

// lendings is how many uses of loans a host may have open at once. An honest one has
// one for each target.
const lendings = 16

func (h *Host) serveLoans(channels <-chan ssh.NewChannel) {
	open := make(chan struct{}, lendings)
	for asked := range channels {
		select {
		case open <- struct{}{}:
		default:
			_ = asked.Reject(ssh.ResourceShortage, "too many")
			continue
		}
		channel, requests, err := asked.Accept()
		if err != nil {
			<-open
			continue
		}
		go ssh.DiscardRequests(requests)
		go io.Copy(io.Discard, channel.Stderr())
		go func() {
			defer func() { <-open }()
			defer channel.Close()
			serveRequests(&lender{host: h}, channel)
		}()
	}
}

// requestCap is the most that a request to the agent may have. A session's proof is the
// longest, with a key, a signature and a hash; x/crypto's own bound is 16 MiB for each
// channel.
const requestCap = 64 << 10

// serveRequests answers what the host asks of its agent, one by one.
func serveRequests(l *lender, channel io.ReadWriter) {
	for {
		var size [4]byte
		if _, err := io.ReadFull(channel, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > requestCap {
			return
		}
		request := io.MultiReader(bytes.NewReader(size[:]), io.LimitReader(channel, int64(n)))
		if err := agent.ServeAgent(l, struct {
			io.Reader
			io.Writer
		}{request, channel}); err != io.EOF {
			return
		}
	}
}

// lent are the loans that the host may use now.
func (h *Host) lent() []*Loan {
	h.lending.Lock()
	defer h.lending.Unlock()
	return slices.Clone(h.loans)
}

// lender is the agent at the end of one channel. It signs only when ssh on the host
// has proved first, by session-bind@openssh.com, that the session is one with the
// host that the loan is good for (OpenSSH's PROTOCOL.agent, section 1): ssh does so
// since 8.9.
type lender struct {
	host *Host
	// session is the id of that session, and hostKey what the host at its end has
	// signed it with.
	session []byte
	hostKey ssh.PublicKey
}

var _ agent.ExtendedAgent = (*lender)(nil)

// List shows what may be used, and of no more than the session that is bound. It waits
// until that is good: ssh asks for it once it has agreed on the session's keys.
func (l *lender) List() ([]*agent.Key, error) {
	var keys []*agent.Key
	for _, loan := range l.host.lent() {
		key := loan.signer.PublicKey()
		if (l.hostKey == nil || same(l.hostKey, loan.hostKey)) && loan.isGranted() {
			keys = append(keys, &agent.Key{Format: key.Type(), Blob: key.Marshal(), Comment: "lent by rel"})
		}
	}
	return keys, nil
}

// bind is what session-bind@openssh.com carries.
type bind struct {
	HostKey, Session, Signature []byte
	Forwarding                  bool
}

// Extension takes the proof of where a session leads, once.
func (l *lender) Extension(kind string, contents []byte) ([]byte, error) {
	if kind != "session-bind@openssh.com" {
		return nil, agent.ErrExtensionUnsupported
	}
	var b bind
	var signature ssh.Signature
	if err := errors.Join(ssh.Unmarshal(contents, &b), ssh.Unmarshal(b.Signature, &signature)); err != nil {
		return nil, err
	}
	key, err := ssh.ParsePublicKey(b.HostKey)
	if err != nil {
		return nil, err
	}
	if l.session != nil || b.Forwarding {
		return nil, errors.New("it is bound already, or to be forwarded")
	}
	if err := key.Verify(b.Session, &signature); err != nil {
		return nil, err
	}
	l.session, l.hostKey = b.Session, key
	return nil, nil
}

// SignWithFlags signs a login with the lent key. The flags ask for a hash of RSA's.
func (l *lender) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	for _, loan := range l.host.lent() {
		switch {
		case !same(key, loan.signer.PublicKey()):
		case l.session == nil:
			return nil, loan.refuse(fmt.Errorf("ssh on %s does not say which host it is for: it is older than OpenSSH 8.9", l.host.name))
		case !same(l.hostKey, loan.hostKey):
			return nil, loan.refuse(errors.New("it is for a session with another host"))
		case !loan.isGranted():
			return nil, errNotLent
		default:
			return loan.sign(l.session, data)
		}
	}
	return nil, errNotLent
}

func (l *Loan) refuse(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = err
	return err
}

// errNotLent refuses everything else that is asked of an agent.
var errNotLent = errors.New("that was not lent")

func (l *lender) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return l.SignWithFlags(key, data, 0)
}
func (*lender) Signers() ([]ssh.Signer, error) { return nil, errNotLent }
func (*lender) Add(agent.AddedKey) error       { return errNotLent }
func (*lender) Remove(ssh.PublicKey) error     { return errNotLent }
func (*lender) RemoveAll() error               { return errNotLent }
func (*lender) Lock([]byte) error              { return errNotLent }
func (*lender) Unlock([]byte) error            { return errNotLent }
