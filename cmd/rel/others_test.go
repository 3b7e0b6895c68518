package main

import (
	"strings"
	"syscall"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestWaitingRelease: another operator's promotion of the same commit, verified
// before the first was applied, comes while that one waits to be confirmed. It
// is refused on the target: its way back would be the release that waits.
func TestWaitingRelease(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.bump(lab.Bump{Broken: "health"})
	other := w.elsewhere()
	other.interruptAt(rel, "start", begins("copy"))
	w.startAndSignal(rel, syscall.SIGKILL, reaches("applied"))
	waits := w.newest()
	// Once the hold of the one who died has ended.
	o := other.must(exitRefused, "resume", "--wait", "1m")
	o.closes(t)
	o.mentions(t, "promotion "+waits+" is not confirmed yet")
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`)
	w.must(exitReverted, "resume")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.must(exitOK, "status")
}

// TestKeptAndRepointed: going on with a release that was kept, after somebody
// repointed one of its links: refused, and nothing is torn apart.
func TestKeptAndRepointed(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.must(exitPerson, "start")
	w.exec("choiros-prod", "systemctl start caddy; ln -sfn /bin/true /opt/choiros/bin/desktop")
	before := w.runs("choiros-prod")
	o := w.must(exitRefused, "resume")
	o.closes(t)
	o.mentions(t, "/opt/choiros/bin/desktop was changed since verify")
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
}

// TestOneRefuses: of two targets one refuses the confirmation. The other, which
// was confirmed by then, is as it was in every respect.
func TestOneRefuses(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start")
	first := w.newest()
	was := w.hypervisor("choiros-prod")
	manifest := w.exec("choiros-prod", "cat /tmp/choiros-release.env")
	w.bump(lab.Bump{})
	w.rewrite(`successes = 2`, `successes = 15`)
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		w.await("choiros-prod-2", "ls "+folder("*")+"/armed && ln -sfn releases/someone /var/lib/rel/choiros/live")
	}()
	// What someone else has for live there is not ours to take back.
	o := w.must(exitPerson, "start")
	<-moved
	o.closes(t)
	o.mentions(t, "choiros-prod-2: someone is live since verify", "left as it is: someone came after it")
	if now := w.hypervisor("choiros-prod"); now != was {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, was)
	}
	if now := w.exec("choiros-prod", "cat /tmp/choiros-release.env"); now != manifest {
		t.Errorf("the manifest is\n%s\nbefore\n%s", now, manifest)
	}
	if live := w.exec("choiros-prod", "readlink /var/lib/rel/choiros/live"); live != "releases/"+first {
		t.Errorf("live is %s, want %s", live, first)
	}
	w.exec("choiros-prod-2", "ln -sfn releases/"+first+" /var/lib/rel/choiros/live")
	w.must(exitRefused, "status")
	w.config = w.ConfigPath()
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitOK, "rollback")
	if now := w.hypervisor("choiros-prod"); !strings.HasPrefix(now, strings.Fields(was)[0]) {
		t.Errorf("the target runs\n%s\nwant\n%s", now, was)
	}
}

// TestCrashLoopBefore: a unit that was coming and going for ever is put back as
// that; it does not make a target stuck.
func TestCrashLoopBefore(t *testing.T) {
	w := newWorld(t, 1)
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/hypervisor.service.d
		printf '[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=15\n' >/etc/systemd/system/hypervisor.service.d/loop.conf
		systemctl daemon-reload; systemctl start --no-block hypervisor; sleep 1`)
	if state := w.exec("choiros-prod", "systemctl show -p ActiveState --value hypervisor"); state != "activating" {
		t.Fatalf("the unit is %s", state)
	}
	w.bump(lab.Bump{Broken: "crash"})
	w.must(exitReverted, "start").closes(t)
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitOK, "status")
}

// TestRollbackToOlderHost: a unit that the older release had is there no more.
// That is said, and does not keep anyone from going back.
func TestRollbackToOlderHost(t *testing.T) {
	w := newWorld(t, 1)
	w.exec("choiros-prod", "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/etc/systemd/system/oldjob.service; systemctl daemon-reload")
	proper := w.config
	w.rewrite(`"hypervisor"]`, `"hypervisor", "oldjob"]`)
	w.must(exitOK, "start")
	w.exec("choiros-prod", "systemctl stop oldjob; rm /etc/systemd/system/oldjob.service; systemctl daemon-reload")
	w.config = proper
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitOK, "rollback").mentions(t, "unit oldjob is there no more")
}

// TestManifestFolder: the folder of the manifest is missing on a target. That is
// said before anything is changed.
func TestManifestFolder(t *testing.T) {
	w := newWorld(t, 1)
	w.rewrite(`"/tmp/choiros-release.env"`, `"/srv/there/release.env"`)
	w.exec(w.BuildHost(), "mkdir -p /srv/there")
	o := w.must(exitRefused, "start")
	o.closes(t)
	o.mentions(t, "there is no folder /srv/there", "mkdir -p /srv/there")
	w.exec("choiros-prod", "mkdir -p /srv/there")
	w.must(exitOK, "resume")
	w.exec("choiros-prod", "grep -q RELEASE_SHA /srv/there/release.env")
}
