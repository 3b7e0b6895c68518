package main

import (
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestAlreadyLive: a release that is live and healthy is left alone; one that
// is live and not as it should be is restarted; and where the second of two
// promotions of the same release fails, that release stays live, with all that
// it consists of. deploy-rs goes back past it there.
func TestAlreadyLive(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	older := w.runs("choiros-prod")
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	first := w.newest()
	runs := w.runs("choiros-prod")

	w.must(exitOK, "start").mentions(t, "already live and healthy on choiros-prod", "already live; nothing was restarted")
	if now := w.runs("choiros-prod"); now != runs {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, runs)
	}
	w.must(exitOK, "log", w.newest()).mentions(t, "already live; nothing was restarted", "confirmed")
	w.must(exitOK, "status")

	w.must(exitOK, "start", "--force").mentions(t, " healthy on choiros-prod")
	if now := w.runs("choiros-prod"); now == runs {
		t.Error("--force restarted nothing")
	}
	w.exec("choiros-prod", "systemctl stop hypervisor")
	w.must(exitRefused, "status").mentions(t, "drift: unit hypervisor is inactive")
	if o := w.must(exitOK, "start"); strings.Contains(o.out, "already live") {
		t.Error("a release that does not run was taken for live")
	}

	// The second promotion of the same release cannot be confirmed. Its target
	// goes back to what was before it: the same release.
	w.rewrite(`deadline = "20s"`, `deadline = "2s"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	o := w.must(exitReverted, "start")
	o.closes(t)
	o.mentions(t, "is live, but not as it should be", "targets: choiros-prod runs ")
	w.exec("choiros-prod", "systemctl start caddy")
	w.must(exitOK, "status")
	w.must(exitOK, "abort", w.newest())
	w.exec("choiros-prod", "nix-collect-garbage -d >/dev/null 2>&1; for l in /opt/choiros/bin/*; do test -x \"$l\" || exit 1; done")
	if links := w.exec("choiros-prod", "readlink /opt/choiros/bin/*"); !strings.Contains(links, "hypervisor-2") {
		t.Errorf("the links lead to %s", links)
	}
	w.must(exitOK, "start").mentions(t, "already live and healthy")

	// The way back leads past all promotions of that release.
	w.must(exitOK, "rollback").mentions(t, "healthy on choiros-prod")
	if now := w.runs("choiros-prod"); strings.Fields(now)[1] != strings.Fields(older)[1] {
		t.Errorf("the target runs\n%s\nnot\n%s\n(%s)", now, older, first)
	}
}

// TestAlreadyLiveOnOne: a target that joins gets the release; the one that runs
// it is left alone.
func TestAlreadyLiveOnOne(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start", "--prod", "choiros-prod")
	runs := w.runs("choiros-prod")
	w.must(exitOK, "start").mentions(t, "healthy on choiros-prod, choiros-prod-2")
	if now := w.runs("choiros-prod"); now != runs {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, runs)
	}
	w.must(exitOK, "status")
	// If the one that joined fails, the other is left alone all the same.
	w.exec("choiros-prod-2", "systemctl stop hypervisor; chmod -x /usr/bin/caddy; systemctl stop caddy")
	w.rewrite(`deadline = "20s"`, `deadline = "2s"`)
	w.must(exitReverted, "start").closes(t)
	if now := w.runs("choiros-prod"); now != runs {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, runs)
	}
}
