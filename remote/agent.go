package remote

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// held are the agent's keys, in its order.
func (k *keyring) held(ctx context.Context) (list []*identity) {
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
	signers, err := agentSigners(ctx, socket)
	if err != nil {
		k.skip("the agent's keys", err)
	}
	for _, signer := range signers {
		blob := signer.PublicKey()
		comment := ""
		if key, ok := blob.(*agent.Key); ok {
			comment = oneLine(key.Comment)
		}
		public, err := ssh.ParsePublicKey(blob.Marshal())
		if err != nil {
			k.skip(fmt.Sprintf("%s (agent: %s)", oneLine(blob.Type()), comment), err)
			continue
		}
		list = append(list, &identity{
			keyring: k, public: public, origin: "agent: " + comment,
			usable: func() error { return nil },
			signer: func() (ssh.Signer, error) { return &agentSigner{signer.(ssh.AlgorithmSigner), public}, nil },
		})
	}
	return list
}

// agentSigners asks the agent for its keys. The connection to it ends with ctx,
// whatever the agent waits for by then.
func agentSigners(ctx context.Context, socket string) ([]ssh.Signer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	// One that hangs must not take the time of the keys in files.
	timer := time.AfterFunc(dialTimeout, func() { conn.Close() })
	defer timer.Stop()
	return agent.NewClient(conn).Signers()
}

// agentSigner explains an agent that does not sign, which says no more itself.
type agentSigner struct {
	ssh.AlgorithmSigner
	public ssh.PublicKey
}

func (s *agentSigner) PublicKey() ssh.PublicKey { return s.public }

func (s *agentSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	signature, err := s.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
	if err != nil {
		return nil, fmt.Errorf("the host would take it, and the agent did not sign (%w): nobody confirmed it, "+
			"or it was added with ssh-add -h, which is for ssh alone; add it without -h", err)
	}
	return signature, nil
}
