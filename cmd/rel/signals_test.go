package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// TestInterruptedLook: status and doctor, which have nothing to finish, end in order at
// the first Ctrl-C, whatever they wait for: a terminal is left as it was.
func TestInterruptedLook(t *testing.T) {
	dir := t.TempDir()
	file, ssh := filepath.Join(dir, "rel.toml"), filepath.Join(dir, "ssh_config")
	dialled := filepath.Join(dir, "dialled")
	for name, text := range map[string]string{
		file: config.Example,
		ssh:  fmt.Sprintf("Host *\n    ProxyCommand /bin/sh -c 'echo >%s; exec sleep 20'\n", dialled),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"status", "doctor"} {
		cmd := exec.CommandContext(t.Context(), program(t), command, "--config", file, "--ssh-config", ssh, "--journal", filepath.Join(dir, "journal.db"))
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			if _, err := os.Stat(dialled); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := os.Remove(dialled); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || time.Since(began) > 5*time.Second {
			t.Errorf("%s: exit %d after %s\n%s", command, code, time.Since(began), said.String())
		}
	}
}

// TestSaysBesideJSON: a reader of the JSON that stands still keeps nobody from being told.
func TestSaysBesideJSON(t *testing.T) {
	var said syncBuffer
	p := &jsonPrinter{err: &said}
	p.mu.Lock() // as an event has it that nobody reads
	p.Say("stopping")
	if said.String() != "stopping\n" {
		t.Errorf("it says %q", said.String())
	}
}

// TestWatchUnderNohup: a SIGHUP that is ignored ends no watching.
func TestWatchUnderNohup(t *testing.T) {
	if !slices.Contains(watchEnds(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP does not end it")
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // else what the tests start ignores it
	if slices.Contains(watchEnds(), os.Signal(syscall.SIGHUP)) {
		t.Error("SIGHUP ends it")
	}
}

// TestInterruptedLastLook: after the work is stopped the next Ctrl-C leaves at once, and
// says how to go on.
func TestInterruptedLastLook(t *testing.T) {
	if os.Getenv("REL_TEST_LAST_LOOK") != "" {
		h := &house{globals: &globals{}, std: stdio{err: os.Stderr}, work: &phases.Promotion{ID: "x"}}
		_, stop := h.interruptible(t.Context())
		stop() // the one of the wait for others
		_, stop = h.interruptible(t.Context())
		stop()
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		time.Sleep(20 * time.Second)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInterruptedLastLook$")
	cmd.Env = append(os.Environ(), "REL_TEST_LAST_LOOK=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	_ = cmd.Run()
	const want = "rel: left at once; what runs on the hosts goes on\ntargets: not asked: rel status says what they run\nnext:    rel resume x\n"
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || said.String() != want {
		t.Errorf("exit %d, %q", code, said.String())
	}
}

// Who has stopped a run that still waits for something is told so again and again, and
// how to leave.
func TestStopIsToldAgain(t *testing.T) {
	defer func(was time.Duration) { stopTold = was }(stopTold)
	stopTold = 5 * time.Millisecond
	var said syncBuffer
	h := &house{std: stdio{err: &said}}
	ctx, stop := h.interruptible(t.Context())
	defer h.forgetSignals()
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	for range 1000 {
		if strings.Count(said.String(), h.stopText()) > 2 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("it says %q", said.String())
}
