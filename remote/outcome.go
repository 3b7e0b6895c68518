package remote

import (
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

// unready is the error of a shell that was not sent anything.
func (sh *shell) unready(err error) error {
	var stop shellStop
	var ask *askError
	var sudo *SudoError
	var head *HeadError
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case errors.As(err, &stop):
		return sh.stopped(string(stop))
	case errors.As(err, &ask):
		return sh.host.sudoError(ask.err)
	case errors.As(err, &sudo), errors.As(err, &head):
		return err
	case errors.As(err, &missing), errors.Is(err, io.EOF):
		sh.host.settle()
		return &LostError{Host: sh.host.name, Err: errors.New("it ended before a shell was ready"), Unsent: true}
	case err == nil || errors.As(err, &exit):
		return sh.unopened(exit)
	}
	return fmt.Errorf("%s: %w", sh.host.name, err)
}

// outcome is what it means that a shell, or the wait for it, has ended with err.
func (t *talk) outcome(sh *shell, err error) error {
	var stop shellStop
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	exited := err == nil || errors.As(err, &exit)
	switch {
	case errors.As(err, &stop) && sh.used && t.sent.Load():
		// It ran others: it is slow, and may run this one yet.
		return t.lost()
	case errors.As(err, &stop):
		return sh.stopped(string(stop))
	case errors.As(err, &missing), errors.Is(err, io.EOF):
		t.host.settle()
		return t.lost()
	case exited && !t.begun.Load() && sh.used && t.standing:
		// It would have repeated the nonce before anything else, and nothing that it
		// has said is lost: it has not come to the script.
		return errNotBegun
	case exited && !t.begun.Load() && sh.used:
		return t.lost()
	case exited && !t.begun.Load():
		return sh.unopened(exit)
	case err == nil && t.standing:
		return t.lost()
	case err == nil:
		return nil
	case exit != nil:
		return t.exit(exit.ExitStatus())
	}
	return fmt.Errorf("%s: %s: %w", t.host.name, t.script.Name, err)
}

func (t *talk) lost() error {
	return &LostError{Host: t.host.name, Err: errors.New("it ended while " + t.script.Name + " ran"), Unsent: !t.sent.Load()}
}

// exit is the error of a script that ended with that status; nil, if it is 0.
func (t *talk) exit(status int) error {
	if status == 0 {
		return nil
	}
	return &ExitError{Host: t.host.name, Script: t.script.Name, Status: status, Tail: t.said.tail}
}

// stopped is the error of a session that did not get to the script, and that we have
// ended: with sudo before it, sudo's.
func (sh *shell) stopped(why string) error {
	if !sh.becomes {
		return sh.shellError(why)
	}
	said := "it " + why
	if heard := sh.heard(); heard != "" {
		said += ": " + heard
	}
	return &SudoError{Host: sh.host.name, User: sh.host.client.User(), By: sh.host.Become.String(), Said: said, Asked: sh.answered.Load()}
}

// unopened is the error of a session that ended before the script's first word.
func (sh *shell) unopened(exit *ssh.ExitError) error {
	if !sh.becomes {
		status := 0
		if exit != nil {
			status = exit.ExitStatus()
		}
		return sh.shellError(fmt.Sprintf("ended with status %d, and did not get to the script", status))
	}
	become := sh.host.Become
	err := &SudoError{Host: sh.host.name, User: sh.host.client.User(), By: become.String(), Said: sh.heard(), Asked: sh.answered.Load()}
	if err.Asked {
		become.learn("", err)
	}
	return err
}

func (sh *shell) shellError(why string) error {
	return &ShellError{Host: sh.host.name, User: sh.host.client.User(), Why: why, Said: sh.heard()}
}

// heardLines is how many of the lines before the script's first word are repeated.
const heardLines = 3

// heard is what was printed in place of the script's first word, made safe to show.
func (sh *shell) heard() string {
	lines := sh.greeting.tail
	if len(lines) == 0 {
		printed := &lineWriter{}
		_, _ = printed.Write(sh.printed.Bytes())
		printed.flush()
		lines = printed.tail
	}
	lines = lines[max(0, len(lines)-heardLines):]
	// sudo repeats what it may not run.
	return clip(strings.ReplaceAll(strings.Join(lines, "; "), strings.ReplaceAll(bootstrap, "'", ""), "/bin/sh"))
}
