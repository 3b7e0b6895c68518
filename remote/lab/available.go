package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// needs are the commands that a lab is made of, with the Debian package that has each.
var needs = []struct{ command, pkg string }{
	{"systemd-nspawn", "systemd-container"},
	{"/usr/lib/systemd/systemd", "systemd"},
	{"dbus-daemon", "dbus"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"git", "git"},
	{"ssh", "openssh-client"},
	{"sshd", "openssh-server"},
	{"nix", "nix-bin"},
	{"caddy", "caddy"},
	{"zstd", "zstd"},
	{"sudo", "sudo"},
	{"go", "golang-go"},
}

// Available is nil if this machine can have a lab, and else says in one sentence all that it lacks.
func Available() error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("a lab needs Linux, and this is %s", runtime.GOOS)
	}
	var missing, pkgs []string
	for _, n := range needs {
		if found(n.command) {
			continue
		}
		missing = append(missing, filepath.Base(n.command))
		if !slices.Contains(pkgs, n.pkg) {
			pkgs = append(pkgs, n.pkg)
		}
	}
	root := os.Geteuid() == 0
	switch {
	case len(missing) > 0 && !root:
		return fmt.Errorf("a lab needs root, and %s; get them with: apt-get install %s", strings.Join(missing, ", "), strings.Join(pkgs, " "))
	case len(missing) > 0:
		return fmt.Errorf("a lab needs %s; get them with: apt-get install %s", strings.Join(missing, ", "), strings.Join(pkgs, " "))
	case !root:
		return fmt.Errorf("a lab needs root, and this is user %d", os.Geteuid())
	}
	return nil
}

// found looks for a command in the caller's PATH and where Debian keeps what only root runs.
func found(command string) bool {
	if _, err := exec.LookPath(command); err == nil {
		return true
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if _, err := exec.LookPath(filepath.Join(dir, command)); err == nil {
			return true
		}
	}
	return false
}

// rootOnLinux is what it takes to end a lab, whatever packages are there by now.
func rootOnLinux() error {
	switch {
	case runtime.GOOS != "linux":
		return fmt.Errorf("a lab needs Linux, and this is %s", runtime.GOOS)
	case os.Geteuid() != 0:
		return fmt.Errorf("a lab needs root, and this is user %d", os.Geteuid())
	}
	return nil
}
