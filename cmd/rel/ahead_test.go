package main

import (
	"os/exec"
	"syscall"
	"testing"

	"choir.chat/rel/remote/lab"
)

// TestAhead: what is built goes to the targets while the rest is being built, and nothing
// of it is used before all is there.
func TestAhead(t *testing.T) {
	w := newWorld(t, 2)
	rel := program(t)
	w.exec(w.BuildHost(), "echo max-jobs = 4 >>/etc/nix/nix.conf")
	w.must(exitOK, "start")

	w.bump(lab.Bump{Broken: "late"})
	w.must(exitOK, "start").mentions(t, "while the rest was built")
	w.ahead()
	if is, want := steps(w.events(w.newest())), "sync-1 verify-1 build-1 copy-1 apply-1 health-1"; is != want {
		t.Errorf("it took the steps %s", is)
	}

	// Whoever is stopped then has changed nothing that runs.
	was := w.past()
	w.bump(lab.Bump{Broken: "late"})
	before := w.runs("choiros-prod")
	code, said := w.during(rel, begins("build"), func(cmd *exec.Cmd) {
		w.await("choiros-prod", "for root in /nix/var/nix/gcroots/rel/choiros/"+w.newest()+"/*; do [ -L $root ] && nix-store --check-validity $(readlink $root) && exit 0; done; exit 1")
		_ = cmd.Process.Signal(syscall.SIGINT)
	})
	if code != exitInterrupted {
		t.Fatalf("Ctrl-C ended it with %d: %s", code, said)
	}
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	if now := w.past(); now.State != "verified" || now.ID == was.ID {
		t.Errorf("the journal has %s %s", now.ID, now.State)
	}
	w.must(exitOK, "resume")
	w.must(exitOK, "log", "--verify")
}

// ahead wants something of the newest release to have gone ahead to each target, and no
// path to have been sent twice. On a slow machine all of it may have.
func (w *world) ahead() {
	w.t.Helper()
	past := w.past()
	for name, sent := range past.Facts.Copy.Targets {
		early := 0
		for _, a := range sent.Ahead {
			early += a.Paths
		}
		if early == 0 || early+sent.Paths > len(past.Facts.Build.Closure) {
			w.t.Errorf("%d paths went ahead to %s, and %d with the copy", early, name, sent.Paths)
		}
	}
}
