package lab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// checkout is where every host has the repository.
const checkout = "/opt/choiros/workspace"

func (l *Lab) hostDir(h member) string { return filepath.Join(l.Dir, "hosts", h.Name) }
func (l *Lab) rootDir(h member) string { return filepath.Join(l.hostDir(h), "root") }

func (l *Lab) host(name string) (member, error) {
	var names []string
	for _, h := range l.state.Hosts {
		if h.Name == name {
			return h, nil
		}
		names = append(names, h.Name)
	}
	return member{}, fmt.Errorf("the lab in %s has no host %q; it has %s", l.Dir, name, strings.Join(names, ", "))
}

// raiseHost makes one host from nothing to answering.
func (l *Lab) raiseHost(ctx context.Context, h member) error {
	began := time.Now()
	for _, step := range []func(context.Context, member) error{l.mountHost, l.furnish, l.cloneInto, l.boot} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	furnished := time.Since(began)
	if err := l.awaitHost(ctx, h); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	l.say("%s: up at %s (laid out in %.1fs, booted in %.1fs)", h.Name, h.Addr,
		furnished.Seconds(), (time.Since(began) - furnished).Seconds())
	return nil
}

// furnish writes the host's files before it boots: what all hosts have, what targets have, and what is its own.
func (l *Lab) furnish(_ context.Context, h member) error {
	root, err := os.OpenRoot(l.rootDir(h)) // no symlink in there leads out to the machine's own files
	if err != nil {
		return err
	}
	defer root.Close()
	put := func(name string, b []byte) error { return putFile(root, name, b, 0o644) }
	if err := putFixture("host", put); err != nil {
		return err
	}
	if !h.Build {
		if err := putFixture("target", put); err != nil {
			return err
		}
		if err := root.MkdirAll("opt/choiros/bin", 0o755); err != nil {
			return err
		}
	}
	return l.furnishOwn(root, h)
}

// furnishOwn writes what no two hosts have in common.
func (l *Lab) furnishOwn(root *os.Root, h member) error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	hostKey, err := newKey("root@" + h.Name)
	if err != nil {
		return err
	}
	operator, err := os.ReadFile(l.keyPath() + ".pub")
	if err != nil {
		return err
	}
	machineID := []byte(hex.EncodeToString(id) + "\n")
	for _, f := range []struct {
		name string
		text []byte
		mode fs.FileMode
	}{
		{"etc/machine-id", machineID, 0o444},
		{"var/lib/dbus/machine-id", machineID, 0o444},
		{"etc/hostname", []byte(h.Name + "\n"), 0o644},
		{"etc/hosts", l.hostsFile(), 0o644},
		{"etc/rel-lab.env", []byte("ADDRESS=" + h.Addr + "/24\n"), 0o644},
		{"etc/ssh/ssh_host_ed25519_key", hostKey.private, 0o600},
		{"etc/ssh/ssh_host_ed25519_key.pub", hostKey.public, 0o644},
		{"root/.ssh/authorized_keys", operator, 0o600},
	} {
		if err := putFile(root, f.name, f.text, f.mode); err != nil {
			return err
		}
	}
	if err := root.Chmod("root/.ssh", 0o700); err != nil {
		return err
	}
	return root.Symlink("/usr/lib/systemd/system/ssh.service", "etc/systemd/system/sshd.service")
}

// hostsFile is /etc/hosts: every host knows every other and the origin.
func (l *Lab) hostsFile() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1 localhost\n::1 localhost\n%s %s\n", l.state.gateway(), Origin)
	for _, h := range l.state.Hosts {
		fmt.Fprintf(&b, "%s %s\n", h.Addr, h.Name)
	}
	return []byte(b.String())
}

// putFile writes a new file, in the place of whatever is there: what is there may be a symlink of the machine's.
func putFile(root *os.Root, name string, b []byte, mode fs.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.RemoveAll(name); err != nil {
		return err
	}
	if err := root.WriteFile(name, b, mode); err != nil {
		return err
	}
	return root.Chmod(name, mode) // whatever the umask is
}

// cloneInto gives the host its checkout, over the network as the host itself would.
func (l *Lab) cloneInto(ctx context.Context, h member) error {
	_, err := run(ctx, nil, "git", "clone", "--quiet", "--branch", "main", "--template=", l.state.originURL(), l.rootDir(h)+checkout)
	return err
}
