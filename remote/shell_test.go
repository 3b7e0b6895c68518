package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Scripts and files that follow one another take one session, and so one round trip each;
// those of root another one.
func TestShellsStand(t *testing.T) {
	if _, err := exec.LookPath("scp"); err != nil {
		t.Skip("there is no scp to receive with")
	}
	fakes := t.TempDir()
	write(t, filepath.Join(fakes, "id"), "#!/bin/sh\necho 0\n")
	if err := os.Chmod(filepath.Join(fakes, "id"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, d := newServer(t, func(s *server) {
		s.shell = []string{"/bin/sh", "-c", `PATH=` + fakes + `:$PATH; case $0 in "exec sudo "*) SUDO=yes; export SUDO ;; esac
			line=${0#exec }; eval "exec ${line#sudo -n }"`}
	})
	h := dial(t, d)
	h.Become, _ = NewBecome("sudo", "", nil)
	h.Stand(false)
	if err := h.TryBecome(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		for _, root := range []bool{false, true} {
			out, err := h.Run(t.Context(), Script{Name: "s", Code: `echo "$N ${SUDO-no}"; cat`, Root: root,
				Env: map[string]string{"N": fmt.Sprint(i)}, Stdin: strings.NewReader("in\x00put")})
			if want := fmt.Sprintf("%d %s\ninput", i, map[bool]string{false: "no", true: "yes"}[root]); err != nil || string(out) != want {
				t.Errorf("it printed %q, %v, want %q", out, err, want)
			}
		}
		name := filepath.Join(fakes, "file")
		if err := h.Upload(t.Context(), name, bytes.Repeat([]byte{byte(i), 0, '\n'}, 100_000), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); len(got) != 300_000 || got[0] != byte(i) {
			t.Errorf("%d bytes arrived, of %d", len(got), got[0])
		}
	}
	if n := s.sessions.Load(); n != 2 {
		t.Errorf("it took %d sessions, want one for each user", n)
	}
}

// What one script does to its shell is gone by the next one, however it ends.
func TestNothingIsLeft(t *testing.T) {
	s, d := newServer(t, func(s *server) {
		s.shell = []string{"/bin/sh", "-c", `TMOUT=1 SSH_AUTH_SOCK=/nonexistent eval "$0"`}
	})
	h := dial(t, d)
	const state = `umask; pwd; echo "${A-} ${B-} ${SSH_AUTH_SOCK-} ${TMOUT-} $# $-"; trap; ls /proc/self/fd | wc -l; command -v script2; command -v head`
	run := func(code string, stdin io.Reader) (string, error) {
		out, err := h.Run(t.Context(), Script{Name: "s", Code: code, Stdin: stdin})
		return string(out), err
	}
	before, err := run(state, nil)
	if err != nil || before == "" {
		t.Fatalf("%q, %v", before, err)
	}
	var exit *ExitError
	for _, code := range []string{
		`umask 0; cd /; A=1; B=2; export B; trap "echo bye" EXIT HUP; exec 8>/dev/null 3>&1 5>&1; script2() { :; }; set -- a b c; set -fu; PATH=/; TMOUT=1`,
		`set -e; false; echo no`, `exec false`, `kill -9 "$(exec sh -c 'echo $PPID')"`, `echo 'unended`, `exit 7`,
		`(sleep 0.3; echo late; echo late >&2) & exit 1`, `exec >&- 2>&- <&-; exit 1`, `unset nonce size code status pair; nonce=x; exit 1`,
		`(sleep 5) >/dev/null 2>&1 & exit 1`,
	} {
		if _, err := run(code, bytes.NewReader(make([]byte, 300_000))); err != nil && (!errors.As(err, &exit) || exit.Status == 0) {
			t.Errorf("%s: %v", code, err)
		}
		if after, err := run(state, nil); err != nil || after != before {
			t.Errorf("after %s:\n%s, %v, want\n%s", code, after, err, before)
		}
	}
	if out, err := run(`echo one >&2; exit 7`, nil); !errors.As(err, &exit) || exit.Status != 7 || strings.Join(exit.Tail, "|") != "one" {
		t.Errorf("%q, %v", out, err)
	}
	if n := s.sessions.Load(); n != 1 {
		t.Errorf("it took %d sessions", n)
	}
}

// A script that is given up is left to itself, and its shell too.
func TestShellIsGivenUp(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	mark := filepath.Join(t.TempDir(), "mark")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := h.Run(ctx, Script{Name: "s", Code: `echo go >&2; sleep 0.3; echo much; >"$MARK"`, Env: map[string]string{"MARK": mark}, Line: func(string) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if out, err := h.Run(t.Context(), Script{Name: "s", Code: "echo ok"}); err != nil || string(out) != "ok\n" {
		t.Errorf("%q, %v", out, err)
	}
	if n := s.sessions.Load(); n != 2 {
		t.Errorf("it took %d sessions", n)
	}
	for range 100 {
		if _, err = os.Stat(mark); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the script was not left to itself")
}

// actor is a host whose shells play each script that they are sent.
func actor(t *testing.T, play func(channel ssh.Channel, n int, nonce string) (goOn bool)) (*server, *Host) {
	scripts := make(chan int, 1)
	scripts <- 0
	s, d := newServer(t, func(s *server) {
		s.play = func(channel ssh.Channel, _ string) {
			_, _ = io.WriteString(channel, readyWord+"0\n")
			in := bufio.NewReader(channel)
			_, _ = in.ReadString('\n') // the runner
			for {
				head, err := in.ReadString('\n')
				if err != nil {
					return
				}
				nonce, size, _ := strings.Cut(strings.TrimSpace(head), " ")
				var code, input int64
				for line := "x"; line != "\n"; {
					if line, err = in.ReadString('\n'); err != nil {
						return
					}
				}
				line, _ := in.ReadString('\n')
				_, _ = fmt.Sscan(line, &code)
				_, _ = fmt.Sscan(size, &input)
				_, _ = io.CopyN(io.Discard, in, code+input)
				script := <-scripts
				scripts <- script + 1
				if !play(channel, script, nonce) {
					return
				}
			}
		}
	})
	return s, dial(t, d)
}

// both writes a line on both outputs of a shell.
func both(channel ssh.Channel, line string) {
	for _, to := range []io.Writer{channel, channel.Stderr()} {
		_, _ = io.WriteString(to, line+"\n")
	}
}

// A shell that speaks out of turn is not in the next one's answer, and is given up.
func TestShellSpeaksOutOfTurn(t *testing.T) {
	for name, junk := range map[string]func(ssh.Channel) io.Writer{
		"answers":    func(c ssh.Channel) io.Writer { return c },
		"complaints": func(c ssh.Channel) io.Writer { return c.Stderr() },
	} {
		s, h := actor(t, func(c ssh.Channel, n int, nonce string) bool {
			if n == 1 {
				_, _ = io.WriteString(junk(c), "late\n")
			}
			both(c, nonce)
			_, _ = fmt.Fprintf(c, "answer=%d\n", n)
			both(c, nonce+" 0")
			if n == 2 {
				_, _ = io.WriteString(junk(c), "late\n")
			}
			return true
		})
		for n := range 5 {
			if n == 3 { // what came after the second script is there
				for i := 0; s.open.Load() > 0 && i < 100; i++ {
					h.seats.mu.Lock()
					stained := len(h.seats.idle) > 0 && h.seats.idle[0].stained.Load()
					h.seats.mu.Unlock()
					if stained {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			var said []string
			out, err := h.Run(t.Context(), Script{Name: "s", Line: func(line string) { said = append(said, line) }})
			if want := fmt.Sprintf("answer=%d\n", n); err != nil || string(out) != want || len(said) > 0 {
				t.Errorf("%s: %d: %q, %q, %v", name, n, out, said, err)
			}
		}
		if n := s.sessions.Load(); n != 3 {
			t.Errorf("%s: it took %d sessions, want 3", name, n)
		}
	}
}

// A shell that has ended by the time it is sent a script has not begun that: another one
// does, once. One that has begun it may have done anything.
func TestShellDies(t *testing.T) {
	for _, c := range []struct {
		name  string
		die   func(ssh.Channel, string)
		again bool
	}{
		{"before", func(c ssh.Channel, nonce string) { exits(c, 1) }, true},
		{"before, without a word", func(c ssh.Channel, nonce string) {}, false},
		{"in the midst", func(c ssh.Channel, nonce string) { both(c, nonce); exits(c, 0) }, false},
	} {
		s, h := actor(t, func(channel ssh.Channel, n int, nonce string) bool {
			if n == 1 {
				c.die(channel, nonce)
				return false
			}
			both(channel, nonce)
			both(channel, nonce+" 0")
			return true
		})
		if _, err := h.Run(t.Context(), Script{Name: "s"}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Run(t.Context(), Script{Name: "s"})
		var lost *LostError
		switch {
		case c.again && (err != nil || s.sessions.Load() != 2):
			t.Errorf("%s: %v, and %d sessions", c.name, err, s.sessions.Load())
		case !c.again && (!errors.As(err, &lost) || lost.Unsent):
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	// One that dies while it waits is not sent anything.
	s, d := newServer(t)
	h := dial(t, d)
	for i := range 3 {
		if _, err := h.Run(t.Context(), Script{Name: "s", Code: "(sleep 0.1; kill -9 $$) >/dev/null 2>&1 &"}); err != nil {
			t.Fatal(err)
		}
		for s.open.Load() > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if n := s.sessions.Load(); int(n) != i+1 {
			t.Errorf("%d sessions", n)
		}
	}
}

// Where the host has few sessions, what lasts makes room.
func TestLastingMakesRoom(t *testing.T) {
	s, d := newServer(t, func(s *server) { s.most = 2 })
	h := dial(t, d)
	lines, into := io.Pipe()
	defer into.Close()
	lasts := make(chan error, 1)
	heard := make(chan struct{}, 1)
	go func() {
		_, err := h.Run(t.Context(), Script{Name: "lasts", Code: "echo on >&2; cat", Stdin: lines, Stdout: io.Discard, Lasts: true, Line: func(string) { tell(heard) }})
		lasts <- err
	}()
	<-heard
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := h.Run(t.Context(), Script{Name: "s", Code: "sleep 0.1"})
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := <-lasts; !errors.Is(err, ErrFewSessions) || !h.FewSessions() {
		t.Errorf("what lasts ended with %v", err)
	}
	if _, err := h.Run(t.Context(), Script{Name: "lasts", Code: "cat", Stdin: lines, Lasts: true}); !errors.Is(err, ErrFewSessions) {
		t.Errorf("got %v", err)
	}
	if n := s.open.Load(); n > 2 {
		t.Errorf("%d sessions are open", n)
	}
}

// A shell that is still being opened makes room too, once it is there.
func TestStandingMakesRoom(t *testing.T) {
	s, d := newServer(t, func(s *server) {
		s.most = 1
		s.shell = []string{"/bin/sh", "-c", `sleep 0.3; line=${0#exec }; eval "exec ${line#env }"`}
	})
	h := dial(t, d)
	h.Become, _ = NewBecome("", "env", nil)
	h.Stand(false)
	for s.open.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	_, err := h.Run(t.Context(), Script{Name: "s", Code: "true", Root: true})
	var sudo *SudoError
	if os.Getuid() == 0 && err != nil || os.Getuid() != 0 && !errors.As(err, &sudo) {
		t.Errorf("got %v", err)
	}
}

// A connection that has died without a word while nobody looked, as that of a laptop that
// slept has, is sent nothing: the script may be sent over another one.
func TestNothingIsSentToTheDead(t *testing.T) {
	s, d := newServer(t)
	prepend(t, d, "ServerAliveInterval 1\nServerAliveCountMax 1")
	h := dial(t, d)
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "true"}); err != nil {
		t.Fatal(err)
	}
	h.conn.last.Store(0)
	if _, err := h.Run(t.Context(), Script{Name: "s", Code: "true"}); err != nil {
		t.Errorf("one that is alive: %v", err)
	}
	s.deaf.Store(true)
	h.conn.last.Store(0)
	_, err := h.Run(t.Context(), Script{Name: "s", Code: "true"})
	var lost *LostError
	if !errors.As(err, &lost) || !lost.Unsent {
		t.Errorf("got %v", err)
	}
}

// TestParts: a shell is sent a part once, and has it whatever scripts did in between; another
// shell does not have it.
func TestParts(t *testing.T) {
	s, d := newServer(t)
	h := dial(t, d)
	part := func(n int) string {
		return fmt.Sprintf("# Part %d: %s\nsay%d() { printf '%%s\\n' \"%d \\\\ $*\"; }\n\n", n, rand.Text(), n, n)
	}
	one, two := part(1), part(2)
	run := func(want, code string, parts ...string) {
		t.Helper()
		out, err := h.Run(t.Context(), Script{Name: "s", Code: strings.Join(parts, "") + code, Parts: parts, Env: map[string]string{"E": "e f"}})
		if string(out) != want || err != nil && want != "" {
			t.Errorf("it said %q, want %q: %v", out, want, err)
		}
	}
	run("1 \\ x e f\n", `say1 x "$E"`, one)
	run("2 \\ x e f\n1 \\ y\n", `say2 x "$E"; say1 y`, one, two)
	run("", `part0=no part1=no; readonly code=no; set -u; say1() { :; }; exit 3`, two)
	run("1 \\ x\n", `say1 x; ! command -v say2`, one)
	run("2 \\ x\n1 \\ x\n", `say2 x; say1 x`, two, one)
	run("", `kill -9 $$`, two)
	run("2 \\ x\n1 \\ x\n", `say2 x; say1 x`, two, one)
	if n := s.sessions.Load(); n != 2 {
		t.Errorf("there were %d sessions, want 2", n)
	}

	talk, err := h.newTalk(&Script{Code: one + two + "say1 x", Parts: []string{one, two}}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	first, _ := talk.head(true, has)
	again, _ := talk.head(true, has)
	if !strings.Contains(first, one) || !strings.Contains(first, two) || strings.Contains(again, "Part") {
		t.Errorf("what is sent first is %q, and then %q", first, again)
	}
	if whole, _ := talk.head(false, has); !strings.HasSuffix(whole, "\n"+one+two+"say1 x") || strings.Contains(whole, "part0") {
		t.Errorf("one that unpacks nothing is sent %q", whole)
	}
}
