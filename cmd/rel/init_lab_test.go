package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// initiated runs rel init against hosts, and has the operator use what it wrote.
func (w *world) initiated(sshConfig string, flags ...string) (o outcome, text string) {
	w.t.Helper()
	w.config = filepath.Join(w.t.TempDir(), "rel.toml")
	o = w.must(exitOK, append([]string{"init", "--output", w.config, "--ssh-config", sshConfig}, flags...)...)
	b, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("%s", b)
	return o, string(b)
}

// fillIn is what the operator does to the file that init wrote.
func (w *world) fillIn(text, old, new string) {
	w.t.Helper()
	filled := strings.Replace(text, old, new, 1)
	if filled == text {
		w.t.Fatalf("there is no %q", old)
	}
	if err := os.WriteFile(w.config, []byte(filled), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("there is no %q", word)
		}
	}
}

// TestInit: from what init writes, with what it says is to be filled in, the first
// release gets live; and once one is, there is nothing to fill in.
func TestInit(t *testing.T) {
	w := newWorld(t, 1)
	as := w.SSHConfigPath()
	hosts := []string{"--build", w.BuildHost(), "--target", "choiros-prod", "--repo", "/opt/choiros/workspace"}
	unchanged := w.unchanged()

	// Nothing was ever released. What cannot be known is the units of the template.
	o, text := w.initiated(as, hosts...)
	o.mentions(t, "services: which units of the template container@.service are to be restarted", "check: nothing was found that answers HTTP",
		"rel --config "+w.config+" doctor", "rel --config "+w.config+" start")
	if strings.Contains(o.err, "adopt") {
		t.Error("there is nothing to adopt")
	}
	w.fillIn(text, `# "container@INSTANCE",`, `"container@sandbox-live", "container@sandbox-dev",`)
	unchanged()
	w.must(exitOK, "doctor")
	// No unit runs the desktop: whether it is released at all is for the operator to say.
	w.must(exitOK, "start", "--yes")
	if runs := w.runs("choiros-prod"); strings.Count(runs, " active") != 3 || strings.Count(runs, "/nix/store/") != 2 {
		t.Errorf("it runs\n%s", runs)
	}

	// Where something is live, it is found with its checks.
	unchanged = w.unchanged()
	o, text = w.initiated(as, hosts...)
	unchanged()
	if strings.Contains(o.err, "To fill in") {
		t.Errorf("there is something to fill in:\n%s", o.err)
	}
	o.mentions(t, "adopt")
	contains(t, text,
		`app          = "choiros"  # from /opt/choiros/bin`, `branch       = "main"`, `flake  = "./hypervisor#hypervisor"`, `"container@sandbox-live",`,
		`url  = "http://127.0.0.1:8081/health"`, "url  = \"http://127.0.0.1:9090/health\"\nbody = \"${sha}\"", "# name   = \"desktop\"")
	w.must(exitOK, "doctor")
	w.bump(lab.Bump{})
	w.must(exitOK, "start", "--yes")
	if o := w.rel("init", "--stdout", "--build", w.BuildHost(), "--target", "choiros-nowhere", "--repo", "/r"); o.code != exitUnreachable || o.out != "" {
		t.Errorf("a host that is not there: exit %d\n%s", o.code, o.out)
	}
}

// TestInitElsewhere: hosts that have nothing of the lab's names: another app, another
// checkout, another unit, links elsewhere, and a login that is not root's.
func TestInitElsewhere(t *testing.T) {
	w := newWorld(t, 1)
	as := filepath.Join(t.TempDir(), "ssh_config")
	text, err := os.ReadFile(w.SSHConfigPath())
	if err == nil {
		err = os.WriteFile(as, append([]byte("Host choiros-prod\n    User deploy\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.exec(w.BuildHost(), `origin=$(git -C /opt/choiros/workspace remote get-url origin)
		mv /opt/choiros/workspace /root/gone && git clone -q "$origin" /home/code`)
	w.exec("choiros-prod", `rm -r /opt/choiros /etc/systemd/system/container@.service /etc/systemd/system/rel-lab-serve.service
		mkdir -p /srv/shop/bin
		sed 's|/opt/choiros/bin/hypervisor|-/bin/sh -c "exec /srv/shop/bin/counter --quiet"|' /etc/systemd/system/hypervisor.service >/etc/systemd/system/shop-counter.service
		rm /etc/systemd/system/hypervisor.service
		systemctl daemon-reload
		useradd --create-home deploy && cp -r /root/.ssh /home/deploy/.ssh && chown -R deploy: /home/deploy
		echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/rel
		sed -i 's/^PermitRootLogin.*/PermitRootLogin no/' /etc/ssh/sshd_config && systemctl restart ssh`)
	hosts := []string{"--build", w.BuildHost(), "--target", "choiros-prod", "--repo", "/home/code", "--app", "shop"}
	rel := func(code int, args ...string) outcome { return w.must(code, append(args, "--ssh-config", as)...) }

	// The link is not called as any package; where it led to says which it is of.
	w.exec("choiros-prod", "ln -s /nix/store/"+strings.Repeat("a", 32)+"-hypervisor-0/bin/hypervisor /srv/shop/bin/counter")
	o, proposed := w.initiated(as, hosts...)
	o.mentions(t, "take the link /srv/shop/bin/counter away")
	contains(t, proposed, `repo = ""  # none at `, `become = "sudo"  # deploy can become root with it`, `link   = "/srv/shop/bin/counter"`,
		"-hypervisor-0/bin/hypervisor is gone", `    "shop-counter",`)
	w.exec("choiros-prod", "rm /srv/shop/bin/counter")
	rel(exitOK, "doctor")
	rel(exitOK, "start", "--yes")
	// Where sudo wants a password, or knows nobody, doas may not.
	w.exec("choiros-prod", "rm /etc/sudoers.d/rel; echo 'permit nopass deploy' >/etc/doas.conf && chmod 600 /etc/doas.conf")
	_, proposed = w.initiated(as, hosts...)
	contains(t, proposed, `become = "doas"  # deploy can become root with it`, `    "shop-counter",`, `url  = "http://127.0.0.1:9090/health"`, `flake  = "./hypervisor#hypervisor"`, `binary = "bin/hypervisor"`)
	rel(exitOK, "doctor")
	w.bump(lab.Bump{})
	rel(exitOK, "start", "--yes")
}
