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
		fmt.Fprintf(&config, `Host %s
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

// session runs the one command of a session.
func (s *scripted) session(conn *wireConn, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var exe struct{ Command string }
		_ = ssh.Unmarshal(r.Payload, &exe)
		c := &call{host: s, in: bufio.NewReader(channel), out: channel, err: channel.Stderr()}
		now, ran := s.wire.command()
		if now {
			s.wire.cut(conn)
			return
		}
		_ = r.Reply(true, nil)
		go ssh.DiscardRequests(requests)
		status := c.run(exe.Command, ran)
		if ran {
			s.wire.cut(conn)
			return
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
		return
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

// call is one command that a host was asked for.
type call struct {
	host     *scripted
	env      map[string]string
	code     string
	in       *bufio.Reader
	out, err io.Writer
}

// run is what the login shell does. Of a command that is to be cut once it has run
// nothing more is heard.
func (c *call) run(command string, cut bool) (status uint32) {
	if !strings.HasPrefix(command, "exec /bin/sh -c '") {
		fmt.Fprintf(c.err, "a command that no scripted host knows: %s\n", command)
		return 127
	}
	fmt.Fprintln(c.out, "rel-ready")
	if !c.bootstrap() {
		return 0
	}
	if strings.Contains(c.code, "exec scp -qt ") {
		c.host.wire.note("scp", cut)
		return c.sink(c.env["TO"], cut)
	}
	if cut {
		c.out, c.err = io.Discard, io.Discard
	}
	for _, s := range scripts {
		if strings.Contains(c.code, "# "+s.sentence) {
			c.host.wire.note(s.name, cut)
			if noise := c.host.noise.Load(); noise != nil {
				(*noise)(s.name, c.err)
			}
			return s.answer(c, c.host.model)
		}
	}
	c.host.model.fault("a script that no scripted host knows: %.200s", c.code)
	return 127
}

// bootstrap reads what remote sends before a script's own input. A script that did
// not arrive whole is not run: it comes in one packet, so here it never comes in part.
func (c *call) bootstrap() (whole bool) {
	nonce, err := c.in.ReadString('\n')
	if err != nil {
		return false
	}
	fmt.Fprint(c.out, nonce)
	fmt.Fprint(c.err, nonce)
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

// sink is scp's receiving end. One that is to be cut says nothing of the end.
func (c *call) sink(path string, cut bool) uint32 {
	header, err := c.in.ReadString('\n')
	if err != nil {
		return 1
	}
	var mode, name string
	var size int
	if _, err := fmt.Sscanf(header, "C%s %d %s\n", &mode, &size, &name); err != nil {
		return 1
	}
	_, _ = c.out.Write([]byte{0})
	data := make([]byte, size)
	n, err := io.ReadFull(c.in, data)
	// What has come lies there, whether it is all or not.
	c.host.model.write(path, data[:n])
	if err != nil {
		return 1
	}
	if _, err := c.in.ReadByte(); err != nil {
		return 1
	}
	if !cut {
		_, _ = c.out.Write([]byte{0})
	}
	return 0
}
