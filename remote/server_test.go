package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// server is an SSH server in the test's own process that runs what it is told
// in a real /bin/sh, and can misbehave. Real sshds are met in the lab's tests.
type server struct {
	t       testing.TB
	hostKey atomic.Pointer[ssh.Signer]
	// allowed is the one key that is let in.
	allowed ssh.PublicKey
	addr    string
	// shell runs a command as a login shell does; sh -c, unless it is set.
	shell []string
	// forwards lets connections through to where they are asked for; forbids has none.
	forwards, forbids bool
	// stall says at what point the server stops answering; stalled is told, if that is
	// the request for an agent.
	stall string
	// voice is how many bytes it says before it only listens; nil, if there is no end.
	voice   *atomic.Int64
	stalled chan struct{}
	// deaf has it drop all that it is sent, on every connection.
	deaf atomic.Bool
	// slow is how many bytes it takes in a second, silent that it answers no requests of
	// the connection.
	slow   int
	silent bool
	// arrived counts the bytes it took.
	arrived atomic.Int64
	// far is how long it takes for what it is sent to arrive.
	far time.Duration
	// most is how many sessions a connection may have, if that is bounded.
	most int32
	// play answers commands in place of the shell.
	play func(ssh.Channel, string)
	// sessions counts the sessions that were opened, open those that are.
	sessions, open atomic.Int32
	conn           atomic.Pointer[net.Conn]
}

func newSigner(t testing.TB) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

// newServer starts a server, and writes an SSH configuration whose host "box"
// is it.
func newServer(t testing.TB, change ...func(*server)) (*server, *Dialer) {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	dir := t.TempDir()
	client, private := newSigner(t)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "id"), string(pem.EncodeToMemory(block)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &server{t: t, allowed: client.PublicKey(), addr: listener.Addr().String(), shell: []string{"/bin/sh", "-c"}}
	s.changeHostKey()
	for _, f := range change {
		f(s)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conn.Store(&conn)
			if s.voice != nil {
				conn = &hoarse{conn, s.voice}
			}
			if s.far > 0 {
				conn = newFarConn(conn, s.far)
			}
			go s.serve(conn)
		}
	}()
	_, port, _ := net.SplitHostPort(s.addr)
	write(t, filepath.Join(dir, "config"), fmt.Sprintf(`Host box
    HostName 127.0.0.1
    Port %s
    User tester
    IdentityFile %s/id
    IdentityAgent none
    StrictHostKeyChecking accept-new
    UserKnownHostsFile %s/known_hosts
    GlobalKnownHostsFile /dev/null
`, port, dir, dir))
	return s, &Dialer{ConfigFile: filepath.Join(dir, "config")}
}

// hoarse is a connection on which nothing is said any more after so many bytes.
type hoarse struct {
	net.Conn
	left *atomic.Int64
}

func (h *hoarse) Write(b []byte) (int, error) {
	left := h.left.Add(-int64(len(b))) + int64(len(b))
	if n := min(max(left, 0), int64(len(b))); n > 0 {
		if _, err := h.Conn.Write(b[:n]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func dial(t testing.TB, d *Dialer) *Host {
	t.Helper()
	h, err := d.Dial(t.Context(), "box")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	if s.stall == "accept" {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(s.allowed.Marshal()) {
			return nil, errors.New("not that key")
		}
		return nil, nil
	}}
	config.AddHostKey(*s.hostKey.Load())
	_, channels, requests, err := ssh.NewServerConn(&deafConn{conn, s}, config)
	if err != nil {
		return
	}
	if s.silent {
		go func() {
			for range requests {
			}
		}()
	} else {
		go ssh.DiscardRequests(requests)
	}
	for c := range channels {
		switch {
		case s.stall == "session":
		case s.forbids && c.ChannelType() == "direct-tcpip":
			_ = c.Reject(ssh.Prohibited, "open failed")
		case c.ChannelType() == "direct-tcpip" && s.forwards:
			go s.forward(c)
		case c.ChannelType() == "direct-tcpip":
			_ = c.Reject(ssh.ConnectionFailed, "Connection\x1b[31m refused")
		case c.ChannelType() != "session":
			_ = c.Reject(ssh.UnknownChannelType, "")
		case s.most > 0 && s.open.Load() >= s.most:
			_ = c.Reject(ssh.ConnectionFailed, "open failed")
		default:
			s.open.Add(1)
			channel, requests, err := c.Accept()
			if err != nil {
				return
			}
			s.sessions.Add(1)
			go s.session(channel, requests)
		}
	}
}

// deafConn is a connection whose server may be deaf.
type deafConn struct {
	net.Conn
	*server
}

func (c *deafConn) Read(b []byte) (int, error) {
	if c.slow > 0 {
		b = b[:min(len(b), c.slow/50)]
		time.Sleep(time.Second * time.Duration(len(b)) / time.Duration(c.slow))
	}
	for {
		n, err := c.Conn.Read(b)
		c.arrived.Add(int64(n))
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

func (s *server) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	defer s.open.Add(-1)
	for r := range requests {
		if s.stall == "agent" && r.Type == "auth-agent-req@openssh.com" {
			tell(s.stalled)
			continue
		}
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var exe struct{ Command string }
		_ = ssh.Unmarshal(r.Payload, &exe)
		_ = r.Reply(true, nil)
		if s.play != nil {
			s.play(channel, exe.Command)
			return
		}
		status := s.run(channel, exe.Command)
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
	}
}

// forward connects a channel to the address that it asks for.
func (s *server) forward(c ssh.NewChannel) {
	var to struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	_ = ssh.Unmarshal(c.ExtraData(), &to)
	conn, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
	if err != nil {
		_ = c.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	defer conn.Close()
	channel, requests, err := c.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(conn, channel)
		conn.Close()
	}()
	_, _ = io.Copy(channel, conn)
}

func (s *server) run(channel ssh.Channel, command string) uint32 {
	cmd := exec.Command(s.shell[0], append(s.shell[1:], command)...)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 255
	}
	go func() {
		_, _ = io.Copy(stdin, channel)
		stdin.Close()
	}()
	var exit *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &exit):
		return uint32(exit.ExitCode())
	case err != nil:
		return 255
	}
	return 0
}

func (s *server) changeHostKey() {
	signer, _ := newSigner(s.t)
	s.hostKey.Store(&signer)
}

// cut ends the connection as a dead network does, from the far side.
func (s *server) cut() { (*s.conn.Load()).Close() }

func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not mention %q", text, word)
		}
	}
}
