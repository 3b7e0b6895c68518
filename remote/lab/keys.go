package lab

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// keyPair is an ssh key as files hold it.
type keyPair struct{ private, public []byte }

func newKey(comment string) (keyPair, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	block, err := ssh.MarshalPrivateKey(priv, comment)
	if err != nil {
		return keyPair{}, err
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		return keyPair{}, err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub))) + " " + comment + "\n"
	return keyPair{private: pem.EncodeToMemory(block), public: []byte(line)}, nil
}

// keyPath is the operator's key, the only one that opens the hosts.
func (l *Lab) keyPath() string { return filepath.Join(l.Dir, "id_ed25519") }

func (l *Lab) makeKeys(context.Context) error {
	k, err := newKey("rel-lab-operator")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.keyPath(), k.private, 0o600); err != nil {
		return err
	}
	return os.WriteFile(l.keyPath()+".pub", k.public, 0o644)
}
