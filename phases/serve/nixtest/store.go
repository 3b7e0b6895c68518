// Package nixtest has Nix stores of a test's own.
package nixtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Store is a store in a folder of the test's. Its paths begin with /nix/store all the
// same, so that they can be taken to another one.
type Store struct {
	t   testing.TB
	Dir string
	// Env is what has Nix's commands use it.
	Env []string
}

// New makes an empty store.
func New(t testing.TB) *Store {
	t.Helper()
	real, err := exec.LookPath("nix-store")
	if err != nil {
		t.Skip("there is no Nix here: ", err)
	}
	s := &Store{t: t, Dir: t.TempDir()}
	for _, sub := range []string{"state", "log", "conf", "home", "bin"} {
		if err := os.Mkdir(filepath.Join(s.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf := "build-users-group =\nsandbox = false\nsubstituters =\n"
	if err := os.WriteFile(filepath.Join(s.Dir, "conf", "nix.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	// --dump reads any file, and knows of no store elsewhere.
	wrapper := fmt.Sprintf("#!/bin/sh\n[ \"$1\" != --dump ] || set -- --dump '%s'\"$2\"\nexec %s \"$@\"\n", s.Dir, real)
	if err := os.WriteFile(filepath.Join(s.Dir, "bin", "nix-store"), []byte(wrapper), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	s.Env = append(os.Environ(), "PATH="+s.Dir+"/bin:"+os.Getenv("PATH"), "NIX_STATE_DIR="+s.Dir+"/state", "NIX_LOG_DIR="+s.Dir+"/log", "NIX_CONF_DIR="+s.Dir+"/conf",
		"HOME="+s.Dir+"/home", "NIX_REMOTE=local?root="+s.Dir)
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", s.Dir).Run() })
	return s
}

// Run runs a command, and returns what it printed and what it said.
func (s *Store) Run(in []byte, args ...string) (out []byte, said string, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	var printed, complained bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.Env, bytes.NewReader(in), &printed, &complained
	err = cmd.Run()
	return printed.Bytes(), complained.String(), err
}

// Must is Run for a command that has to succeed; it returns the words that were printed.
func (s *Store) Must(args ...string) []string {
	s.t.Helper()
	out, said, err := s.Run(nil, args...)
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, said)
	}
	return strings.Fields(string(out))
}

// Chain makes n paths, each of which refers to the one before it, and returns them in
// that order.
func (s *Store) Chain(n int) []string {
	s.t.Helper()
	return s.Closure(`let path = n: builtins.toFile "p${toString n}" "${toString n} ${if n > 0 then path (n - 1) else "the first"}"; in path ` +
		fmt.Sprint(n-1))
}

// Closure makes the path that the expression evaluates to, and returns its closure,
// references first. What nothing has to be built for can be made anywhere.
func (s *Store) Closure(expression string) []string {
	s.t.Helper()
	made := s.Must("nix-instantiate", "--eval", "--read-write-mode", "--expr", expression)
	return s.Must("nix-store", "--query", "--requisites", strings.Trim(made[0], `"`))
}
