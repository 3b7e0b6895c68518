package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The secrets of an operator who has all of them.
const (
	canaryPhrase   = "canary-phrase-b0Vd7"
	canaryPassword = "canary password $'\\` p9Qx2"
	canaryEnv      = "canary-environment-u3Kz8"
)

// stranger is a target that lets in a user who is not root, whose profile is loud,
// whose sshd is stingy, and whose sudo wants a password.
func (w *world) stranger() (sshConfig string) {
	w.t.Helper()
	w.exec("choiros-prod", `useradd --create-home --shell /bin/bash deploy
		cat >/tmp/password <<'EOT'
deploy:`+canaryPassword+`
EOT
		chpasswd </tmp/password && rm /tmp/password
		cp -r /root/.ssh /home/deploy/.ssh
		cat >/home/deploy/.bashrc <<'EOT'
echo 'Welcome to prod!'; printf '\033[31mloud\033[0m\n' >&2; read -r -t 0.1 line; export ENV=/nonexistent; false
EOT
		chown -R deploy: /home/deploy /opt/choiros/workspace
		echo 'deploy ALL=(ALL) ALL' >/etc/sudoers.d/rel; echo 'Defaults use_pty' >>/etc/sudoers.d/rel
		sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config
		printf 'MaxSessions 1\nBanner /etc/issue.net\n' >>/etc/ssh/sshd_config; printf 'no \033[31mtrespassing\n' >/etc/issue.net
		systemctl restart ssh`)
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		w.t.Fatal(err)
	}
	sshConfig = filepath.Join(w.t.TempDir(), "ssh_config")
	if err := os.WriteFile(sshConfig, append([]byte("Host choiros-prod\n    User deploy\n"), text...), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return sshConfig
}

