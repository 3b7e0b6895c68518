package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// strangers are hosts whose keys are not on record.
func strangers(t *testing.T) (s *scene, known string) {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	t.Cleanup(stop)
	config := s.flags[slices.Index(s.flags, "--ssh-config")+1]
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "StrictHostKeyChecking yes", "StrictHostKeyChecking ask")), 0o600)
	}
	known = filepath.Join(s.dir, "known_hosts")
	if err == nil {
		err = os.Remove(known)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, known
}

// Where nobody can be asked, what is next records all the new keys, in one round.
func TestNewKeysAreRecorded(t *testing.T) {
	s, known := strangers(t)
	code, said, _ := s.rel("start")
	_, next, found := strings.Cut(said, "next:    ")
	next, _, _ = strings.Cut(next, "\n")
	if code != exitUnreachable || !found {
		t.Fatalf("exit %d\n%s", code, said)
	}
	if text := recordedBy(t, next, known); strings.Count(text, "\n") != 2 {
		t.Errorf("%s: %q", next, text)
	}
	if code, said, _ := s.rel("start"); code != exitOK {
		t.Errorf("exit %d\n%s", code, said)
	}
}

// On a terminal rel init asks about new hosts as rel start does, and records those that are
// accepted; one that is to write no file does not.
func TestInitAsksAboutNewKeys(t *testing.T) {
	s, known := strangers(t)
	begin := func(flags ...string) *exec.Cmd {
		args := append(slices.Clone(s.flags), "init", "--build", "grind", "--target", "prod", "--repo", "/srv/shop", "--output", filepath.Join(s.dir, "new.toml"))
		return exec.CommandContext(t.Context(), program(t), append(args, flags...)...)
	}
	if code, screen, _ := onTerminal(t, begin("--stdout")); code != exitUnreachable || !strings.Contains(screen, "if it is the same, record it") {
		t.Errorf("--stdout: exit %d\n%s", code, screen)
	}
	if _, err := os.Stat(known); err == nil {
		t.Error("--stdout records keys")
	}
	const question = "Go on (yes/no/fingerprint)? "
	// What is neither yes nor no is asked again.
	const again = ": yes, no or the fingerprint? "
	_, screen, _ := onTerminal(t, begin(), typing{question, "prod-2", true}, typing{again, "yes", true}, typing{question, "yes", true})
	if text := recordedBy(t, "true", known); strings.Count(text, "\n") != 2 || strings.Count(screen, "is recorded in") != 2 {
		t.Errorf("it records %q\n%s", text, screen)
	}
}
