package remote

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// borrower is a host that a login is lent to, and its ssh.
type borrower struct {
	t    *testing.T
	host *Host
	loan *Loan
	// there is the key of the host that the loan is good for.
	there ssh.Signer
	ssh   agent.ExtendedAgent
}

func newBorrower(t *testing.T) *borrower {
	t.Helper()
	b := &borrower{t: t, there: makeSigner(t)}
	b.loan = &Loan{signer: makeSigner(t), user: "root", host: "prod", port: "22", hostKey: b.there.PublicKey(),
		granted: make(chan struct{}), withdrawn: make(chan struct{})}
	b.loan.Grant()
	b.host = &Host{name: "grind", loans: []*Loan{b.loan}}
	b.connect()
	return b
}

func makeSigner(t *testing.T) ssh.Signer {
	signer, _ := newSigner(t)
	return signer
}

// connect opens a new channel to the agent.
func (b *borrower) connect() {
	near, far := net.Pipe()
	b.t.Cleanup(func() { near.Close() })
	go func() {
		defer far.Close()
		serveRequests(&lender{host: b.host}, far)
	}()
	b.ssh = agent.NewClient(near)
}

const bound = "the hash of a key exchange"

// bind tells the agent that the session is with whom the signer is.
func (b *borrower) bind(to ssh.Signer, signed string, forwarding bool) error {
	b.t.Helper()
	signature, err := to.Sign(rand.Reader, []byte(signed))
	if err != nil {
		b.t.Fatal(err)
	}
	answer, err := b.ssh.Extension("session-bind@openssh.com", ssh.Marshal(bind{
		HostKey: to.PublicKey().Marshal(), Session: []byte(bound), Signature: ssh.Marshal(signature), Forwarding: forwarding,
	}))
	if err == nil && len(answer) > 0 && answer[0] != agentSuccess {
		b.t.Errorf("the agent answered %v", answer)
	}
	return err
}

// agentSuccess is SSH_AGENT_SUCCESS (draft-ietf-sshm-ssh-agent, section 7.1).
const agentSuccess = 6

// request is what ssh signs to log in.
func (b *borrower) request(change func(*login)) []byte {
	l := login{User: "root", Service: "ssh-connection", Method: "publickey", Signed: true,
		Algorithm: []byte(ssh.KeyAlgoED25519), Key: b.loan.signer.PublicKey().Marshal()}
	if change != nil {
		change(&l)
	}
	return append(append(ssh.Marshal(struct{ ID string }{bound}), userauthRequest), ssh.Marshal(l)...)
}

func (b *borrower) signs(data []byte) error {
	signature, err := b.ssh.Sign(b.loan.signer.PublicKey(), data)
	if err == nil {
		err = b.loan.signer.PublicKey().Verify(data, signature)
	}
	return err
}

func TestLoanIsGoodOnce(t *testing.T) {
	b := newBorrower(t)
	if err := b.bind(b.there, bound, false); err != nil {
		t.Fatal(err)
	}
	if err := b.signs(b.request(nil)); err != nil {
		t.Fatal(err)
	}
	if b.loan.Refused() != nil {
		t.Error(b.loan.Refused())
	}
	if b.signs(b.request(nil)) == nil || !strings.Contains(b.loan.Refused().Error(), "used already") {
		t.Errorf("signed twice; %v", b.loan.Refused())
	}
}

// Who asks before the host lets the key in waits, and gets nothing if it never does.
func TestLoanIsWaitedFor(t *testing.T) {
	for _, granted := range []bool{true, false} {
		b := newBorrower(t)
		b.loan = &Loan{signer: makeSigner(t), user: "root", host: "prod", port: "22", hostKey: b.there.PublicKey(),
			granted: make(chan struct{}), withdrawn: make(chan struct{})}
		b.host.loans = []*Loan{b.loan}
		if err := b.bind(b.there, bound, false); err != nil {
			t.Fatal(err)
		}
		listed := make(chan int)
		go func() {
			keys, _ := b.ssh.List()
			listed <- len(keys)
		}()
		select {
		case n := <-listed:
			t.Fatalf("it is shown %d keys before", n)
		case <-time.After(50 * time.Millisecond):
		}
		want := 0
		if granted {
			b.loan.Grant()
			want = 1
		} else {
			b.loan.withdraw()
		}
		if n := <-listed; n != want {
			t.Errorf("granted: %t: it is shown %d keys", granted, n)
		}
		if err := b.signs(b.request(nil)); (err == nil) != granted || b.loan.Spent() != granted {
			t.Errorf("granted: %t: %v", granted, err)
		}
	}
}