// TestSudoPassword: sudo is given a password that is asked for once, by someone at a
// terminal, and that is seen nowhere.
func TestSudoPassword(t *testing.T) {
	w := newWorld(t, 1)
	as := w.stranger()
	unchanged := w.unchanged()
	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"sudo\"\nbecome_password = \"ask\"")
	o := w.must(exitRefused, "start", "--ssh-config", as)
	o.closes(t)
	o.mentions(t, "sudo wants the password of deploy: there is no terminal to ask for it on", "NOPASSWD")

	program := program(t)
	rel := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, append(args, "--config", w.config, "--journal", w.journal, "--ssh-config", as)...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK=", "CI=", "TERM=xterm", "REL_CANARY="+canaryEnv)
		return cmd
	}
	const question = "Password of deploy on choiros-prod, for sudo: "
	code, screen, _ := onTerminal(t, rel("start", "--yes"), typing{at: question, text: "wrong"})
	if code != exitRefused || !strings.Contains(screen, "sudo did not make root of deploy with that password") || strings.Count(screen, question) != 1 {
		t.Errorf("with a wrong password: exit %d\n%s", code, screen)
	}
	unchanged()
	if tries := w.exec("choiros-prod", "journalctl --sync; journalctl -q | grep -c 'incorrect password attempt' || true"); tries != "1" {
		t.Errorf("sudo counted %s wrong passwords, not one", tries)
	}

	looks := []string{"init", "--stdout", "--build", w.BuildHost(), "--target", "choiros-prod", "--repo", "/opt/choiros/workspace"}
	for _, c := range []struct{ typed, says string }{{"wrong", "it is looked at without root"}, {canaryPassword, "    \"hypervisor\","}} {
		code, screen, _ := onTerminal(t, rel(looks...), typing{at: question, text: c.typed})
		if code != exitOK || !strings.Contains(screen, c.says) || !strings.Contains(screen, `become_password = "ask"`) {
			t.Errorf("init, with the password %q: exit %d\n%s", c.typed, code, screen)
		}
		if seen := !strings.Contains(screen, "without root not all was seen there"); seen != (c.typed == canaryPassword) {
			t.Errorf("with the password %q it looked as root: %t\n%s", c.typed, seen, screen)
		}
	}
	unchanged()

	key := filepath.Join(t.TempDir(), "id")
	text, err := os.ReadFile(filepath.Join(w.Dir, "id_ed25519"))
	if err == nil {
		err = os.WriteFile(key, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", canaryPhrase, "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config, err := os.ReadFile(as)
	if err != nil {
		t.Fatal(err)
	}
	as = filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(as, bytes.ReplaceAll(config, []byte(filepath.Join(w.Dir, "id_ed25519")), []byte(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := watchProcesses(t)
	code, screen, _ = onTerminal(t, rel("start", "--yes"), typing{at: "Passphrase for " + key + ": ", text: canaryPhrase}, typing{at: question, text: canaryPassword})
	stop()
	if code != exitOK || strings.Count(screen, question) != 1 {
		t.Fatalf("exit %d\n%s", code, screen)
	}
	if strings.Contains(screen, "Welcome") || strings.Contains(screen, "loud") || strings.Contains(screen, "trespassing") {
		t.Errorf("a profile is shown:\n%s", screen)
	}
	w.keepsNoSecret(screen)
}

// watchProcesses looks at the command lines and the environments of all processes, which
// are also those of the lab's hosts, for as long as it is not stopped.
func watchProcesses(t *testing.T) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	looks := 0
	go func() {
		defer close(ended)
		for {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range lines {
				line, _ := os.ReadFile(name)
				environ, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "environ"))
				for _, secret := range []string{canaryPhrase, canaryPassword} {
					if bytes.Contains(line, []byte(secret)) || bytes.Contains(environ, []byte(secret)) {
						t.Errorf("%q is in a process: %q", secret, line)
					}
				}
				if bytes.Contains(line, []byte(canaryEnv)) {
					t.Errorf("%q is in a command line: %q", canaryEnv, line)
				}
			}
			looks++
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		if looks < 10 {
			t.Errorf("the processes were looked at %d times only", looks)
		}
	}
}

// keepsNoSecret looks for what nobody is to keep in what was shown, on the operator's disk
// and on the hosts.
func (w *world) keepsNoSecret(screen string) {
	w.t.Helper()
	var kept []string
	err := filepath.WalkDir(filepath.Dir(w.journal), func(name string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			kept = append(kept, name)
		}
		return err
	})
	if err != nil || len(kept) < 3 {
		w.t.Fatalf("the journal and its logs are %q, %v", kept, err)
	}
	for _, secret := range []string{canaryPhrase, canaryPassword, canaryEnv} {
		if strings.Contains(screen, secret) {
			w.t.Errorf("%q is shown:\n%s", secret, screen)
		}
		for _, name := range kept {
			if text, err := os.ReadFile(name); err != nil || bytes.Contains(text, []byte(secret)) {
				w.t.Errorf("%s has %q (%v)", name, secret, err)
			}
		}
	}
	for _, host := range append([]string{w.BuildHost()}, w.Targets()...) {
		if found := w.exec(host, "grep -rlF canary- /var/log /var/lib/rel /tmp /run/log /root /home /opt/choiros /etc 2>/dev/null; journalctl -q | grep -F canary; true"); found != "" {
			w.t.Errorf("%s keeps a secret: %s", host, found)
		}
	}
}

// TestBecome: the ways to become root, and what may stand in them.
func TestBecome(t *testing.T) {
	w := newWorld(t, 1)
	as := w.stranger()
	rel := func(code int, args ...string) outcome {
		t.Helper()
		return w.must(code, append(args, "--ssh-config", as)...)
	}
	rules := func(lines string) { w.exec("choiros-prod", "cat >/etc/sudoers.d/rel <<'EOT'\n"+lines+"\nEOT") }
	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"sudo\"\nbecome_password = \"ask\"")
	// Where it wants none, nobody is asked for a password.
	rules("deploy ALL=(ALL) NOPASSWD: ALL\nDefaults use_pty, secure_path=/usr/bin:/bin, env_reset")
	rel(exitOK, "start")

	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"sudo\"")
	rel(exitOK, "status")
	rules("deploy ALL=(ALL) NOPASSWD: ALL\nDefaults requiretty")
	rel(exitRefused, "start").mentions(t, "you must have a tty", "!requiretty")
	rules("deploy ALL=(ALL) NOPASSWD: /usr/bin/id")
	rel(exitRefused, "start").mentions(t, "deploy cannot become root with sudo -n")
	rules("# none")

	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"doas\"")
	rel(exitRefused, "start").mentions(t, "deploy cannot become root with doas -n", "permit nopass deploy")
	w.exec("choiros-prod", "echo 'permit nopass deploy' >/etc/doas.conf && chmod 600 /etc/doas.conf")
	rel(exitOK, "start", "--force")

	// systemd's run0 is younger than these hosts: what goes before the command is tried.
	w.exec("choiros-prod", `cat >/usr/local/bin/run0 <<'EOT'
#!/bin/sh
[ "$1" = --no-ask-password ] && shift && exec doas -n "$@"
EOT
		chmod 755 /usr/local/bin/run0`)
	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"run0\"")
	rel(exitOK, "status")
	w.rewrite(`keep         = 5`, "keep = 5\nbecome_command = \"doas -n -u root\"")
	rel(exitOK, "status")
	w.rewrite(`keep         = 5`, "keep = 5\nbecome_command = \"doas -n -u deploy\"")
	rel(exitRefused, "start").mentions(t, "deploy cannot become root with doas -n -u deploy")

	w.exec("choiros-prod", "echo 'AllowTcpForwarding no' >>/etc/ssh/sshd_config; systemctl restart ssh")
	w.rewrite(`keep         = 5`, "keep = 5\nbecome = \"doas\"")
	unchanged := w.unchanged()
	o := rel(exitRefused, "start")
	o.closes(t)
	o.mentions(t, "its sshd forbids forwarding to", "AllowTcpForwarding local")
	unchanged()

	w.exec("choiros-prod", "usermod --shell /usr/sbin/nologin deploy")
	rel(exitRefused, "start").mentions(t, "This account is currently not available")
}
