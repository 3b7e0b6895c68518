package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// This binary, started as a ProxyCommand, connects its input and output to relayVar's
// address, or listens on holdVar's socket for as long as that is there.
const (
	relayVar = "REL_TEST_RELAY"
	holdVar  = "REL_TEST_HOLD"
)

func init() {
	if address := os.Getenv(relayVar); address != "" {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			_, _ = io.Copy(conn, os.Stdin)
			os.Exit(0)
		}()
		_, _ = io.Copy(os.Stdout, conn)
		os.Exit(0)
	}
	if socket := os.Getenv(holdVar); socket != "" {
		_, err := net.Listen("unix", socket)
		for ; err == nil; _, err = os.Stat(socket) {
			time.Sleep(50 * time.Millisecond)
		}
		os.Exit(1)
	}
}

// relay is a ProxyCommand that goes where its tokens say.
func relay(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "env " + relayVar + "=%h:%p " + program
}

func TestProxyCommand(t *testing.T) {
	s, d := newServer(t)
	prepend(t, d, "ProxyCommand "+relay(t))
	h := dial(t, d)
	if out, err := h.Run(t.Context(), Script{Name: "hi", Code: "echo hi"}); err != nil || string(out) != "hi\n" {
		t.Errorf("got %q, %v", out, err)
	}
	contains(t, read(t, filepath.Join(filepath.Dir(d.ConfigFile), "known_hosts")), "[127.0.0.1]:"+strings.Split(s.addr, ":")[1])
	// The far side goes away: so does the connection, and the error says through what.
	s.cut()
	<-h.done
	_, err := h.Run(t.Context(), Script{Name: "hi", Code: "echo hi"})
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Errorf("got %v", err)
	}
}

// A command that fails says why, and nothing that it says reaches the terminal raw.
func TestProxyCommandFails(t *testing.T) {
	cases := map[string]struct {
		command string
		wants   []string
	}{
		"fails":          {`sh -c 'printf "no \033[31mway\nto it\n" >&2; exit 3'`, []string{"exit status 3", "no way; to it"}},
		"is not there":   {"/no/such/command %h", []string{"(/no/such/command): ", "127"}},
		"ends":           {"true", []string{"it ended"}},
		"prints garbage": {"sh -c 'echo lorem; echo ipsum; echo dolor >&2'", []string{"it ended", "dolor"}},
		"is refused":     {"sh -c 'echo Too many authentication failures >&2; exit 255'", []string{"exit status 255", "Too many"}},
		"is another's":   {"echo HTTP/1.1 400 Bad Request", []string{"it ended"}},
		"is silent":      {"sh -c 'echo open https://x to log in >&2; sleep 60'", []string{"said nothing for 1s", "open https://x to log in"}},
		"is deaf":        {"sh -c 'exec >&-; sleep 60'", []string{"closed its output"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, d := newServer(t)
			patience := 5
			if name == "is silent" {
				patience = 1
			}
			prepend(t, d, fmt.Sprintf("ConnectTimeout %d\nProxyCommand %s", patience, c.command))
			began := time.Now()
			_, err := d.Dial(t.Context(), "box")
			var failed *DialError
			var command *ProxyError
			if !errors.As(err, &failed) || !errors.As(err, &command) {
				t.Fatalf("got %v", err)
			}
			contains(t, err.Error(), c.wants...)
			if want := name != "is not there"; failed.Fleeting() != want {
				t.Errorf("it may be otherwise in a moment: %v, want %v", !want, want)
			}
			if strings.ContainsFunc(err.Error(), isUnsafe) {
				t.Errorf("%q is not clean", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// What a command started ends with the connection, even if it does not care for a
// hangup.
func TestProxyCommandIsEnded(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, d := newServer(t)
	socket := filepath.Join(filepath.Dir(d.ConfigFile), "held")
	prepend(t, d, fmt.Sprintf("ProxyCommand sh -c 'trap \"\" HUP; %s=%s %s 2>/dev/null & exec %s'", holdVar, socket, program, relay(t)))
	h := dial(t, d)
	alive := func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	for deadline := time.Now().Add(10 * time.Second); !alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what it started never came up")
		}
	}
	h.Close()
	for deadline := time.Now().Add(10 * time.Second); alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("what it started is still there")
		}
	}
}

// The arguments of a command may hold a password.
func TestProxyCommandIsSecret(t *testing.T) {
	for _, command := range []string{
		"false --password canary", "false\tcanary", "/no/such/command canary", "false canary %d", "false canary 50%",
	} {
		_, d := newServer(t)
		prepend(t, d, "ProxyCommand "+command)
		_, err := d.Dial(t.Context(), "box")
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v", command, err)
		}
	}
}

func TestProxyCommandDeadlines(t *testing.T) {
	conn, err := dialCommand("cat", "box:22")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != "box:22" {
		t.Errorf("it is at %s", got)
	}
	b := make([]byte, 10)
	if _, err := io.WriteString(conn, "echo"); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "echo" {
		t.Errorf("got %q, %v", b[:n], err)
	}
	if err := conn.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, func() { conn.Close() })
	if _, err := conn.Read(b); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// The shell is the operator's.
func TestProxyCommandShell(t *testing.T) {
	shell := filepath.Join(t.TempDir(), "shell")
	write(t, shell, "#!/bin/sh\necho \"$1 $2\" >&2\n")
	if err := os.Chmod(shell, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHELL", shell)
	_, d := newServer(t)
	prepend(t, d, "ProxyCommand reach %h $x")
	_, err := d.Dial(t.Context(), "box")
	if err == nil {
		t.Fatal("it was reached")
	}
	contains(t, err.Error(), ": -c exec reach 127.0.0.1 $x")
}