func TestLoanIsGoodForOneLogin(t *testing.T) {
	hostbound := func(key func(*borrower) ssh.PublicKey) func(*borrower, *login) {
		return func(b *borrower, l *login) {
			l.Method = "publickey-hostbound-v00@openssh.com"
			l.HostKey = ssh.Marshal(struct{ Key []byte }{key(b).Marshal()})
		}
	}
	for name, c := range map[string]struct {
		change func(*borrower, *login)
		good   bool
	}{
		"as it was lent":        {func(*borrower, *login) {}, true},
		"bound to the host":     {hostbound(func(b *borrower) ssh.PublicKey { return b.there.PublicKey() }), true},
		"bound to another host": {hostbound(func(b *borrower) ssh.PublicKey { return b.loan.signer.PublicKey() }), false},
		"another user":          {func(_ *borrower, l *login) { l.User = "admin" }, false},
		"another service":       {func(_ *borrower, l *login) { l.Service = "ssh-userauth" }, false},
		"another method":        {func(_ *borrower, l *login) { l.Method = "hostbased" }, false},
		"another key":           {func(b *borrower, l *login) { l.Key = b.there.PublicKey().Marshal() }, false},
		"only asked":            {func(_ *borrower, l *login) { l.Signed = false }, false},
		"more than a login":     {func(_ *borrower, l *login) { l.HostKey = []byte("more") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBorrower(t)
			if err := b.bind(b.there, bound, false); err != nil {
				t.Fatal(err)
			}
			err := b.signs(b.request(func(l *login) { c.change(b, l) }))
			if (err == nil) != c.good {
				t.Errorf("signed: %v", err)
			}
			if (b.loan.Refused() == nil) != c.good {
				t.Errorf("refused: %v", b.loan.Refused())
			}
		})
	}
}

// TestLoanIsGoodAtOneHost has ssh on the host say, or not say, where its session leads.
func TestLoanIsGoodAtOneHost(t *testing.T) {
	for name, c := range map[string]struct {
		bind func(*borrower) error
		// bound says that the agent takes it.
		bound bool
		why   string
	}{
		"it does not say":       {func(*borrower) error { return nil }, true, "older than OpenSSH 8.9"},
		"with another host":     {func(b *borrower) error { return b.bind(makeSigner(b.t), bound, false) }, true, "another host"},
		"the host did not sign": {func(b *borrower) error { return b.bind(b.there, "another session", false) }, false, "older than"},
		"to be forwarded":       {func(b *borrower) error { return b.bind(b.there, bound, true) }, false, "older than"},
		"what it says is garbage": {func(b *borrower) error {
			_, err := b.ssh.Extension("session-bind@openssh.com", []byte("x"))
			return err
		}, false, "older than"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBorrower(t)
			if err := c.bind(b); (err == nil) != c.bound {
				t.Errorf("bound: %v", err)
			}
			if b.signs(b.request(nil)) == nil {
				t.Fatal("it signed")
			}
			if err := b.loan.Refused(); err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("refused: %v, want %s", err, c.why)
			}
		})
	}
	t.Run("a second time", func(t *testing.T) {
		b := newBorrower(t)
		if err := b.bind(makeSigner(t), bound, false); err != nil {
			t.Fatal(err)
		}
		if b.bind(b.there, bound, false) == nil || b.signs(b.request(nil)) == nil {
			t.Error("a session was bound to two hosts")
		}
	})
	t.Run("another session", func(t *testing.T) {
		b := newBorrower(t)
		if err := b.bind(b.there, bound, false); err != nil {
			t.Fatal(err)
		}
		if b.signs(append(ssh.Marshal(struct{ ID string }{"other"}), b.request(nil)[4+len(bound):]...)) == nil {
			t.Error("it signed for a session that is not bound")
		}
	})
}

// Only a host that denies it is said to forward no agent.
func TestForwardingFails(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		stall string
		then  func(*server, context.CancelCauseFunc)
		is    func(error) bool
	}{
		"denied": {"", nil, func(err error) bool { return strings.Contains(err.Error(), "AllowAgentForwarding") }},
		"ended": {"agent", func(_ *server, end context.CancelCauseFunc) { end(enough) },
			func(err error) bool { return err == enough }},
		"lost": {"agent", func(s *server, _ context.CancelCauseFunc) { s.cut() }, func(err error) bool {
			var lost *LostError
			return errors.As(err, &lost) && lost.Unsent
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newServer(t, func(s *server) { s.stall, s.stalled = c.stall, make(chan struct{}, 1) })
			h := dial(t, d)
			ctx, end := context.WithCancelCause(t.Context())
			defer end(nil)
			go func() {
				select {
				case <-s.stalled:
					c.then(s, end)
				case <-ctx.Done():
				}
			}()
			if _, err := h.Run(ctx, Script{Name: "s", Code: "true", Loan: newBorrower(t).loan}); err == nil || !c.is(err) {
				t.Errorf("got %v", err)
			}
			if len(h.lent()) != 0 {
				t.Error("it is lent still")
			}
		})
	}
}

func TestAgentHasNothingElse(t *testing.T) {
	b := newBorrower(t)
	keys, err := b.ssh.List()
	if err != nil || len(keys) != 1 || string(keys[0].Blob) != string(b.loan.signer.PublicKey().Marshal()) {
		t.Fatalf("it lists %v, %v", keys, err)
	}
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	for name, err := range map[string]error{
		"add":        b.ssh.Add(agent.AddedKey{PrivateKey: private}),
		"remove":     b.ssh.Remove(b.loan.signer.PublicKey()),
		"remove all": b.ssh.RemoveAll(),
		"lock":       b.ssh.Lock([]byte("x")),
		"unlock":     b.ssh.Unlock([]byte("x")),
	} {
		if err == nil {
			t.Errorf("%s: it did", name)
		}
	}
	if err := b.bind(makeSigner(t), bound, false); err != nil {
		t.Fatal(err)
	}
	if keys, _ := b.ssh.List(); len(keys) != 0 {
		t.Error("it lists keys for a host that they are not good for")
	}
	b.host.loans = b.host.loans[:0]
	b.connect()
	if keys, _ := b.ssh.List(); len(keys) != 0 {
		t.Error("it lists what is not lent any more")
	}
}
