package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/config"
)

// inGo is what is Go's own, and nothing to an operator.
var inGo = regexp.MustCompile(`panic|goroutine |%!|<nil>|0x[0-9a-f]{6}|\*[a-z]+\.[A-Z]|context deadline|failed to`)

// TestEveryCommand: whatever the command, its help, wrong flags and arguments, no file, no
// journal, no host and a full disk end with an exit status that is documented, and with
// words for an operator.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	rel := program(t)
	empty := t.TempDir()
	dir := t.TempDir()
	// Nobody listens there.
	nobody := "Host *\n    HostName 127.0.0.1\n    Port 1\n    ConnectionAttempts 1\n"
	for name, text := range map[string]string{"rel.toml": config.Example, "ssh_config": nobody} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	run := func(in string, to io.Writer, args ...string) (code int, said string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), rel, args...)
		var both syncBuffer
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, to, &both, 10*time.Second
		if to == nil {
			cmd.Stdout = &both
		}
		cmd.Env = append(os.Environ(), "HOME="+empty, "XDG_STATE_HOME="+empty, "XDG_CONFIG_HOME="+empty, "REL_CONFIG=", "REL_JOURNAL=", "REL_SSH_CONFIG=", "CI=", "GITHUB_ACTIONS=")
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatalf("%v: %v", args, err)
		}
		code, said = cmd.ProcessState.ExitCode(), both.String()
		if inGo.MatchString(said) || strings.ContainsRune(said, '\x1b') {
			t.Errorf("rel %s says\n%s", strings.Join(args, " "), said)
		}
		return code, said
	}
	check := func(what string, code, want int, said string, texts ...string) {
		t.Helper()
		if code != want {
			t.Errorf("%s: exit %d, not %d:\n%s", what, code, want, said)
		}
		for _, text := range texts {
			if !strings.Contains(said, text) {
				t.Errorf("%s: nothing of %q:\n%s", what, text, said)
			}
		}
	}

	var c cli
	parser, err := newParser(&c, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(true) {
		name := leaf.Name
		code, said := run(empty, nil, name, "--help")
		check(name+" --help", code, exitOK, said, "Usage: rel "+name, "EXIT STATUS", "EXAMPLES", "\n  rel "+name)
		code, said = run(empty, full, name, "--help")
		check(name+" --help, on a full disk", code, exitFailed, said, "the output cannot be written: no space left on device", "make room")
		code, said = run(empty, nil, name, "--nonsense")
		check(name+" --nonsense", code, exitUsage, said, "unknown flag --nonsense")
		code, said = run(empty, nil, name, "a", "b", "c")
		check(name+" a b c", code, exitUsage, said, "rel: ")

		// What it has to be given, if anything.
		args := []string{name}
		switch name {
		case "completion":
			code, said = run(empty, full, name, "bash")
			check(name+", on a full disk", code, exitFailed, said, "the output cannot be written")
			continue
		case "init":
			code, said = run(empty, nil, name)
			check(name+", without a terminal", code, exitUsage, said, "there is no terminal to ask on", "--build")
			continue
		case "abort", "unlock":
			args = append(args, "20260101-000000-aaaaaaa", "-m", "why")
		}
		code, said = run(empty, nil, args...)
		check(name+", without a file", code, exitUsage, said, "rel.toml", "rel init")
		if name == "config" {
			code, said = run(dir, full, args...)
			check(name+", on a full disk", code, exitFailed, said, "the output cannot be written")
			continue
		}
		code, said = run(dir, nil, append(args, "--ssh-config", filepath.Join(dir, "ssh_config"))...)
		switch name {
		case "log", "watch", "status":
			// What is asked of the journal alone is answered: there is nothing in it.
			if code != exitOK && code != exitUnreachable {
				t.Errorf("%s, without a journal: exit %d:\n%s", name, code, said)
			}
		default:
			if code != exitUnreachable && code != exitUsage && code != exitRefused && code != exitFailed || !strings.Contains(said, "rel: ") && name != "doctor" {
				t.Errorf("%s, without a journal and hosts: exit %d:\n%s", name, code, said)
			}
		}
		t.Logf("%s, without a journal and hosts: exit %d\n%s", name, code, said)
	}
}
