package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/remote"
)

// inShell starts a shell that has the completion, on a terminal, as an operator has it. What
// it runs is on its PATH.
func (c *completing) inShell(t *testing.T, name string, args ...string) *shellScreen {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("there is no %s", name)
	}
	master, slave := openTerminal(t)
	cmd := exec.Command(path, args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + filepath.Dir(program(t)) + ":" + os.Getenv("PATH"), "HOME=" + c.dir, "TERM=dumb", "PS1=", "COLUMNS=200",
		"REL_JOURNAL=" + c.journal, "REL_SSH_CONFIG=" + c.ssh, "REL_COMPLETION_TIMEOUT=" + c.timeout}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &shellScreen{t: t, master: master, read: make(chan []byte, 1000)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		master.Close()
	})
	go func() {
		defer close(s.read)
		for {
			b := make([]byte, 4096)
			n, err := master.Read(b)
			if err != nil {
				return
			}
			s.read <- b[:n]
		}
	}()
	return s
}

type shellScreen struct {
	t      *testing.T
	master *os.File
	read   chan []byte
	seen   bytes.Buffer
}

// await types keys, and waits for the text to be on the screen after that.
func (s *shellScreen) await(keys, text string) {
	s.t.Helper()
	s.seen.Reset()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
	late := time.After(time.Minute)
	for !strings.Contains(remote.Clean(s.seen.String()), text) {
		select {
		case b, ok := <-s.read:
			if !ok {
				s.t.Fatalf("the shell is gone; it shows %q", s.seen.String())
			}
			s.seen.Write(b)
		case <-late:
			s.t.Fatalf("after %q the shell shows %q, nothing of %q", keys, s.seen.String(), text)
		}
	}
}

// The scripts do in the shells themselves what they are for: what is typed, a tab, and
// the command line that comes of it, which is shown by running echo in rel's place.
func TestCompletionInShells(t *testing.T) {
	c := newCompleting(t)
	c.record(t, "20260101-000000-aaaaaaa", "the first: one", "healthy")
	c.record(t, "20260102-000000-bbbbbbb", "the second", "built")
	if err := os.WriteFile(filepath.Join(c.dir, "my file.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The beginning of a line, and what a tab makes of it.
	lines := [][2]string{
		{"rel rol\t", "rel rollback "},
		{"rel resume \t", "rel resume 20260102-000000-bbbbbbb "},
		{"rel rollback 2\t", "rel rollback 20260101-000000-aaaaaaa "},
		{"rel start --progress=q\t", "rel start --progress=quiet "},
		{"rel start --progress q\t", "rel start --progress quiet "},
		{"rel start -m 'a b' --grind choiros-g\t", "rel start -m 'a b' --grind choiros-grind "},
		{"rel start --prod=choiros-p\t", "rel start --prod=choiros-prod "},
		{"rel --config my\t", `rel --config my\ file.toml `},
		{"rel start --allow\t", "rel start --allow-downgrade "},
	}
	t.Run("bash", func(t *testing.T) {
		s := c.inShell(t, "bash", "--norc", "--noprofile", "-i")
		s.await("bind 'set enable-bracketed-paste off'; set +o history; eval \"$(rel completion bash)\"; echo rea''dy\n", "ready")
		for _, line := range lines {
			s.await(line[0], line[1])
			s.await("\x15", "") // away with the line
		}
		// Both, where both may be meant.
		s.await("rel log 2\t", "2026010")
		s.await("\t\t", "20260102-000000-bbbbbbb")
	})
	t.Run("zsh", func(t *testing.T) {
		s := c.inShell(t, "zsh", "-f", "-i")
		s.await("unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D; eval \"$(rel completion zsh)\"; echo rea''dy\n", "ready")
		for _, line := range lines {
			s.await(line[0], strings.TrimSuffix(line[1], " "))
			s.await("\x15", "")
		}
		s.await("rel log 2\t", "2026010")
		s.await("\t", "built: the second")
	})
	t.Run("fish", func(t *testing.T) {
		fish, err := exec.LookPath("fish")
		if err != nil {
			t.Skip("there is no fish")
		}
		for line, want := range map[string]string{
			"rel rol":                              "rollback\tMake the last healthy release before the live one live again, or the one named.\n",
			"rel resume ":                          "20260102-000000-bbbbbbb\tbuilt: the second\n",
			"rel log 2":                            "20260102-000000-bbbbbbb\tbuilt: the second\n20260101-000000-aaaaaaa\thealthy: the first: one\n",
			"rel start --progress=q":               "--progress=quiet\n",
			"rel start -m 'a b' --grind choiros-g": "choiros-grind\n",
			"rel --config my":                      "my file.toml\n",
			"rel start ":                           "",
		} {
			cmd := exec.CommandContext(t.Context(), fish, "--no-config", "-c", `rel completion fish | source; complete -C "$LINE"`)
			cmd.Dir = c.dir
			cmd.Env = []string{"PATH=" + filepath.Dir(program(t)) + ":" + os.Getenv("PATH"), "HOME=" + c.dir, "LINE=" + line,
				"REL_JOURNAL=" + c.journal, "REL_SSH_CONFIG=" + c.ssh, "REL_COMPLETION_TIMEOUT=" + c.timeout}
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != want {
				t.Errorf("fish completes %q to %q, want %q (%v)", line, out, want, err)
			}
		}
	})
}
