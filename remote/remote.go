// Package remote is how a host is reached: the operator's SSH configuration,
// host keys, agents, sessions and uploads. It is the only package with sockets.
//
// A [Dialer] turns the name an operator types into a [Host]: it asks OpenSSH
// what its configuration says of that name (`ssh -G`) and obeys it, so that a
// host is reached as `ssh NAME` reaches it, and refused where ssh refuses it.
// What cannot be obeyed is refused by name. A Host is one connection, held for
// the run, with many sessions on it. Scripts run in /bin/sh whatever the login
// shell is, with their data apart from their code; one after the other in shells that
// stand, so that each is a question and its answer.
//
// Whatever a host prints is hostile: it is cleaned of control sequences before
// it reaches anyone, and capped.
package remote

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// ExitError says that a script ran on a host and failed.
type ExitError struct {
	Host   string
	Script string
	Status int
	// Tail are the last lines it printed, made safe to show.
	Tail []string
}

func (e *ExitError) Error() string {
	s := fmt.Sprintf("%s: %s failed with status %d", e.Host, e.Script, e.Status)
	if n := len(e.Tail); n > 0 {
		s += ": " + e.Tail[n-1]
	}
	return s
}

// ExitStatus is how the script ended.
func (e *ExitError) ExitStatus() int { return e.Status }

// LostError says that the connection ended under a script: what the script
// did, and whether it still runs, is not known.
type LostError struct {
	Host string
	Err  error
	// Unsent says that nothing of the script had been sent: it may be tried again.
	Unsent bool
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s: the connection was lost: %s", e.Host, oneLine(e.Err.Error()))
}

func (e *LostError) Unwrap() error { return e.Err }

// Lost tells callers that do not know this package that the host, not what
// runs on it, is to blame.
func (e *LostError) Lost() bool { return true }

// MayHaveRun tells such callers that the host may have done what it was asked.
func (e *LostError) MayHaveRun() bool { return !e.Unsent }

// ShellError says that a host let us in, and that its login shell did not run the
// script: a profile, the shell itself or a forced command is in the way.
type ShellError struct {
	Host, User string
	// Why goes after "the login shell of User".
	Why string
	// Said is what it printed instead.
	Said string
}

func (e *ShellError) Error() string {
	s := fmt.Sprintf("%s: the login shell of %s %s", e.Host, e.User, e.Why)
	if e.Said != "" {
		s += ": " + e.Said
	}
	return s
}

// HeadError says that a host has no head that reads no more than it is asked for. What
// comes after that would be lost: no script can be sent there.
type HeadError struct{ Host string }

func (e *HeadError) Error() string {
	return e.Host + ": head there reads more than it is told to, as busybox's does; rel needs that of coreutils"
}

// SudoError says that the login user cannot become root.
type SudoError struct {
	Host, User string
	// By is the command that was to make root of them.
	By string
	// Said is its own complaint; Asked that it was given a password.
	Said  string
	Asked bool
	// Err is why it could not be given the one that it wants.
	Err error
}

func (e *SudoError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %s wants the password of %s: %v", e.Host, e.By, e.User, e.Err)
	case e.Asked:
		return fmt.Sprintf("%s: %s did not make root of %s with that password: %s", e.Host, e.By, e.User, e.Said)
	}
	return fmt.Sprintf("%s: %s cannot become root with %s: %s", e.Host, e.User, e.By, e.Said)
}

func (e *SudoError) Unwrap() error { return e.Err }

// ForwardError says that a host connects to nothing on our behalf.
type ForwardError struct{ Host, Address string }

func (e *ForwardError) Error() string {
	return fmt.Sprintf("%s: its sshd forbids forwarding to %s (AllowTcpForwarding, PermitOpen)", e.Host, e.Address)
}

// Lost is as that of a LostError: a release is not to blame.
func (e *ForwardError) Lost() bool { return true }

// DialError says that a host could not be reached.
type DialError struct {
	// Host is what the operator calls it, Address where it was looked for.
	Host, Address string
	Err           error
}

func (e *DialError) Error() string {
	return fmt.Sprintf("%s: cannot reach %s: %s", e.Host, e.Address, oneLine(e.Err.Error()))
}

func (e *DialError) Unwrap() error { return e.Err }

// Lost is as that of a LostError; Unreached tells the two apart.
func (e *DialError) Lost() bool { return true }

// Unreached says that there was no connection that could be lost.
func (e *DialError) Unreached() bool { return true }

