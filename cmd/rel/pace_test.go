package main

import (
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestPace: one target takes much longer to apply than the other's confirm
// window is. The window is for an operator who vanished, not for one who waits.
func TestPace(t *testing.T) {
	w := newWorld(t, 2)
	w.exec("choiros-prod-2", `mkdir -p /etc/systemd/system/hypervisor.service.d
		printf '[Service]\nExecStartPre=/bin/sleep 12\n' > /etc/systemd/system/hypervisor.service.d/slow.conf; systemctl daemon-reload`)
	w.rewrite(`confirm      = "60s"`, `confirm = "5s"`)
	w.must(exitOK, "start").mentions(t, "may take 22s, and the targets go back after 5s")
	if gone := w.exec("choiros-prod", "cat "+folder("*")+"/reverted 2>/dev/null; true"); gone != "" {
		t.Errorf("the quick one went back: %s", gone)
	}
	w.must(exitOK, "status")
}

// TestFirstRelease: what never had a previous release goes back to nothing: no
// links, and the units stopped, as they were.
func TestFirstRelease(t *testing.T) {
	w := newWorld(t, 1)
	before := w.runs("choiros-prod")
	w.bump(lab.Bump{Broken: "crash"})
	o := w.must(exitReverted, "start")
	o.closes(t)
	o.mentions(t, "hypervisor did not stay up", "targets: choiros-prod runs no release")
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.bump(lab.Bump{Broken: "health"})
	w.rewrite(`deadline = "20s"`, `deadline = "1s"`)
	w.must(exitReverted, "start").closes(t)
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.config = w.ConfigPath()
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.must(exitRefused, "rollback").mentions(t, "there is no healthy release before")
}
