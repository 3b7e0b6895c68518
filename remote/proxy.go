package remote

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ProxyError says that the ProxyCommand to a host failed, or ended.
type ProxyError struct {
	// Command is the program, made safe to show: its arguments may hold a password.
	Command string
	// Tail are the last lines it wrote to its standard error, made safe to show.
	Tail []string
	Err  error
}

func (e *ProxyError) Error() string {
	s := fmt.Sprintf("its ProxyCommand (%s): %v", e.Command, e.Err)
	if len(e.Tail) > 0 {
		s += ": " + strings.Join(e.Tail, "; ")
	}
	return s
}

func (e *ProxyError) Unwrap() error { return e.Err }

// program is what of a command may be shown, and recorded: its first word.
func program(command string) string {
	for word := range strings.FieldsSeq(command) {
		return oneLine(word)
	}
	return ""
}

// commandGrace is how long a command may take to end once it is told to, and to
// say why once its output has ended.
const commandGrace = time.Second

// commandConn is a connection that a command makes: what it reads is for the host,
// what it writes is from it. They are pipes, as they are with OpenSSH: given a socket,
// bash takes itself for a remote shell, and runs its profile.
type commandConn struct {
	command string
	// address is where the command should lead to.
	address     proxied
	read, write *os.File
	process     *exec.Cmd
	complaints  lineWriter
	ending      sync.Once
	// ended is how the command did, once it is reaped.
	ended error
}

// proxied is an address that was left to a command to find.
type proxied string

func (proxied) Network() string  { return "proxycommand" }
func (p proxied) String() string { return string(p) }

// dialCommand starts a ProxyCommand with the operator's shell, as OpenSSH does. It has
// a session of its own: what asks on the terminal would be in the way of rel, which
// has the terminal, and an interrupt is rel's to act on.
func dialCommand(command, address string) (net.Conn, error) {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	input, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	read, output, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, input.Close(), write.Close())
	}
	c := &commandConn{command: command, address: proxied(address), read: read, write: write}
	c.process = exec.Command(shell, "-c", "exec "+command)
	c.process.Stdin, c.process.Stdout, c.process.Stderr = input, output, &c.complaints
	c.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// What it started may keep its standard error open.
	c.process.WaitDelay = commandGrace
	err = c.process.Start()
	input.Close()
	output.Close()
	if err != nil {
		read.Close()
		write.Close()
		return nil, &ProxyError{Command: program(command), Err: err}
	}
	return c, nil
}

func (c *commandConn) Read(b []byte) (int, error) {
	n, err := c.read.Read(b)
	return n, c.failed(err)
}

func (c *commandConn) Write(b []byte) (int, error) {
	n, err := c.write.Write(b)
	return n, c.failed(err)
}

// failed has the command explain the end of its pipes, unless they were closed here.
func (c *commandConn) failed(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	c.end(0)
	return c.blame(c.ended)
}

// blame adds what the command said to an error of the connection, which is over.
func (c *commandConn) blame(err error) error {
	c.end(syscall.SIGHUP)
	var already *ProxyError
	if errors.As(err, &already) {
		return err
	}
	return &ProxyError{Command: program(c.command), Tail: c.complaints.tail, Err: err}
}

// Close ends the command, and everything in its session: first with a hangup, as
// OpenSSH does, then by force.
func (c *commandConn) Close() error {
	c.read.Close()
	c.write.Close()
	c.end(syscall.SIGHUP)
	return nil
}

var (
	errCommandEnded = errors.New("it ended")
	errOutputEnded  = errors.New("it closed its output")
)

// end waits for the command, which has a moment to end by itself. Until then it is not
// reaped: its number could be another's by the time that it is killed.
func (c *commandConn) end(signal syscall.Signal) {
	c.ending.Do(func() {
		group := -c.process.Process.Pid
		_ = syscall.Kill(group, signal)
		force := time.AfterFunc(commandGrace, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		err := c.process.Wait()
		if forced := !force.Stop(); forced {
			err = errOutputEnded
		} else if err == nil || errors.Is(err, exec.ErrWaitDelay) {
			err = errCommandEnded
		}
		_ = syscall.Kill(group, syscall.SIGKILL)
		c.complaints.flush()
		c.ended = err
	})
}

func (c *commandConn) LocalAddr() net.Addr  { return proxied("") }
func (c *commandConn) RemoteAddr() net.Addr { return c.address }

func (c *commandConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *commandConn) SetReadDeadline(t time.Time) error  { return c.read.SetReadDeadline(t) }
func (c *commandConn) SetWriteDeadline(t time.Time) error { return c.write.SetWriteDeadline(t) }