// Fleeting reports whether the next attempt may well succeed. A name that does not
// exist will not do so in a moment, nor will a ProxyCommand that the shell cannot find,
// nor a jump host that forbids it.
func (e *DialError) Fleeting() bool {
	var name *net.DNSError
	var command *exec.ExitError
	var forbidden *ForwardError
	if errors.As(e.Err, &forbidden) {
		return false
	}
	if errors.As(e.Err, &command) && (command.ExitCode() == 126 || command.ExitCode() == 127) {
		return false
	}
	return !errors.As(e.Err, &name) || !name.IsNotFound
}

// AuthError says that a host was reached and let none of our keys in.
type AuthError struct {
	Host, User, Address string
	// ConfigFile is the SSH configuration that was read; empty for OpenSSH's own.
	ConfigFile string
	// KeyFile is the first IdentityFile that is there; empty if none is.
	KeyFile string
	// Offered are the keys that were tried: their type, fingerprint and where they
	// are. Skipped are those that could not be used.
	Offered []string
	Skipped []SkippedKey
	// TooMany says that the host hung up before all keys were tried (MaxAuthTries).
	TooMany bool
	// Wanted are the methods that the host asks for, which are not keys or, if
	// Partial, come on top of the key that it took.
	Wanted  []string
	Partial bool
}

// SkippedKey is a key that could not be used.
type SkippedKey struct {
	Key, Reason string
	// Cure is the command that changes that; nil if there is none.
	Cure []string
}

func (k SkippedKey) String() string { return k.Key + ": " + k.Reason }

func (e *AuthError) Error() string {
	who := fmt.Sprintf("%s: %s@%s", e.Host, e.User, e.Address)
	offered := "no keys"
	if len(e.Offered) > 0 {
		offered = strings.Join(e.Offered, ", ")
	}
	switch {
	case e.TooMany:
		return fmt.Sprintf("%s hung up after too many keys: %s", who, offered)
	case e.Partial:
		return fmt.Sprintf("%s took a key, and wants more: %s", who, strings.Join(e.Wanted, ", "))
	case len(e.Wanted) > 0:
		return fmt.Sprintf("%s takes no keys, only %s", who, strings.Join(e.Wanted, ", "))
	}
	return fmt.Sprintf("%s accepted none of the keys offered: %s", who, offered)
}

// Lost and Unreached are as those of a DialError: a key that an agent has lost in the
// midst of a run says nothing of what runs on the host.
func (e *AuthError) Lost() bool      { return true }
func (e *AuthError) Unreached() bool { return true }

// HostKeyError says that a host did not prove that it is the one on record.
type HostKeyError struct {
	Host, Address string
	// Type and Got are the type and the fingerprint of the key that it showed.
	Type, Got string
	// Certificate says why the certificate that came with it does not count; empty
	// if none came.
	Certificate string
	// Known are the keys on record, each with its file and line; empty if the
	// host is unknown.
	Known []string
	// Revoked is the file and line that revokes the key; empty if none does.
	Revoked string
	// File is where a new key would be recorded, and Line its record there, if it
	// is the right one. They are empty if UserKnownHostsFile names none.
	File, Line string
}

func (e *HostKeyError) Error() string {
	shown := fmt.Sprintf("%s %s", e.Type, e.Got)
	if e.Certificate != "" {
		shown += ", with a certificate that does not count: " + e.Certificate
	}
	switch {
	case e.Revoked != "":
		return fmt.Sprintf("%s: the host key of %s is revoked (%s): it shows %s", e.Host, e.Address, e.Revoked, shown)
	case len(e.Known) == 0:
		return fmt.Sprintf("%s: the host key of %s (%s) is not known", e.Host, e.Address, shown)
	}
	return fmt.Sprintf("%s: the host key of %s has changed: it shows %s; on record is %s",
		e.Host, e.Address, shown, strings.Join(e.Known, ", "))
}

// Lost and Unreached are as those of a DialError: whoever answers is somebody else.
func (e *HostKeyError) Lost() bool      { return true }
func (e *HostKeyError) Unreached() bool { return true }

// ConfigError says that the SSH configuration of a host asks for something
// that cannot be done here.
type ConfigError struct{ Host, Option, Reason string }

func (e *ConfigError) Error() string {
	if e.Option == "" {
		return fmt.Sprintf("%s: %s", e.Host, e.Reason)
	}
	return fmt.Sprintf("%s: its ssh configuration has %s, which %s", e.Host, e.Option, e.Reason)
}
