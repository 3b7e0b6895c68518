package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
	"choir.chat/rel/remote/lab/link"
)

// measure lays the distance, has do done there, and counts what passed.
func (s *stand) measure(ctx context.Context, p place, do func(context.Context, *lab.Away, string) (run, error)) (run, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, runWithin, fmt.Errorf("it took longer than %s", runWithin))
	defer cancel()
	dir := s.folder()
	away, err := s.SetAway(dir, lab.Distance{RTT: p.RTT, Rate: p.Rate, BuildRTT: p.RTT, BuildRate: p.Rate})
	if err != nil {
		return run{}, err
	}
	defer away.Close()
	r, err := do(ctx, away, dir)
	away.Close()
	var conns []link.Conn
	for _, l := range away.Links {
		conns = append(conns, l.Conns()...)
		r.Operator += l.Bytes()
	}
	for _, l := range away.BuildLinks {
		r.Between += len(l.Conns())
		r.Sent += l.Bytes()
	}
	r.Conns, r.Rounds = len(conns), away.Clock.Now()
	if len(conns) == 0 {
		r.Rounds = away.BuildClock.Now() // the build host asked, and nobody else
	}
	r.Beside = r.Rounds - link.Shaking(conns)
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	time.Sleep(pauseAfter)
	return r, err
}

// command runs a command as an operator would, and returns what it took. Its error has the end of what it said.
func command(ctx context.Context, dir string, env []string, name string, args ...string) (run, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "USER=root", "LANG=C.UTF-8"}, env...)
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with all that it has started
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	err := cmd.Run()
	r := run{Wall: time.Since(began)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.Memory = int64(usage.Maxrss) << 10
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		err = fmt.Errorf("%s: %w\n    %s", name, err, strings.Join(lines[max(0, len(lines)-12):], "\n    "))
	}
	return r, err
}

// phases are how long each phase of the newest promotion took, the last attempt of each.
func (s *stand) phases(ctx context.Context, dir string, flags []string) (map[string]time.Duration, error) {
	log := func(args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, s.rel, slices.Concat(flags, []string{"log", "--json"}, args)...)
		cmd.Dir = dir
		return cmd.Output()
	}
	var newest struct {
		ID string `json:"id"`
	}
	out, err := log("-n", "1")
	if err == nil {
		err = json.Unmarshal(out, &newest)
	}
	if err == nil {
		out, err = log(newest.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("rel log: %w", err)
	}
	began, took := map[string]time.Time{}, map[string]time.Duration{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var ev journal.Event
		if err := decoder.Decode(&ev); err == io.EOF {
			return took, nil
		} else if err != nil {
			return nil, fmt.Errorf("rel log: %w", err)
		}
		switch ev.Kind {
		case journal.Intent:
			began[ev.Phase] = ev.At
		case journal.Moved:
			if from, ok := began[ev.Phase]; ok {
				took[ev.Phase] = ev.At.Sub(from)
			}
		}
	}
}
