package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// typing is what an operator types when something is on the screen; a secret, unless it is
// open, once the terminal shows what is typed no more.
type typing struct {
	at, text string
	open     bool
}

// onTerminal runs a command on a terminal of its own, on which questions are answered in
// this order. It returns how it ended, every byte that it wrote there, and the most
// memory that it had, in KiB.
func onTerminal(t *testing.T, cmd *exec.Cmd, answers ...typing) (code int, screen string, peak int) {
	t.Helper()
	master, slave := openTerminal(t)
	defer master.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var seen bytes.Buffer
	from := 0
	for b := make([]byte, 32<<10); ; {
		n, err := master.Read(b)
		if err != nil {
			break // EIO: nobody has the other end any more
		}
		seen.Write(b[:n])
		peak = max(peak, memory(cmd.Process.Pid))
		if len(answers) > 0 && strings.Contains(seen.String()[from:], answers[0].at) {
			if !answers[0].open {
				awaitSilence(t, master)
			}
			if _, err := master.WriteString(answers[0].text + "\n"); err != nil {
				t.Fatal(err)
			}
			from, answers = seen.Len(), answers[1:]
		}
	}
	_ = cmd.Wait()
	if len(answers) > 0 {
		t.Errorf("nothing asked %q", answers[0].at)
	}
	return cmd.ProcessState.ExitCode(), seen.String(), peak
}

// openTerminal makes a terminal: master is whoever types, and reads the screen.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func awaitSilence(t *testing.T, master *os.File) {
	t.Helper()
	for range 500 {
		if state, err := unix.IoctlGetTermios(int(master.Fd()), unix.TCGETS); err == nil && state.Lflag&unix.ECHO == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the terminal shows what is typed")
}

// memory is the most memory that a process had so far, in KiB. (What Wait tells of it has
// in it what the test had when it started the process.)
func memory(pid int) (kib int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if _, after, ok := strings.Cut(string(text), "VmHWM:"); ok {
		_, _ = fmt.Sscan(after, &kib)
	}
	return kib
}
