package remote

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/crypto/ssh/agent"
)

// askTimeout bounds a question to the operator's own machine.
const askTimeout = 5 * time.Second

// Client is the version of the operator's ssh, which tells what the SSH
// configuration says.
func Client(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// It says so on standard error.
	said, err := exec.CommandContext(ctx, "ssh", "-V").CombinedOutput()
	return Clean(strings.TrimSpace(string(said))), err
}

// AgentKeys counts the keys of the operator's agent. Where there is no agent socket
// is empty.
func AgentKeys() (socket string, keys int, err error) {
	socket = os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return "", 0, nil
	}
	conn, err := net.DialTimeout("unix", socket, askTimeout)
	if err != nil {
		return socket, 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(askTimeout)); err != nil {
		return socket, 0, err
	}
	held, err := agent.NewClient(conn).List()
	return socket, len(held), err
}
