package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestSudo has a target that lets no root in. What needs root goes through
// sudo -n; git works as who logs in, whose checkout it is.
func TestSudo(t *testing.T) {
	w := newWorld(t, 1)
	w.exec("choiros-prod", `useradd --create-home deploy
		cp -r /root/.ssh /home/deploy/.ssh && chown -R deploy: /home/deploy/.ssh /opt/choiros/workspace
		sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config && systemctl restart ssh`)
	as := filepath.Join(t.TempDir(), "ssh_config")
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(as, append([]byte("Host choiros-prod\n    User deploy\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	rel := func(code int, args ...string) outcome {
		t.Helper()
		return w.must(code, append(args, "--ssh-config", as)...)
	}
	unchanged := w.unchanged()
	o := rel(exitRefused, "start")
	o.closes(t)
	o.mentions(t, "the login user is deploy, not root", `become = "sudo"`)

	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"sudo\"")
	o = rel(exitRefused, "start")
	o.closes(t)
	o.mentions(t, "deploy cannot become root with sudo -n: sudo: a password is required", "NOPASSWD", " choiros-prod sudo -n true")
	unchanged()

	w.exec("choiros-prod", `echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rel`)
	rel(exitOK, "start")
	first := w.runs("choiros-prod")
	if owner := w.exec("choiros-prod", "stat -c %U /var/lib/rel/choiros /tmp/choiros-release.env; find /opt/choiros/workspace ! -user deploy | head -n 3"); owner != "root\nroot" {
		t.Errorf("the owners are %s", owner)
	}
	w.bump(lab.Bump{Broken: "crash"})
	rel(exitReverted, "start").closes(t)
	links := func(s string) string { return strings.Join(strings.Fields(s)[:6], " ") }
	if now := w.runs("choiros-prod"); links(now) != links(first) {
		t.Errorf("the target runs\n%s\nwant\n%s", now, first)
	}
	w.bump(lab.Bump{})
	rel(exitOK, "start")
	rel(exitOK, "status")
	rel(exitOK, "rollback")
	if now := w.runs("choiros-prod"); links(now) != links(first) {
		t.Errorf("the target runs\n%s\nwant\n%s", now, first)
	}
	if left := w.exec("choiros-prod", "ls -A /tmp /opt/choiros/bin | grep -c '^.rel-' || true"); left != "0" {
		t.Errorf("%s temporary files are left", left)
	}
}
