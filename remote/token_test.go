package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// token is an agent that holds a FIDO key, and signs as if it was touched: the form
// of such signatures is that of OpenSSH's PROTOCOL.u2f.
type token struct {
	agent.Agent
	private ed25519.PrivateKey
	public  ssh.PublicKey
}

const application = "ssh:"

func newToken(t *testing.T) *token {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, public, application}))
	if err != nil {
		t.Fatal(err)
	}
	return &token{Agent: agent.NewKeyring(), private: private, public: key}
}

func (k *token) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: k.public.Type(), Blob: k.public.Marshal(), Comment: "token\nrel: done"}}, nil
}

func (k *token) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if !same(key, k.public) {
		return nil, errors.New("not that key")
	}
	type state struct {
		Flags   byte
		Counter uint32
	}
	touched := state{Flags: 1, Counter: 7}
	of, what := sha256.Sum256([]byte(application)), sha256.Sum256(data)
	signed := append(append(of[:], ssh.Marshal(touched)...), what[:]...)
	return &ssh.Signature{Format: k.public.Type(), Blob: ed25519.Sign(k.private, signed), Rest: ssh.Marshal(touched)}, nil
}

// serve has the token behind a socket.
func (k *token) serve(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "token")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(k, conn)
			}()
		}
	}()
	return socket
}
