package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh/agent"
)

func TestAgentKeys(t *testing.T) {
	t.Setenv("SSH_AUTH_SOCK", "")
	if socket, keys, err := AgentKeys(); socket != "" || keys != 0 || err != nil {
		t.Errorf("without an agent: %q, %d, %v", socket, keys, err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	t.Setenv("SSH_AUTH_SOCK", socket)
	if _, _, err := AgentKeys(); err == nil {
		t.Error("an agent that is gone is not missed")
	}
	held := agent.NewKeyring()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Add(agent.AddedKey{PrivateKey: &key}); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(held, conn) }()
		}
	}()
	if _, keys, err := AgentKeys(); keys != 1 || err != nil {
		t.Errorf("it holds %d keys: %v", keys, err)
	}
}

func TestClient(t *testing.T) {
	if version, err := Client(t.Context()); err != nil || version == "" {
		t.Errorf("the ssh here is %q: %v", version, err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Client(t.Context()); err == nil {
		t.Error("an ssh that is not there is not missed")
	}
}
