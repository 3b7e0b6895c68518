package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// reaches is the moment when a promotion gets to a state.
func reaches(state string) func(journal.Event) bool {
	return func(ev journal.Event) bool { return ev.State == state }
}

// folder is where the target keeps what it knows of a promotion.
func folder(id string) string { return "/var/lib/rel/choiros/releases/" + id }

// hypervisor is what the link leads to and what the unit's process is.
func (w *world) hypervisor(target string) string {
	w.t.Helper()
	return w.exec(target, "readlink /opt/choiros/bin/hypervisor; readlink /proc/$(systemctl show -p MainPID --value hypervisor)/exe")
}

// powerCycle cuts a host's power, and boots it.
func (w *world) powerCycle(host string) {
	w.t.Helper()
	if err := w.Stop(w.t.Context(), host); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Start(w.t.Context(), host); err != nil {
		w.t.Fatal(err)
	}
}

// TestRestartInTheWindow: the target's power is cut while a release waits to be
// confirmed, and its timers with it. The unit file outlasts that.
func TestRestartInTheWindow(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.bump(lab.Bump{})
	w.rewrite(`confirm      = "60s"`, `confirm = "8s"`)
	w.startAndSignal(rel, syscall.SIGKILL, reaches("applied"))
	w.powerCycle("choiros-prod")
	w.await("choiros-prod", "test -e "+folder(w.newest())+"/reverted")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target went to\n%s\nwant\n%s", now, before)
	}
	if left := w.exec("choiros-prod", "find /etc/systemd/system -name 'rel-*-choiros-*'"); left != "" {
		t.Errorf("unit files are left: %s", left)
	}
	w.must(exitOK, "resume").mentions(t, "copied, not applied: choiros-prod went back: not confirmed within 8s")
	w.must(exitOK, "status")

	// The same in the midst of an apply: the target is put back at once.
	before = w.hypervisor("choiros-prod")
	w.bump(lab.Bump{})
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/hypervisor.service.d
		printf '[Service]\nExecStopPost=/bin/sleep 20\n' > /etc/systemd/system/hypervisor.service.d/slow.conf; systemctl daemon-reload`)
	w.startAndSignal(rel, syscall.SIGKILL, func(ev journal.Event) bool {
		if !begins("apply")(ev) {
			return false
		}
		w.await("choiros-prod", "readlink /opt/choiros/bin/hypervisor | grep -q hypervisor-3")
		return true
	})
	w.exec("choiros-prod", "rm /etc/systemd/system/hypervisor.service.d/slow.conf")
	w.powerCycle("choiros-prod")
	w.await("choiros-prod", "test -e "+folder(w.newest())+"/reverted")
	w.await("choiros-prod", "systemctl is-active hypervisor")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target went to\n%s\nwant\n%s", now, before)
	}
	w.must(exitOK, "resume")
	w.must(exitOK, "status")
}

// TestRestartUnguarded: where no unit file can be written, as on NixOS, nothing
// takes an unconfirmed release back after a restart. That is said, and resume
// settles it.
func TestRestartUnguarded(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")
	second := w.bump(lab.Bump{})
	w.exec("choiros-prod", "mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,bind,ro /etc/systemd/system")
	w.rewrite(`confirm      = "60s"`, `confirm = "10s"`)
	w.startAndSignal(rel, syscall.SIGKILL, reaches("applied"))
	id := w.newest()
	w.powerCycle("choiros-prod")
	w.await("choiros-prod", "systemctl is-active hypervisor")
	w.must(exitRefused, "status").mentions(t, id+" is not confirmed, and nothing takes it back by itself: rel resume "+id)
	w.bump(lab.Bump{})
	o := w.must(exitRefused, "start")
	o.closes(t)
	o.mentions(t, id+" is not confirmed", "rel resume "+id, "targets: choiros-prod runs "+second[:7], "nothing takes it back")
	w.must(exitOK, "resume", id)
	w.must(exitOK, "status").mentions(t, id)

	// And without the journal of whoever started it, who will not come back.
	w.bump(lab.Bump{})
	w.exec("choiros-prod", "mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,bind,ro /etc/systemd/system")
	w.startAndSignal(rel, syscall.SIGKILL, reaches("applied"))
	w.powerCycle("choiros-prod")
	w.await("choiros-prod", "systemctl is-active hypervisor")
	other := w.elsewhere()
	other.must(exitRefused, "start").mentions(t, "rel rollback "+id)
	other.must(exitOK, "rollback", id)
	other.must(exitOK, "status").mentions(t, id[len(id)-7:])
	w.must(exitRefused, "resume").closes(t)
	w.must(exitOK, "abort", w.newest()).mentions(t, "reverted")
	other.must(exitOK, "status")
}

// TestNobodyCanLogIn: the release is healthy, and it takes sshd with it. It is
// not confirmed over the connection that happens to be open still: the target
// goes back.
func TestNobodyCanLogIn(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.bump(lab.Bump{})
	w.rewrite(`confirm      = "60s"`, `confirm = "6s"`)
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		w.await("choiros-prod", "grep -q 'restarting hypervisor' "+folder("*")+"/apply.log && readlink /opt/choiros/bin/hypervisor | grep -q hypervisor-2 && systemctl stop ssh.socket ssh.service")
	}()
	o := w.must(exitReverted, "start")
	<-cut
	o.closes(t)
	o.mentions(t, "cannot be confirmed: no new connection", "undecided; trying again", "went back by itself")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nwant\n%s", now, before)
	}
	w.exec("choiros-prod", "systemctl start ssh")
	w.must(exitOK, "log").mentions(t, "failed in health")
	w.must(exitOK, "resume").mentions(t, "healthy on choiros-prod")
	w.must(exitOK, "status")
}

// TestDiskFull: there is no room for the result of an apply. The previous
// release is back, and it is said that a person has to look.
func TestDiskFull(t *testing.T) {
	w := newWorld(t, 1)
	w.exec("choiros-prod", "mkdir -p /var/lib/rel && mount -t tmpfs -o size=2m tmpfs /var/lib/rel")
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	first := w.newest()
	w.bump(lab.Bump{})
	full := make(chan struct{})
	go func() {
		defer close(full)
		w.await("choiros-prod", "readlink /opt/choiros/bin/sandbox | grep -q sandbox-2 && ! cat /dev/zero >/var/lib/rel/filler 2>/dev/null")
	}()
	o := w.must(exitPerson, "start")
	<-full
	o.closes(t)
	o.mentions(t, "the apply job ended without a result", "("+first+")")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != before {
		t.Errorf("the target was left on %s, want %s", now, before)
	}
	w.exec("choiros-prod", "rm /var/lib/rel/filler")
	w.must(exitOK, "resume")
	w.must(exitOK, "status")
}

// unhealthyStart leaves a promotion that is copied, and that the target has
// taken back because its checks failed.
func (w *world) unhealthyStart() {
	w.t.Helper()
	proper := w.config
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.must(exitReverted, "start")
	w.exec("choiros-prod", "systemctl start caddy")
	w.config = proper
}

// TestDamagedStore: what Nix calls valid need not be whole. It is looked at before
// the first link is moved.
func TestDamagedStore(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	w.unhealthyStart()
	before := w.runs("choiros-prod")
	path := w.exec("choiros-prod", `p=$(echo /nix/store/*-desktop-2) && chmod u+w "$p/bin/desktop" && printf x >>"$p/bin/desktop" && echo "$p"`)
	o := w.must(exitRefused, "resume")
	o.closes(t)
	cure := "nix-store --delete --ignore-liveness " + path
	o.mentions(t, path+" is damaged in the store", cure)
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.exec("choiros-prod", cure+" 2>/dev/null")
	w.must(exitOK, "resume").mentions(t, "built, not copied: choiros-prod no longer has "+path)
}

// TestFencing: of two operators with journals of their own, the one whose release
// came to the target last has the say; and nobody takes a release away that
// they did not know of when they verified.
func TestFencing(t *testing.T) {
	w := newWorld(t, 1)
	other := w.elsewhere()
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	w.unhealthyStart()
	mine := w.newest()
	other.bump(lab.Bump{})
	other.unhealthyStart()

	// The other's came after mine, and went back: mine may go on.
	w.must(exitOK, "resume").mentions(t, "healthy on choiros-prod")
	w.must(exitOK, "status")
	o := other.must(exitRefused, "resume")
	o.closes(t)
	o.mentions(t, mine+" is live since verify", "targets: choiros-prod runs ", "rel abort "+other.newest())
	if live := w.exec("choiros-prod", "readlink /var/lib/rel/choiros/live"); live != "releases/"+mine {
		t.Errorf("live is %s, want %s", live, mine)
	}
	other.must(exitOK, "abort", other.newest())

	// A job that was started late, by whoever held it back, is refused on the target.
	other.must(exitOK, "start")
	said := w.exec("choiros-prod", "sh "+folder(mine)+"/apply.sh apply choiros "+mine+" 2>&1; cat "+folder(mine)+"/result.json")
	if !strings.Contains(said, `"result":"refused"`) || !strings.Contains(said, "another promotion has taken this target over") {
		t.Errorf("a stale apply said %s", said)
	}
	w.must(exitOK, "status").mentions(t, other.newest())
}

// linksOnly is a configuration for an app without services.
const linksOnly = `
app = "choiros"
repo = "/opt/choiros/workspace"
confirm = "3s"
[build]
host = "choiros-grind"
[[target]]
host = "choiros-prod"
[[artifact]]
name = "desktop"
flake = "./dioxus-desktop#desktop"
binary = "bin/desktop"
link = "/opt/choiros/bin/desktop"
`

// TestWithoutSystemd: a target that does not run it has the same job, the same
// files and the same window; only no units.
func TestWithoutSystemd(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.exec("choiros-prod", "mount -t tmpfs tmpfs /run/systemd")
	w.must(exitRefused, "start").mentions(t, "systemd does not run there, and there are services to restart")
	w.must(exitOK, "abort", w.newest())
	w.config = w.Dir + "/links.toml"
	if err := os.WriteFile(w.config, []byte(linksOnly), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func() string { return w.exec("choiros-prod", "readlink /opt/choiros/bin/desktop") }
	w.must(exitOK, "start").mentions(t, "there is no [[check]]")
	first := link()
	w.bump(lab.Bump{})
	w.startAndSignal(rel, syscall.SIGKILL, reaches("applied"))
	w.await("choiros-prod", "test -e "+folder(w.newest())+"/reverted")
	if now := link(); now != first {
		t.Errorf("the target went to %s, want %s", now, first)
	}
	w.must(exitOK, "resume").mentions(t, "went back: not confirmed within 3s")
	if now := link(); now == first {
		t.Error("the resume changed nothing")
	}
	w.must(exitOK, "status")
	w.must(exitOK, "rollback")
	if now := link(); now != first {
		t.Errorf("the target went to %s, want %s", now, first)
	}
}
