package remote

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Loan is a login at one host that is lent to another while a script runs there. Its
// key was made for that and is in no file: whoever has the other host can use it
// through the operator's connection only, at this one host, as this one user, and
// once. The host has to let the key in, and may bound what it is good for.
type Loan struct {
	signer ssh.Signer
	// user, host and port are where it is good, hostKey what proves that it is there.
	user, host, port string
	hostKey          ssh.PublicKey
	// become is how the user becomes root there; nil if there is no need.
	become *Become

	// granted is closed once it is good, and withdrawn once nobody has it any more.
	granted, withdrawn chan struct{}
	granting, ending   sync.Once

	mu      sync.Mutex
	spent   bool
	refused error
}

// Loan makes a login at the host, to be lent to another. The address is what the other
// host calls it, as [user@]host[:port]; what it leaves out is as the operator has it.
func (h *Host) Loan(address string) (*Loan, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		return nil, err
	}
	l := &Loan{signer: signer, user: h.User(), hostKey: h.hostKey, granted: make(chan struct{}), withdrawn: make(chan struct{})}
	if l.host, l.port, err = net.SplitHostPort(h.address); err != nil {
		return nil, err
	}
	l.become = h.Become
	if address == "" {
		return l, nil
	}
	to, err := parseDestination(address)
	if err != nil {
		return nil, err
	}
	l.host, l.port = to.host, cmp.Or(to.port, "22")
	if to.user != "" && to.user != l.user {
		l.user, l.become = to.user, nil
	}
	return l, nil
}

// Key is what the host has to let in, and HostKey what it proves itself with: each as
// authorized_keys and known_hosts have it, the type and the key in base64.
func (l *Loan) Key() string     { return keyText(l.signer.PublicKey()) }
func (l *Loan) HostKey() string { return keyText(l.hostKey) }

// User is who logs in, Address and Port are where.
func (l *Loan) User() string    { return l.user }
func (l *Loan) Address() string { return l.host }
func (l *Loan) Port() string    { return l.port }

// Become has the words that make a command root's there. It fails where sudo is given
// a password: nobody is there to type it.
func (l *Loan) Become() (string, error) {
	switch {
	case l.become == nil:
		return "", nil
	case l.become.ask != nil:
		return "", fmt.Errorf("%s becomes root with a password there", l.user)
	}
	return strings.Join(l.become.words, " "), nil
}

// Grant says that the host lets the key in. Whoever asks for it before waits: the login can
// be under way by then.
func (l *Loan) Grant() { l.granting.Do(func() { close(l.granted) }) }

// withdraw ends it.
func (l *Loan) withdraw() { l.ending.Do(func() { close(l.withdrawn) }) }

// isGranted waits until that is known.
func (l *Loan) isGranted() bool {
	select {
	case <-l.granted:
		return true
	case <-l.withdrawn:
		return false
	}
}

// Spent reports whether it was used.
func (l *Loan) Spent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spent
}

// Refused is why the last use that was asked for was not granted; nil, if none was
// refused.
func (l *Loan) Refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// login is what a client signs to log in with a key (RFC 4252, section 7), after the
// session's id; HostKey is there in OpenSSH's publickey-hostbound-v00.
type login struct {
	User, Service, Method string
	Signed                bool
	Algorithm, Key        []byte
	HostKey               []byte `ssh:"rest"`
}

// sign signs the login of the session with that id, if it is the one that was lent.
func (l *Loan) sign(session, data []byte) (*ssh.Signature, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused = l.check(session, data); l.refused != nil {
		return nil, l.refused
	}
	l.spent = true
	return l.signer.Sign(rand.Reader, data)
}

func (l *Loan) check(session, data []byte) error {
	if l.spent {
		return errors.New("it was used already")
	}
	prefix := append(ssh.Marshal(struct{ ID []byte }{session}), userauthRequest)
	rest, ok := bytes.CutPrefix(data, prefix)
	var asked login
	if !ok || ssh.Unmarshal(rest, &asked) != nil {
		return errors.New("what it was to sign is no login of that session")
	}
	switch {
	case asked.User != l.user:
		return fmt.Errorf("it was to log in as %q, not as %s", Clean(asked.User), l.user)
	case asked.Service != "ssh-connection" || !asked.Signed || !bytes.Equal(asked.Key, l.signer.PublicKey().Marshal()):
		return errors.New("what it was to sign is no login with this key")
	case asked.Method == "publickey" && len(asked.HostKey) == 0:
		return nil
	case asked.Method == "publickey-hostbound-v00@openssh.com" &&
		bytes.Equal(asked.HostKey, ssh.Marshal(struct{ Key []byte }{l.hostKey.Marshal()})):
		return nil
	}
	return fmt.Errorf("it was to log in by %q", Clean(asked.Method))
}

// userauthRequest is SSH_MSG_USERAUTH_REQUEST (RFC 4252, section 6).
const userauthRequest = 50
