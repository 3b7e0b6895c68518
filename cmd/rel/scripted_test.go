package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// keys are those that scripted hosts and their operators have.
var keys = sync.OnceValue(func() (k struct {
	host   ssh.Signer
	client ssh.PublicKey
	// private is the operator's, as a file has it.
	private []byte
}) {
	var err error
	_, hostKey, _ := ed25519.GenerateKey(rand.Reader)
	if k.host, err = ssh.NewSignerFromKey(hostKey); err != nil {
		panic(err)
	}
	public, private, _ := ed25519.GenerateKey(rand.Reader)
	if k.client, err = ssh.NewPublicKey(public); err != nil {
		panic(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		panic(err)
	}
	k.private = pem.EncodeToMemory(block)
	return k
})

// scripted is an SSH server in the test's process that plays a host. It runs
// nothing: it knows every script by the sentence that it begins with, answers as
// that script does, and changes a model of the host as it would change the host.
type scripted struct {
	name  string
	model *model
	wire  *wire
	addr  string
	// noise is what it prints on standard error in every script, if set.
	noise atomic.Pointer[func(script string, to io.Writer)]
}

// newScripted starts a scripted host.
func newScripted(t testing.TB, name string, m *model, w *wire) (s *scripted, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &scripted{name: name, model: m, wire: w, addr: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(w.connect(conn))
		}
	}()
	return s, func() { listener.Close() }
}

// writeSSHConfig writes what an operator has to have to reach the hosts.
func writeSSHConfig(t testing.TB, dir string, hosts ...*scripted) (path string) {
	t.Helper()
	var config, known strings.Builder
	for _, h := range hosts {
		_, port, _ := net.SplitHostPort(h.addr)
		// The processor does this cipher; what is done in Go is what the race detector looks at.
		fmt.Fprintf(&config, `Host %s
    Ciphers aes128-gcm@openssh.com
    HostName 127.0.0.1
    Port %s
    User root
    IdentityFile %[3]s/id
    IdentityAgent none
    StrictHostKeyChecking yes
    UserKnownHostsFile %[3]s/known_hosts
    GlobalKnownHostsFile /dev/null
`, h.name, port, dir)
		fmt.Fprintf(&known, "[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(keys().host.PublicKey()))
	}
	path = filepath.Join(dir, "ssh_config")
	for name, text := range map[string]string{path: config.String(),
		filepath.Join(dir, "known_hosts"): known.String(), filepath.Join(dir, "id"): string(keys().private)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func (s *scripted) serve(conn *wireConn) {
	defer conn.Close()
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(keys().client.Marshal()) {
			return nil, fmt.Errorf("not that key")
		}
		return nil, nil
	}}
	config.AddHostKey(keys().host)
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		switch c.ChannelType() {
		case "session":
			if channel, requests, err := c.Accept(); err == nil {
				go s.session(conn, channel, requests)
			}
		case "direct-tcpip":
			if channel, requests, err := c.Accept(); err == nil {
				go ssh.DiscardRequests(requests)
				go s.answerCheck(channel)
			}
		default:
			_ = c.Reject(ssh.UnknownChannelType, "")
		}
	}
}

// session runs the one command of a session, which is always the same. To open a shell
// counts as a command, as each script that the shell then runs does.
func (s *scripted) session(conn *wireConn, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var exe struct{ Command string }
		_ = ssh.Unmarshal(r.Payload, &exe)
		now, ran := s.wire.command()
		if now {
			s.wire.cut(conn)
			return
		}
		s.wire.note("shell", ran)
		_ = r.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		if ran {
			s.wire.cut(conn)
			return
		}
		status, cut := s.shell(conn, channel, exe.Command)
		if !cut {
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		}
		return
	}
}

