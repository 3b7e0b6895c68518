package remote

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Script is a program for the host's /bin/sh.
type Script struct {
	// Name is what errors call it.
	Name string
	// Code is POSIX sh; Env is its data, in values without newlines.
	Code string
	Env  map[string]string
	// Root says that the script has to run as root, whoever logs in.
	Root bool
	// Stdin is the script's further input, if any.
	Stdin io.Reader
	// Stdout takes raw output; without it the output is returned by Run.
	Stdout io.Writer
	// Line takes each line of the script's standard error, made safe to show.
	Line func(string)
}

// bootstrap is the one command that is ever sent: the same for every script,
// so that nothing in a script or its data is read by the login shell, be it
// fish or csh. It first says the nonce, which ends whatever a chatty profile
// printed, then takes from its input the environment, one NAME=value a line up
// to an empty one, and the script's size and text. What is left of the input is
// the script's own: read takes it byte by byte, and coreutils' head no more than
// it is asked for. A script that arrives in part, since the connection was cut, is
// not run at all: the shell would run its lines up to there. (The full stop keeps the
// newlines at its end, which the shell would take off; sizes are in bytes in the C
// locale.)
//
// The folders before PATH are where NixOS and Nix put what a login that runs
// no profile does not find.
const bootstrap = `/bin/sh -c '` +
	`PATH=/run/wrappers/bin:/run/current-system/sw/bin:/nix/var/nix/profiles/default/bin:$HOME/.nix-profile/bin:` +
	`$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; export PATH LC_ALL; ` +
	`unset ENV BASH_ENV CDPATH; IFS= read -r nonce && printf "%s\n" "$nonce"; ` +
	`while IFS= read -r pair && [ -n "$pair" ]; do export "$pair"; done; ` +
	`IFS= read -r size; code=$(head -c "$size"; echo .); ` +
	`[ "${#code}" -eq $((size + 1)) ] || { echo "the script broke off" >&2; exit 1; }; eval "${code%.}"'`

const (
	// answerCap is the most a script may answer: the closure of a large
	// release is some 20,000 paths of a hundred bytes.
	answerCap = 8 << 20
	// greetingCap is the most a profile may print before the script begins.
	greetingCap = 64 << 10
	// closeTimeout is how long a session may take to end when its context has.
	// On a slow link it waits behind what was sent before.
	closeTimeout = 30 * time.Second
)

// Run runs a script and returns what it printed. The error is an *[ExitError]
// if the script failed, a *[LostError] if the connection did. When ctx ends
// the script is left to itself: a cut session does not stop what runs on the
// host.
func (h *Host) Run(ctx context.Context, s Script) ([]byte, error) {
	header, nonce, err := s.header()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	session, free, err := h.session(ctx)
	if err != nil {
		return nil, err
	}
	defer free()
	defer session.Close()
	answer := &capped{most: answerCap}
	// Output that nobody takes any more would block the script, and its session.
	gate := &gate{nonce: nonce, to: answer, fail: func() { session.Close() }}
	if s.Stdout != nil {
		gate.to = s.Stdout
	}
	complaints := &lineWriter{emit: s.Line}
	session.Stdout, session.Stderr = gate, complaints
	// Not session.Stdin: Wait would wait for it to end, and a script that
	// fails at once leaves the rest of its input unread.
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, &LostError{Host: h.name, Err: err}
	}
	if err := h.bounded(ctx, "starting "+s.Name, func() error { return session.Start(h.command(&s)) }); err != nil {
		return nil, &LostError{Host: h.name, Err: err}
	}
	go func() {
		input := io.Reader(strings.NewReader(header))
		if s.Stdin != nil {
			input = io.MultiReader(input, s.Stdin)
		}
		if _, err := io.Copy(stdin, input); err != nil && !errors.Is(err, io.EOF) {
			// Cut input must not look like its end: no EOF is sent.
			session.Close()
			return
		}
		stdin.Close()
	}()
	err = h.wait(ctx, session)
	complaints.flush()
	if gate.err != nil {
		return nil, fmt.Errorf("%s: %s: %w", h.name, s.Name, gate.err)
	}
	if s.Root && h.Sudo && !gate.open && ctx.Err() == nil && err != nil {
		return nil, &SudoError{Host: h.name, User: h.client.User(), Said: strings.Join(complaints.tail, "; ")}
	}
	if err := h.outcome(s.Name, err, complaints.tail); err != nil {
		return nil, err
	}
	if answer.over {
		return nil, fmt.Errorf("%s: %s answered more than %d bytes", h.name, s.Name, answerCap)
	}
	return []byte(Clean(answer.String())), nil
}

// command is what the login shell reads. With -n sudo asks no one for a password:
// it fails, before the bootstrap says its first word.
func (h *Host) command(s *Script) string {
	if s.Root && h.Sudo {
		return "exec sudo -n " + bootstrap
	}
	return "exec " + bootstrap
}

// wait waits for the session, or for ctx and then for the session's goroutines,
// which write to what the caller owns.
func (h *Host) wait(ctx context.Context, session *ssh.Session) error {
	done := make(chan error, 1)
	go func() { done <- session.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	session.Close()
	select {
	case <-done:
	case <-time.After(closeTimeout):
		h.conn.Close()
		<-done
	}
	return context.Cause(ctx)
}

func (h *Host) outcome(script string, err error, tail []string) error {
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return &ExitError{Host: h.name, Script: script, Status: exit.ExitStatus(), Tail: tail}
	case errors.As(err, &missing), errors.Is(err, io.EOF):
		return &LostError{Host: h.name, Err: errors.New("it ended while " + script + " ran")}
	}
	return fmt.Errorf("%s: %s: %w", h.name, script, err)
}

// header is what bootstrap reads before the script's own input.
func (s *Script) header() (text, nonce string, err error) {
	nonce = "rel-" + rand.Text()
	var b strings.Builder
	b.WriteString(nonce + "\n")
	names := make([]string, 0, len(s.Env))
	for name := range s.Env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.ContainsAny(s.Env[name], "\n\x00") {
			return "", "", fmt.Errorf("%s: the value of %s has a newline in it", s.Name, name)
		}
		b.WriteString(name + "=" + s.Env[name] + "\n")
	}
	fmt.Fprintf(&b, "\n%d\n%s", len(s.Code), s.Code)
	return b.String(), nonce, nil
}

// gate lets through what comes after the nonce's line.
type gate struct {
	nonce string
	to    io.Writer
	open  bool
	seen  []byte
	// err is the first error of a write; fail is told that there was one.
	err  error
	fail func()
}

func (g *gate) Write(b []byte) (int, error) {
	n, err := g.write(b)
	if err != nil && g.err == nil {
		g.err = err
		g.fail()
	}
	return n, err
}

func (g *gate) write(b []byte) (int, error) {
	if g.open {
		return g.to.Write(b)
	}
	g.seen = append(g.seen, b...)
	_, rest, ok := bytes.Cut(g.seen, []byte(g.nonce+"\n"))
	if !ok {
		if len(g.seen) > greetingCap {
			return 0, errors.New("the login shell printed too much before the script began")
		}
		return len(b), nil
	}
	g.open, g.seen = true, nil
	if _, err := g.to.Write(rest); err != nil {
		return 0, err
	}
	return len(b), nil
}

// capped keeps the first bytes that are written to it and swallows the rest:
// a writer that failed would stop the script half-way.
type capped struct {
	bytes.Buffer
	most int
	over bool
}

func (c *capped) Write(b []byte) (int, error) {
	if c.Len()+len(b) > c.most {
		c.over = true
		return len(b), nil
	}
	return c.Buffer.Write(b)
}
