package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// TestBadInput gives rel what it must refuse, one thing after the other, and
// wants each named with its place and cure, and every host as it was.
func TestBadInput(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	const repo = "/opt/choiros/workspace"
	git := "git -c user.name=x -c user.email=x@x -C " + repo + " "

	cases := []struct {
		name string
		// host is where spoil makes the trouble and mend ends it.
		host, spoil, mend string
		code              int
		says              []string
	}{
		{"dirty build host", w.BuildHost(), "touch " + repo + "/one " + repo + "/two", "rm " + repo + "/one " + repo + "/two",
			exitRefused, []string{"choiros-grind: " + repo + " has uncommitted changes", "?? one", "?? two"}},
		{"more dirty files than one wants to read", w.BuildHost(), "for i in $(seq 25); do touch " + repo + "/junk$i; done", "rm " + repo + "/junk*",
			exitRefused, []string{"and 5 more"}},
		{"dirty target", "choiros-prod-2", "echo x >> " + repo + "/README.md", git + "checkout -q README.md",
			exitRefused, []string{"choiros-prod-2: " + repo + " has uncommitted changes", "README.md"}},
		{"diverged checkout", "choiros-prod", git + "commit -q --allow-empty -m mine", git + "reset -q --hard HEAD~1",
			exitRefused, []string{"choiros-prod: " + repo + " has commits that are not at its origin", "mine"}},
		{"another branch", "choiros-prod", git + "checkout -q -b side", git + "checkout -q main && " + git + "branch -q -D side",
			exitRefused, []string{"has branch side checked out"}},
		{"no checkout", w.BuildHost(), "mv " + repo + " /opt/away", "mv /opt/away " + repo,
			exitRefused, []string{"is no git checkout", "--grind-repo"}},
		{"no nix on the build host", w.BuildHost(), "mv /usr/bin/nix /usr/bin/nix.away", "mv /usr/bin/nix.away /usr/bin/nix",
			exitRefused, []string{"choiros-grind: nix does not work", "not found"}},
		{"no nix on a target", "choiros-prod", "mv /usr/bin/nix-store /usr/bin/nix-store.away", "mv /usr/bin/nix-store.away /usr/bin/nix-store",
			exitRefused, []string{"choiros-prod: nix does not work"}},
		{"a missing unit", "choiros-prod", "mv /etc/systemd/system/hypervisor.service /root/", "mv /root/hypervisor.service /etc/systemd/system/",
			exitRefused, []string{"choiros-prod: there is no unit hypervisor"}},
		{"a file where a link is to be", "choiros-prod", "mv /opt/choiros/bin/desktop /root/ && echo x > /opt/choiros/bin/desktop", "mv -f /root/desktop /opt/choiros/bin/desktop",
			exitRefused, []string{"/opt/choiros/bin/desktop is not a link"}},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := w.in(t)
			w.exec(c.host, c.spoil+"; systemctl daemon-reload")
			defer w.exec(c.host, c.mend+"; systemctl daemon-reload")
			unchanged := w.unchanged()
			o := w.must(c.code, "start")
			o.closes(t)
			o.mentions(t, c.says...)
			o.mentions(t, "targets: choiros-prod runs ", "targets: choiros-prod-2 runs ")
			if strings.Contains(o.err, "▸ verify") {
				// The checkouts are at the commit by then; only the rest counts.
				return
			}
			unchanged()
		})
	}
}

// in is the world for a subtest.
func (w *world) in(t *testing.T) *world {
	inner := *w
	inner.t = t
	return &inner
}

// TestBadHosts reaches for hosts that are not there, or not who they should be.
func TestBadHosts(t *testing.T) {
	w := newWorld(t, 1)
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	strange := filepath.Join(t.TempDir(), "strange")
	if err := os.WriteFile(strange, []byte("choiros-prod "+strings.SplitN(hostKey(t, w, w.BuildHost()), " ", 2)[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	prod := w.Addr("choiros-prod")
	cases := []struct {
		name  string
		block string // goes first, and so wins
		says  []string
	}{
		{"does not resolve", "HostName no-such-host.invalid", []string{"cannot reach no-such-host.invalid:22", " choiros-prod true"}},
		{"refuses", "Port 1", []string{"cannot reach " + prod + ":1", "refused"}},
		{"does not authenticate", "User nobody", []string{"nobody@" + prod, "accepted none of the keys", "authorized_keys"}},
		{"no key", "IdentityFile /no/such/key\n    IdentityAgent none", []string{"no keys"}},
		{"another host key", "UserKnownHostsFile " + strange + "\n    HostKeyAlias choiros-prod", []string{"has changed", strange + ":1", "SHA256:"}},
		{"not known, and nobody to ask", "UserKnownHostsFile " + strange + ".none\n    StrictHostKeyChecking yes", []string{"is not known", strange + ".none"}},
	}
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			w := w.in(t)
			block := "Host choiros-prod\n    " + c.block + "\n\n" + string(text)
			if c.name == "no key" {
				// IdentityFile adds up over blocks: here it must be the only one.
				block = strings.ReplaceAll(block, "IdentityFile "+filepath.Join(w.Dir, "id_ed25519"), "IdentityFile /no/such/key")
			}
			config := filepath.Join(t.TempDir(), "ssh_config")
			if err := os.WriteFile(config, []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			unchanged := w.unchanged()
			o := w.must(exitUnreachable, "start", "--ssh-config", config)
			o.mentions(t, c.says...)
			o.mentions(t, "rel: choiros-", "targets: choiros-prod was not reached", "next: ", "log: ")
			unchanged()
			if ids, err := journal.New(w.journal).Promotions(); err != nil || len(ids) > 0 {
				t.Errorf("a promotion was recorded: %v, %v", ids, err)
			}
		})
	}
}

func hostKey(t *testing.T, w *world, host string) string {
	t.Helper()
	return "x " + w.in(t).exec(host, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
}

// TestBadArtifacts builds what is not there.
func TestBadArtifacts(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	before := w.runs("choiros-prod")

	w.rewrite("./sandbox#sandbox", "./sandbox#nothing")
	o := w.must(exitFailed, "start")
	o.closes(t)
	o.mentions(t, "does not provide attribute", "nothing")

	w.rewrite(`"bin/sandbox"`, `"bin/no-such"`)
	o = w.must(exitFailed, "start")
	o.closes(t)
	o.mentions(t, `artifact "sandbox" has no executable bin/no-such in /nix/store/`)

	w.config = w.ConfigPath()
	o = w.must(exitRefused, "start", "--sha", strings.Repeat("0", 40))
	o.mentions(t, "there is no commit 0000000")

	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	// Both stopped promotions fit the day's prefix; nothing fits the other.
	w.must(exitUsage, "resume", w.newest()[:8]).mentions(t, "fits several promotions")
	w.must(exitUsage, "resume", "19990101").mentions(t, "no promotion is called")
	w.must(exitUsage, "log", "19990101").mentions(t, "no promotion is called")

	// An older commit than the live one is refused, unless that is meant.
	w.must(exitOK, "start")
	first := strings.TrimSpace(w.exec(w.BuildHost(), "git -C /opt/choiros/workspace rev-parse HEAD~1"))
	o = w.must(exitRefused, "start", "--sha", first)
	o.closes(t)
	o.mentions(t, "does not lead to this one", "next:    rel start --allow-downgrade ", "--sha "+first[:10])
	w.must(exitOK, "start", "--sha", first[:10], "--allow-downgrade")
}
