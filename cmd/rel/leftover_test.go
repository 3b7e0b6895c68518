package main

import (
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// dieInApply has the apply job of the next start die while its first unit is
// restarted: the links are switched then, and most units run what they ran.
func (w *world) dieInApply() {
	w.t.Helper()
	version := w.bump(lab.Bump{})
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/container@sandbox-live.service.d
		printf '[Service]\nExecStopPost=/bin/sleep 6\n' >/etc/systemd/system/container@sandbox-live.service.d/slow.conf; systemctl daemon-reload`)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		w.await("choiros-prod", `u=$(systemctl list-units --plain --no-legend 'rel-apply-*.service' | cut -d' ' -f1)
			[ -n "$u" ] && tail -n 1 "$(ls -td /var/lib/rel/choiros/releases/*/apply.log | head -n 1)" | grep -q restarting && systemctl kill -s KILL "$u"`)
	}()
	o := w.must(exitPerson, "start")
	<-killed
	o.closes(w.t)
	o.mentions(w.t, "ended without a result", "targets: choiros-prod runs "+version[:7], "; but hypervisor runs /nix/store/", "is not confirmed, and goes back by itself")
	w.exec("choiros-prod", "rm /etc/systemd/system/container@sandbox-live.service.d/slow.conf; systemctl daemon-reload; sleep 7")
}

// fireGuard does what the guard's timer does in half an hour.
func (w *world) fireGuard() {
	w.t.Helper()
	w.exec("choiros-prod", `for t in $(systemctl list-units --plain --no-legend 'rel-guard-*.timer' | cut -d' ' -f1); do systemctl start "${t%.timer}.service"; done`)
}

// TestDeadJob: what a job that died has left is never taken for a release, neither
// by the next start nor by a second attempt; the guard puts it back; and once
// another release is live, no leftover takes that away.
func TestDeadJob(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	live := w.newest()
	before := w.hypervisor("choiros-prod")
	w.dieInApply()
	dead := w.newest()
	unchanged := w.unchanged()
	for _, operator := range []*world{w, w.elsewhere()} {
		operator.must(exitRefused, "start").mentions(t, dead+" is not confirmed yet")
	}
	w.must(exitRefused, "status").mentions(t, dead+" is not confirmed; it goes back by itself")
	unchanged()
	w.elsewhere().must(exitRefused, "rollback", live).mentions(t, dead+" is not confirmed yet", "next:    rel abort "+dead+" --config ")

	// A second attempt that is refused puts the previous release back.
	path := w.exec("choiros-prod", `p=$(echo /nix/store/*-desktop-2) && chmod u+w "$p/bin/desktop" && printf x >>"$p/bin/desktop" && echo "$p"`)
	o := w.must(exitReverted, "resume", dead)
	o.closes(t)
	o.mentions(t, path+" is damaged in the store")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.must(exitOK, "status").mentions(t, dead+" went back")
	w.must(exitOK, "abort", dead)

	// The guard does the same, when nobody comes back.
	w.dieInApply()
	dead = w.newest()
	w.fireGuard()
	w.await("choiros-prod", "test -e "+folder(dead)+"/reverted")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	// Its commit goes live in another promotion. Whatever fires then, it stays.
	w.must(exitOK, "start")
	live = w.runs("choiros-prod")
	w.exec("choiros-prod", "sh "+folder(dead)+"/apply.sh guard choiros "+dead+"; sh "+folder(dead)+"/apply.sh boot choiros "+dead+"; sh "+folder(dead)+"/apply.sh revert choiros "+dead+" why")
	w.must(exitOK, "abort", dead)
	if now := w.runs("choiros-prod"); now != live {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, live)
	}
}

// TestOthersRelease: an operator gives a promotion up after another's release of
// the same content went live. That one stays.
func TestOthersRelease(t *testing.T) {
	w := newWorld(t, 1)
	other := w.elsewhere()
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	proper := w.config
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.must(exitPerson, "start").mentions(t, `warning: on_unhealthy = "keep"`, "stays on the unhealthy release")
	kept := w.newest()
	w.config = proper
	w.exec("choiros-prod", "systemctl start caddy")
	other.must(exitOK, "start")
	live := w.runs("choiros-prod")
	w.must(exitOK, "abort", kept).mentions(t, "reverted")
	if now := w.runs("choiros-prod"); now != live {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, live)
	}
	other.must(exitOK, "status")
}

// TestPinnedWayBack: the way back is pinned although rel did not put it there.
func TestPinnedWayBack(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.exec("choiros-prod", "rm -rf /var/lib/rel /nix/var/nix/gcroots/rel")
	w.bump(lab.Bump{Broken: "health"})
	w.rewrite(`deadline = "20s"`, `deadline = "5s"`)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		w.await("choiros-prod", "ls /var/lib/rel/choiros/releases/*/armed && nix-collect-garbage -d >/dev/null 2>&1")
	}()
	o := w.elsewhere().must(exitReverted, "start")
	<-collected
	o.closes(t)
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
}

// TestDeadUnit: a unit that is down, and stays so, is not steady.
func TestDeadUnit(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/container@sandbox-live.service.d /etc/systemd/system/hypervisor.service.d
		printf '[Service]\nExecStart=\nExecStart=/bin/sh -c "case $(readlink /opt/choiros/bin/sandbox) in *sandbox-2*) sleep 1; exit 1;; esac; exec /opt/choiros/bin/sandbox sandbox-live"\nRestart=no\n' \
			>/etc/systemd/system/container@sandbox-live.service.d/dies.conf
		printf '[Service]\nExecStartPre=/bin/sleep 4\n' >/etc/systemd/system/hypervisor.service.d/slow.conf; systemctl daemon-reload`)
	w.bump(lab.Bump{})
	o := w.must(exitReverted, "start")
	o.closes(t)
	o.mentions(t, "container@sandbox-live did not stay up")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
}

// TestWaysBack walks to and fro. What was rolled back is passed by, under all its
// names; what was only gone back from to go forward again is not; from a release
// that was kept, back means to the healthy one before it; the units that the
// newer release came with go back with it; and the manifest says what is live.
func TestWaysBack(t *testing.T) {
	w := newWorld(t, 1)
	var shas []string
	serves := func(want string) {
		t.Helper()
		if body := w.page(); !strings.Contains(body, want) {
			t.Fatalf("login answers %q, want %s", body, want[:7])
		}
		if manifest := w.exec("choiros-prod", "cat /tmp/choiros-release.env"); !strings.Contains(manifest, "RELEASE_SHA="+want) {
			t.Errorf("the manifest is\n%s\nwant %s", manifest, want)
		}
	}
	proper := w.config
	w.rewrite(`restart = ["container@sandbox-live", "container@sandbox-dev", "hypervisor"]`, `restart = ["container@sandbox-live", "hypervisor"]`)
	for range 3 {
		shas = append(shas, w.bump(lab.Bump{}))
		w.must(exitOK, "start")
		w.config = proper
	}
	w.must(exitOK, "start").mentions(t, "already live")
	w.must(exitOK, "rollback", shas[0][:7])
	serves(shas[0])
	w.exec("choiros-prod", "! readlink /proc/$(systemctl show -p MainPID --value container@sandbox-dev)/exe | grep -q sandbox-4")
	w.must(exitOK, "rollback", shas[2][:7])
	serves(shas[2])
	w.must(exitOK, "rollback")
	serves(shas[1])
	fourth := w.bump(lab.Bump{})
	w.must(exitOK, "start")
	serves(fourth)

	w.bump(lab.Bump{Broken: "health"})
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	w.must(exitPerson, "start").closes(t)
	w.config = proper
	w.must(exitOK, "rollback")
	serves(fourth)
	w.must(exitRefused, "start").mentions(t, "was rolled back")
	w.must(exitOK, "rollback")
	serves(shas[1])
	w.must(exitOK, "status")
}