// shell is what the bootstrap does: it runs one script that has the session to itself, or
// one after the other. Of one that is to be cut once it has run nothing more is heard.
func (s *scripted) shell(conn *wireConn, channel ssh.Channel, command string) (status uint32, cut bool) {
	if !strings.HasPrefix(command, "exec /bin/sh -c '") {
		fmt.Fprintf(channel.Stderr(), "a command that no scripted host knows: %s\n", command)
		return 127, false
	}
	fmt.Fprintln(channel, "rel-ready 0")
	in := bufio.NewReader(channel)
	if _, err := in.ReadString('\n'); err != nil { // what runs the scripts
		return 1, false
	}
	for {
		header, err := in.ReadString('\n')
		if err != nil {
			return 0, false
		}
		now, ran := s.wire.command()
		if now {
			s.wire.cut(conn)
			return 0, true
		}
		nonce, size, _ := strings.Cut(strings.TrimSuffix(header, "\n"), " ")
		fmt.Fprintln(channel, nonce)
		fmt.Fprintln(channel.Stderr(), nonce)
		c := &call{host: s, in: in, out: channel, err: channel.Stderr()}
		if !c.begin() {
			return 1, false
		}
		n, err := strconv.ParseInt(size, 10, 64)
		if err == nil {
			c.in = bufio.NewReader(io.LimitReader(in, n))
		}
		status = c.run(ran)
		switch {
		case ran:
			s.wire.cut(conn)
			return 0, true
		case err != nil:
			return status, false
		}
		_, _ = io.Copy(io.Discard, c.in)
		fmt.Fprintf(channel, "%s %d\n", nonce, status)
		fmt.Fprintf(channel.Stderr(), "%s %d\n", nonce, status)
	}
}

// answerCheck is the service that the checks ask: it says of which commit it is.
func (s *scripted) answerCheck(channel ssh.Channel) {
	defer channel.Close()
	if _, err := http.ReadRequest(bufio.NewReader(channel)); err != nil {
		return
	}
	body := s.model.served()
	fmt.Fprintf(channel, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

// call is one script that a host was sent.
type call struct {
	host     *scripted
	env      map[string]string
	code     string
	in       *bufio.Reader
	out, err io.Writer
}

// run runs a script. Of one that is to be cut once it has run nothing more is heard.
func (c *call) run(cut bool) (status uint32) {
	if cut {
		c.out, c.err = io.Discard, io.Discard
	}
	for _, s := range scripts {
		if strings.Contains(c.code, "# "+s.sentence) {
			// A look may be asked for twice, a move may not.
			c.host.wire.note(strings.TrimSpace(s.name+" "+c.env["STEP"]), cut)
			if noise := c.host.noise.Load(); noise != nil {
				(*noise)(s.name, c.err)
			}
			return s.answer(c, c.host.model)
		}
	}
	c.host.model.fault("a script that no scripted host knows: %.200s", c.code)
	return 127
}

// begin reads what remote sends before a script's own input. A script that did
// not arrive whole is not run.
func (c *call) begin() (whole bool) {
	for c.env = map[string]string{}; ; {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line = strings.TrimSuffix(line, "\n"); line == "" {
			break
		}
		name, value, _ := strings.Cut(line, "=")
		c.env[name] = value
	}
	line, err := c.in.ReadString('\n')
	if err != nil {
		return false
	}
	size, _ := strconv.Atoi(strings.TrimSuffix(line, "\n"))
	code := make([]byte, size)
	if _, err := io.ReadFull(c.in, code); err != nil {
		return false
	}
	c.code = string(code)
	return true
}

// rows reads the script's own input to its end. A connection that is cut ends it
// too, and a script cannot tell.
func (c *call) rows() []string {
	text, _ := io.ReadAll(c.in)
	lines := strings.SplitAfter(string(text), "\n")
	var rows []string
	for _, line := range lines {
		if line != "" {
			rows = append(rows, strings.TrimSuffix(line, "\n"))
		}
	}
	return rows
}

// sink is scp's receiving end: what it has taken.
func (c *call) sink() (data []byte, whole bool) {
	header, err := c.in.ReadString('\n')
	if err != nil {
		return nil, false
	}
	var mode, name string
	var size int
	if _, err := fmt.Sscanf(header, "C%s %d %s\n", &mode, &size, &name); err != nil {
		return nil, false
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(c.in, data); err != nil {
		return nil, false
	}
	_, err = c.in.ReadByte()
	return data, err == nil
}
