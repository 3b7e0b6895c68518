package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestInterruptedLook: status and doctor, which have nothing to finish, end in order at
// the first Ctrl-C, whatever they wait for: a terminal is left as it was.
func TestInterruptedLook(t *testing.T) {
	dir := t.TempDir()
	config, ssh := filepath.Join(dir, "rel.toml"), filepath.Join(dir, "ssh_config")
	dialled := filepath.Join(dir, "dialled")
	for name, text := range map[string]string{
		config: goodConfig,
		ssh:    fmt.Sprintf("Host *\n    ProxyCommand /bin/sh -c 'echo >%s; exec sleep 20'\n", dialled),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"status", "doctor"} {
		cmd := exec.CommandContext(t.Context(), program(t), command, "--config", config, "--ssh-config", ssh, "--journal", filepath.Join(dir, "journal.db"))
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
