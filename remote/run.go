package remote

import (
	"bytes"
	"context"
	"crypto/rand"
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
	// Line takes each line of the script's standard error, made safe to show; Raw
	// takes it as it comes.
	Line func(string)
	Raw  io.Writer
	// Loan is a login elsewhere that the script may use, if any.
	Loan *Loan
}

const (
	// answerCap is the most a script may answer: the closure of a large
	// release is some 20,000 paths of a hundred bytes.
	answerCap = 8 << 20
	// closeTimeout is how long a session may take to end when its context has.
	// On a slow link it waits behind what was sent before.
	closeTimeout = 30 * time.Second
)

// Run runs a script and returns what it printed. The error is an *[ExitError]
// if the script failed, a *[LostError] if the connection did, a *[ShellError] or a
// *[SudoError] if the script did not begin. When ctx ends
// the script is left to itself: a cut session does not stop what runs on the
// host.
func (h *Host) Run(ctx context.Context, s Script) ([]byte, error) {
	header, nonce, err := s.header()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.name, err)
	}
	command, err := h.command(&s)
	if err != nil {
		return nil, err
	}
	seat, err := h.seat(ctx)
	if err != nil {
		return nil, err
	}
	defer h.seats.leave()
	session, err := seat.client().NewSession()
	if err != nil {
		return nil, &LostError{Host: h.name, Err: err, Unsent: true}
	}
	defer session.Close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	answer := &capped{most: answerCap}
	t := h.newTalk(&s, nonce, answer, end)
	defer t.late.Stop()
	session.Stdout, session.Stderr = t.answers, t.complaints
	// Not session.Stdin: Wait would wait for it to end, and a script that
	// fails at once leaves the rest of its input unread.
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, &LostError{Host: h.name, Err: err, Unsent: true}
	}
	if s.Loan != nil {
		stop, err := h.lend(ctx, session, s.Loan)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	if err := h.bounded(ctx, "starting "+s.Name, func() error { return session.Start(command) }); err != nil {
		return nil, t.unstarted(ctx, err)
	}
	go t.feed(ctx, stdin, header)
	if err := t.outcome(h.wait(ctx, session)); err != nil {
		return nil, err
	}
	if answer.over {
		return nil, fmt.Errorf("%s: %s answered more than %d bytes", h.name, s.Name, answerCap)
	}
	return []byte(Clean(answer.String())), nil
}

// command is what the login shell reads.
func (h *Host) command(s *Script) (string, error) {
	if !s.Root || h.Become == nil {
		return "exec " + bootstrap, nil
	}
	if err := h.Become.refused(); err != nil {
		return "", h.sudoError(err)
	}
	return "exec " + strings.Join(h.Become.words, " ") + " " + bootstrap, nil
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
