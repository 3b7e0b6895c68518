package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keyring gathers the keys that the configuration allows for a host, in
// OpenSSH's order: the agent's keys that an IdentityFile names, the agent's
// other keys (unless IdentitiesOnly), then the files.
type keyring struct {
	dialer   *Dialer
	settings *settings
	agent    net.Conn

	mu      sync.Mutex
	offered []string
	skipped []string
	// used is the fingerprint of the key that signed last.
	used string
}

func (k *keyring) close() {
	if k.agent != nil {
		k.agent.Close()
	}
}

// signers is called by the SSH client once it has reached authentication.
func (k *keyring) signers() ([]ssh.Signer, error) {
	held := k.agentSigners()
	var list []ssh.Signer
	var files []string
	for _, name := range k.settings.identityFiles {
		public := publicKey(name)
		if signer := find(held, public); signer != nil {
			list = append(list, signer)
			continue
		}
		files = append(files, name)
	}
	if !k.settings.identitiesOnly {
		for _, signer := range held {
			if find(list, signer.PublicKey()) == nil {
				list = append(list, signer)
			}
		}
	}
	for _, name := range files {
		if signer := k.fileSigner(name); signer != nil {
			list = append(list, signer)
		}
	}
	for i, signer := range list {
		k.offer(signer)
		list[i] = &witness{Signer: signer, keyring: k}
	}
	return list, nil
}

func (k *keyring) offer(signer ssh.Signer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key := signer.PublicKey()
	k.offered = append(k.offered, fmt.Sprintf("%s %s", key.Type(), ssh.FingerprintSHA256(key)))
}

func (k *keyring) skip(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.skipped = append(k.skipped, fmt.Sprintf(format, args...))
}

func (k *keyring) agentSigners() []ssh.Signer {
	socket := k.settings.identityAgent
	switch socket {
	case "none":
		return nil
	case "", "SSH_AUTH_SOCK":
		socket = os.Getenv("SSH_AUTH_SOCK")
	}
	if socket == "" {
		return nil
	}
	conn, err := net.DialTimeout("unix", socket, dialTimeout)
	if err != nil {
		k.skip("the agent's keys (%v)", err)
		return nil
	}
	k.agent = conn
	held, err := agent.NewClient(conn).Signers()
	if err != nil {
		k.skip("the agent's keys (%v)", err)
	}
	return held
}

func (k *keyring) fileSigner(name string) ssh.Signer {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // OpenSSH's defaults name files that nobody has to have.
	}
	if err != nil {
		k.skip("%s (%v)", name, err)
		return nil
	}
	signer, err := ssh.ParsePrivateKey(text)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		signer, err = k.unlock(name, text)
	}
	if err != nil {
		k.skip("%s (%v)", name, err)
		return nil
	}
	return signer
}

func (k *keyring) unlock(name string, text []byte) (ssh.Signer, error) {
	if k.dialer.Ask == nil {
		return nil, fmt.Errorf("it is encrypted; run: ssh-add %s", name)
	}
	// Once for all connections of the run: heartbeats and confirmations have their own.
	k.dialer.unlocking.Lock()
	defer k.dialer.unlocking.Unlock()
	if signer := k.dialer.unlocked[name]; signer != nil {
		return signer, nil
	}
	phrase, err := k.dialer.Ask(fmt.Sprintf("Passphrase for %s: ", name), true)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(phrase))
	if err != nil {
		return nil, err
	}
	if k.dialer.unlocked == nil {
		k.dialer.unlocked = map[string]ssh.Signer{}
	}
	k.dialer.unlocked[name] = signer
	return signer, nil
}

// publicKey reads the public half beside a private key file; nil if it is not
// there, as for a key that lives in an agent alone its own file may be it.
func publicKey(name string) ssh.PublicKey {
	for _, candidate := range []string{name + ".pub", name} {
		text, err := os.ReadFile(candidate)
		if err != nil {
			continue
		}
		if key, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
			return key
		}
	}
	return nil
}

func find(signers []ssh.Signer, key ssh.PublicKey) ssh.Signer {
	if key == nil {
		return nil
	}
	for _, signer := range signers {
		if bytes.Equal(signer.PublicKey().Marshal(), key.Marshal()) {
			return signer
		}
	}
	return nil
}

// witness notes which key signed: the host let that one in.
type witness struct {
	ssh.Signer
	keyring *keyring
}

func (w *witness) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return w.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm lets RSA keys sign with SHA-2; servers refuse SHA-1.
func (w *witness) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	w.keyring.mu.Lock()
	w.keyring.used = ssh.FingerprintSHA256(w.PublicKey())
	w.keyring.mu.Unlock()
	if signer, ok := w.Signer.(ssh.AlgorithmSigner); ok {
		return signer.SignWithAlgorithm(rand, data, algorithm)
	}
	return w.Signer.Sign(rand, data)
}
