package remote

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// needSSHD skips a test where there is no OpenSSH to compare with; in CI that is a
// failure, or nobody would see that nothing is compared.
func needSSHD(t *testing.T) {
	t.Helper()
	why := ""
	for _, name := range []string{"ssh", "/usr/sbin/sshd", "ssh-agent", "ssh-add", "unshare"} {
		if _, err := exec.LookPath(name); err != nil {
			why = err.Error()
		}
	}
	if os.Getuid() != 0 {
		why = "sshd lets others in for root alone"
	}
	switch {
	case why != "" && os.Getenv("CI") == "true":
		t.Fatal(why)
	case why != "":
		t.Skip(why)
	}
}

// startSSHD has a real sshd serve each connection to a port of its own. It is
// started per connection, and ends with it. Its /run/sshd is in a mount namespace
// of its own, so that nothing of it stays behind.
func startSSHD(t *testing.T, config string) (port string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sshd_config")
	write(t, name, config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
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
			go serveSSHD(conn.(*net.TCPConn), name)
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func serveSSHD(conn *net.TCPConn, config string) {
	defer conn.Close()
	socket, err := conn.File()
	if err != nil {
		return
	}
	defer socket.Close()
	const inOwnRun = `mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -i -f "$0"`
	cmd := exec.Command("unshare", "--mount", "sh", "-c", inOwnRun, config)
	cmd.Stdin, cmd.Stdout = socket, socket
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_ = cmd.Run()
}

// startAgent starts a real ssh-agent that holds the keys, each with its comment.
func startAgent(t *testing.T, keys ...agent.AddedKey) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "agent")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var conn net.Conn
	var err error
	for range 200 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := agent.NewClient(conn)
	for _, key := range keys {
		if err := client.Add(key); err != nil {
			t.Fatal(err)
		}
	}
	return socket
}

// keyFolder is a folder of keys in files, as ssh-keygen leaves them.
type keyFolder struct {
	t   *testing.T
	dir string
	// private and public are the keys by their file's name, and certs the
	// certificates beside them.
	private map[string]crypto.Signer
	public  map[string]ssh.PublicKey
	certs   map[string]*ssh.Certificate
	token   *token
}

func newKeyFolder(t *testing.T) *keyFolder {
	return &keyFolder{t: t, dir: t.TempDir(), private: map[string]crypto.Signer{},
		public: map[string]ssh.PublicKey{}, certs: map[string]*ssh.Certificate{}}
}

// add makes a key pair of a type: ed25519, ecdsa or rsa.
func (f *keyFolder) add(name, kind string) {
	f.t.Helper()
	key, err := newKey(kind)
	if err != nil {
		f.t.Fatal(err)
	}
	f.addKey(name, key, "")
}

func (f *keyFolder) addKey(name string, key crypto.Signer, phrase string) {
	f.t.Helper()
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, name)
	if err != nil {
		f.t.Fatal(err)
	}
	f.private[name], f.public[name] = key, signer.PublicKey()
	f.write(name, string(pem.EncodeToMemory(block)))
	if phrase != "" {
		// Go's way to make this takes ten seconds with the race detector.
		out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", phrase, "-f", filepath.Join(f.dir, name)).CombinedOutput()
		if err != nil {
			f.t.Fatalf("%v: %s", err, out)
		}
	}
	f.write(name+".pub", f.line(name)+"\n")
}

func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// pem writes a key in the format of old, without a public half.
func (f *keyFolder) pem(name string) {
	f.t.Helper()
	der := x509.MarshalPKCS1PrivateKey(f.private[name].(*rsa.PrivateKey))
	f.write(name, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})))
	f.remove(name + ".pub")
}

// certify has an authority sign a key, and writes the certificate beside it.
func (f *keyFolder) certify(name, authority string, cert ssh.Certificate) {
	f.t.Helper()
	ca, err := ssh.NewSignerFromKey(f.private[authority])
	if err != nil {
		f.t.Fatal(err)
	}
	cert.Key = f.public[name]
	if cert.ValidBefore == 0 {
		cert.ValidBefore = ssh.CertTimeInfinity
	}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		f.t.Fatal(err)
	}
	f.certs[name] = &cert
	f.write(name+"-cert.pub", string(ssh.MarshalAuthorizedKey(&cert)))
}

func (f *keyFolder) line(name string) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(f.public[name])))
}

func (f *keyFolder) lines(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(f.line(name) + "\n")
	}
	return b.String()
}

func (f *keyFolder) write(name, text string) {
	f.t.Helper()
	write(f.t, filepath.Join(f.dir, name), text)
}

func (f *keyFolder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// runSSH reports whether ssh itself connects.
func runSSH(t *testing.T, config string) (connects bool, says string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ssh", "-o", "BatchMode=yes", "-F", config, "box", "true")
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatal("ssh takes too long")
	}
	return err == nil, string(out)
}
