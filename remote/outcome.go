package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// shellStop ends a session whose login shell does not come to the script.
type shellStop string

func (s shellStop) Error() string { return string(s) }

// askError ends one whose password nobody gave.
type askError struct{ err error }

func (e *askError) Error() string { return e.err.Error() }

// unstarted is the error of a command that could not be asked for.
func (t *talk) unstarted(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %s: %w", t.host.name, t.script.Name, err)
	case t.host.Closed(), errors.Is(err, io.EOF):
		return &LostError{Host: t.host.name, Err: err, Unsent: true}
	}
	return t.shellError("is not to be had: the host refuses to run commands")
}

// outcome is what the end of the session means.
func (t *talk) outcome(err error) error {
	for _, gate := range []*gate{t.answers, t.complaints} {
		gate.end()
	}
	t.greeting.flush()
	t.said.flush()
	var stop shellStop
	var ask *askError
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case errors.As(err, &stop):
		return t.stopped(string(stop))
	case errors.As(err, &ask):
		return t.host.sudoError(ask.err)
	case errors.As(err, &missing), errors.Is(err, io.EOF):
		return &LostError{Host: t.host.name, Err: errors.New("it ended while " + t.script.Name + " ran"), Unsent: !t.sent.Load()}
	case !t.answers.open && (err == nil || errors.As(err, &exit)):
		return t.unopened(exit)
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return &ExitError{Host: t.host.name, Script: t.script.Name, Status: exit.ExitStatus(), Tail: t.said.tail}
	}
	return fmt.Errorf("%s: %s: %w", t.host.name, t.script.Name, err)
}

// stopped is the error of a session that did not get to the script, and that we have
// ended: with sudo before it, sudo's.
func (t *talk) stopped(why string) error {
	if !t.becoming() {
		return t.shellError(why)
	}
	said := "it " + why
	if heard := t.heard(); heard != "" {
		said += ": " + heard
	}
	return &SudoError{Host: t.host.name, User: t.host.client.User(), By: t.host.Become.String(), Said: said, Asked: t.answered.Load()}
}

// becoming reports whether the script is to be run by sudo or its like.
func (t *talk) becoming() bool { return t.script.Root && t.host.Become != nil }

// unopened is the error of a session that ended before the script's first word.
func (t *talk) unopened(exit *ssh.ExitError) error {
	if !t.becoming() {
		status := 0
		if exit != nil {
			status = exit.ExitStatus()
		}
		return t.shellError(fmt.Sprintf("ended with status %d, and did not get to the script", status))
	}
	become := t.host.Become
	err := &SudoError{Host: t.host.name, User: t.host.client.User(), By: become.String(), Said: t.heard(), Asked: t.answered.Load()}
	if err.Asked {
		become.learn("", err)
	}
	return err
}

func (t *talk) shellError(why string) error {
	return &ShellError{Host: t.host.name, User: t.host.client.User(), Why: why, Said: t.heard()}
}

// heardLines is how many of the lines before the script's first word are repeated.
const heardLines = 3

// heard is what was printed in place of the script's first word, made safe to show.
func (t *talk) heard() string {
	lines := t.greeting.tail
	if len(lines) == 0 {
		printed := &lineWriter{}
		_, _ = printed.Write(t.printed.Bytes())
		printed.flush()
		lines = printed.tail
	}
	lines = lines[max(0, len(lines)-heardLines):]
	// sudo repeats what it may not run.
	return clip(strings.ReplaceAll(strings.Join(lines, "; "), strings.ReplaceAll(bootstrap, "'", ""), "/bin/sh"))
}
