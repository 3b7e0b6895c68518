package main

import (
	"encoding/json"
	"strings"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/remote/lab"
)

// TestAlreadyLive: a release that is live and healthy is left alone, and nothing is
// held, recorded or changed; one that
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

	unchanged, recorded := w.unchanged(), len(w.events())
	ledger := w.exec("choiros-prod", "cat /var/lib/rel/choiros/ledger.jsonl")
	if o := w.must(exitOK, "start"); !strings.HasPrefix(o.out, first+" already live and healthy on choiros-prod: ") {
		t.Errorf("stdout says %q", o.out)
	}
	var said journal.Event
	if o := w.must(exitOK, "start", "--progress=json"); json.Unmarshal([]byte(o.out), &said) != nil ||
		said.Promotion != first || said.State != machine.Healthy || said.Seq != 0 {
		t.Errorf("stdout says %q", o.out)
	}
	unchanged()
	if now := len(w.events()); now != recorded {
		t.Errorf("the journal has %d events, before %d", now, recorded)
	}
	if now := w.exec("choiros-prod", "cat /var/lib/rel/choiros/ledger.jsonl"); now != ledger {
		t.Errorf("the ledger is\n%s\nbefore\n%s", now, ledger)
	}
	w.must(exitOK, "status")
	w.notLive(first)
	runs := w.runs("choiros-prod")

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

// notLive makes one thing after the other different from what a start would leave. Each
// is mended by a promotion, which finds the release live and restarts nothing, or
// refuses: a start that says there is nothing to do has nothing to do.
func (w *world) notLive(live string) {
	w.t.Helper()
	proper := w.config
	for _, c := range []struct{ host, spoil, mended string }{
		{"choiros-prod", "rm /tmp/choiros-release.env", "test -e /tmp/choiros-release.env"},
		{w.BuildHost(), "echo RELEASE_SHA=x >/tmp/choiros-release.env", "! grep -q SHA=x /tmp/choiros-release.env"},
		{"choiros-prod", "rm -r /nix/var/nix/gcroots/rel", "ls /nix/var/nix/gcroots/rel/choiros/*/hypervisor"},
		{"choiros-prod", "git -C /opt/choiros/workspace reset -q --hard HEAD~1", "test $(git -C /opt/choiros/workspace rev-parse HEAD) = $(git -C /opt/choiros/workspace rev-parse origin/main)"},
	} {
		w.exec(c.host, c.spoil)
		w.must(exitOK, "start")
		if now := w.newest(); now == live {
			w.t.Errorf("after %q nothing was done", c.spoil)
		} else {
			live = now
		}
		w.exec(c.host, c.mended)
		if o := w.must(exitOK, "start"); !strings.HasPrefix(o.out, live+" already live") || w.newest() != live {
			w.t.Errorf("mended, it says %q", o.out)
		}
	}
	// Another plan is another release, until that is built and found to be the same.
	w.rewrite("./sandbox#sandbox", "././sandbox#sandbox")
	w.must(exitOK, "start")
	if w.newest() == live {
		w.t.Error("a release that was asked for by another name was taken for live")
	}
	w.config = proper
	w.must(exitOK, "start")
	w.exec("choiros-prod", "touch /opt/choiros/workspace/mine")
	w.must(exitRefused, "start").mentions(w.t, "?? mine")
	w.exec("choiros-prod", "rm /opt/choiros/workspace/mine")
	w.must(exitOK, "abort", w.newest())
	w.must(exitOK, "start")
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

// TestStraight: what a target is not as it should be is put right by what status and doctor say,
// as it is typed, and by that alone: the tip of the branch does not go live with it.
func TestStraight(t *testing.T) {
	w := newWorld(t, 1)
	live := w.bump(lab.Bump{})
	w.must(exitOK, "start")
	w.bump(lab.Bump{})
	w.exec("choiros-prod", "systemctl stop hypervisor; ln -sfn /bin/true /opt/choiros/bin/desktop")
	o := w.must(exitRefused, "status")
	o.mentions(t, "drift: /opt/choiros/bin/desktop points at /bin/true", "drift: unit hypervisor is inactive")
	_, cure, _ := strings.Cut(o.out, "next: rel ")
	cure, _, _ = strings.Cut(cure, ", which")
	w.must(exitRefused, "doctor").mentions(t, ", then rel "+cure+"\n")
	w.must(exitOK, strings.Fields(cure)...).mentions(t, "-"+live[:7]+" healthy on choiros-prod")
	w.must(exitOK, "status")
}
