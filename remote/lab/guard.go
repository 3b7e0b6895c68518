package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// guardVar tells a process that it is a guard, and of which folder.
const guardVar = "REL_LAB_GUARD"

// dismissed is what a guard hears when its owner has no more need of it.
const dismissed = "dismissed\n"

// Main must be called first by every program that calls Guard: in main, or in TestMain before m.Run. In a process that
// Guard has started it is the guard, and does not return; in any other it does nothing.
func Main() {
	dir := os.Getenv(guardVar)
	if dir == "" {
		return
	}
	if err := WatchOver(os.Stdin, dir, func(string) {}); err != nil {
		fmt.Fprintln(os.Stderr, "rel-lab guard:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Guard starts a process that ends the lab in dir when this one ends, by whatever means. The process is this program
// once more: so the program must call Main first. It holds the far end of a pipe, and has a session of its own, so that
// no signal to this process or its group ends it. stop dismisses it: the lab then stays, if it is there.
func Guard(dir string) (stop func(), err error) {
	dir, err = cleanDir(dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// Not stopped by any context: ending with its owner is what a guard must not do.
	cmd := exec.CommandContext(context.Background(), self)
	cmd.Env = append(os.Environ(), guardVar+"="+dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a guard: %w", err)
	}
	return sync.OnceFunc(func() {
		_, _ = io.WriteString(pipe, dismissed)
		_ = pipe.Close()
		_ = cmd.Wait()
	}), nil
}

// WatchOver waits until owner ends, then takes down the lab in dir; unless the last that came from owner was a
// dismissal. Signals that ask it to stop are not heard.
func WatchOver(owner io.Reader, dir string, log func(string)) error {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	said, err := io.ReadAll(io.LimitReader(owner, 1<<10))
	if err != nil {
		return err
	}
	if string(said) == dismissed {
		return nil
	}
	if len(said) == 1<<10 {
		return errors.New("a guard's standard input must be a pipe that its owner holds and does not write to")
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockWithin+downWithin+time.Minute)
	defer cancel()
	return Down(ctx, dir, log)
}
