package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/remote/lab"
)

// elsewhere is the same world for another operator, who has no journal yet.
func (w *world) elsewhere() *world {
	other := *w
	other.journal = filepath.Join(w.t.TempDir(), "other", "journal.db")
	return &other
}

// page is what the target's login page says, from outside.
func (w *world) page() string {
	w.t.Helper()
	_, body := w.fetch("choiros-prod", "https://os.choir.chat/login")
	return body
}

// TestRollbackFromElsewhere: what is live, and what can be, is for the target to
// say. An operator with an empty journal can go back; the first one's journal is
// no guide then, and the mark on the rolled back commit is there for all.
func TestRollbackFromElsewhere(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	first := w.newest()
	second := w.bump(lab.Bump{})
	w.must(exitOK, "start")
	third := w.bump(lab.Bump{})
	w.must(exitOK, "start")
	if err := w.Stop(t.Context(), w.BuildHost()); err != nil {
		t.Fatal(err)
	}
	other := w.elsewhere()
	other.must(exitOK, "status").mentions(t, "way back: ", second[:7]+"  usable")
	other.must(exitOK, "rollback", "-m", "bad news").mentions(t, "healthy on choiros-prod")
	if body := w.page(); !strings.Contains(body, second) {
		t.Errorf("login answers %q, want %s", body, second)
	}
	other.must(exitOK, "status")
	w.must(exitOK, "status").mentions(t, "promoted from elsewhere")

	// The first operator's journal has the third for live. The next one before
	// what is live indeed is the first.
	w.must(exitOK, "rollback")
	if body := w.page(); strings.Contains(body, second) || strings.Contains(body, third) {
		t.Errorf("login answers %q", body)
	}
	o := other.must(exitRefused, "rollback")
	o.closes(t)
	o.mentions(t, "there is no healthy release before the live one", "targets: choiros-prod runs ")

	// A rollback of a rollback is one to a release by its name.
	w.must(exitOK, "rollback", third[:7])
	if body := w.page(); !strings.Contains(body, third) {
		t.Errorf("login answers %q, want %s", body, third)
	}
	w.must(exitOK, "rollback", first)
	if err := w.Start(t.Context(), w.BuildHost()); err != nil {
		t.Fatal(err)
	}
	for _, operator := range []*world{w, w.elsewhere()} {
		unchanged := w.unchanged()
		o := operator.must(exitRefused, "start")
		o.mentions(t, "commit "+third[:7]+" was rolled back", "--again -m WHY")
		unchanged()
	}
	w.must(exitUsage, "start", "--again").mentions(t, "-m WHY")
	w.must(exitOK, "start", "--again", "-m", "it was not the release")
	w.must(exitOK, "start").mentions(t, "already live")
}

// TestCollected: what was collected on the target is copied again; where the
// build host cannot give it either, the nearest that can be had is named, and
// nothing is touched.
func TestCollected(t *testing.T) {
	w := newWorld(t, 1)
	w.rewrite(`keep         = 5`, `keep = 1`)
	var ids, shas []string
	for range 4 {
		shas = append(shas, w.bump(lab.Bump{}))
		w.must(exitOK, "start")
		ids = append(ids, w.newest())
	}
	// What is live and what was before it are never let go; the others are.
	collect := "nix-collect-garbage -d >/dev/null 2>&1"
	w.exec("choiros-prod", collect)
	var status struct{ Targets []targetStatus }
	if err := json.Unmarshal([]byte(w.must(exitOK, "status", "--json").out), &status); err != nil {
		t.Fatal(err)
	}
	usable := map[string]bool{}
	for _, r := range status.Targets[0].Back {
		usable[r.ID] = r.Usable
	}
	if len(usable) != 3 || !usable[ids[2]] || usable[ids[1]] || usable[ids[0]] {
		t.Errorf("the ways back are %v, of %v", usable, ids)
	}
	// The build host still has it.
	w.must(exitOK, "rollback", ids[0])
	if body := w.page(); !strings.Contains(body, shas[0]) {
		t.Errorf("login answers %q, want %s", body, shas[0])
	}
	w.must(exitOK, "rollback", ids[3])
	w.exec("choiros-prod", collect)
	if err := w.Stop(t.Context(), w.BuildHost()); err != nil {
		t.Fatal(err)
	}
	before := w.runs("choiros-prod")
	o := w.must(exitRefused, "rollback", ids[1])
	o.closes(t)
	o.mentions(t, "release "+ids[1]+" is no longer all in the store", "rel rollback "+ids[2])
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.must(exitOK, "rollback")
	if body := w.page(); !strings.Contains(body, shas[2]) {
		t.Errorf("login answers %q, want %s", body, shas[2])
	}
}

// TestAdopt takes over what an older script put there, and comes back to it.
func TestAdopt(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitRefused, "adopt").mentions(t, "there is nothing to adopt")
	w.must(exitOK, "start")
	// What the older script leaves: links, a manifest, no record, no pin.
	w.exec("choiros-prod", "rm -rf /var/lib/rel /nix/var/nix/gcroots/rel")
	w.bump(lab.Bump{})
	o := w.elsewhere().must(exitOK, "start")
	o.mentions(t, "rel has no record of", "rel adopt, before rel start")
	w.exec("choiros-prod", "rm -rf /var/lib/rel /nix/var/nix/gcroots/rel")
	operator := w.elsewhere()
	before := w.runs("choiros-prod")
	operator.must(exitOK, "adopt", "-m", "from the script").mentions(t, "adopted on choiros-prod")
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	operator.must(exitOK, "status").mentions(t, operator.newest())
	operator.must(exitOK, "log", "adopted").mentions(t, "from the script")
	operator.must(exitRefused, "adopt").mentions(t, "has a record already")
	operator.must(exitOK, "log").mentions(t, " adopt ", "from the script")
	w.elsewhere().must(exitUsage, "log", operator.newest()).mentions(t, "in the journal of whoever adopted it", "rel status ")
	adopted := w.page()
	w.exec("choiros-prod", "nix-collect-garbage -d >/dev/null 2>&1")

	// Start would have offered it.
	w.exec("choiros-prod", "rm -rf /var/lib/rel /nix/var/nix/gcroots/rel")
	operator = w.elsewhere()
	w.bump(lab.Bump{})
	operator.must(exitOK, "start", "--yes").mentions(t, "adopted on choiros-prod", "healthy on choiros-prod")
	operator.must(exitOK, "rollback")
	if now := w.page(); now != adopted {
		t.Errorf("login answers %q, before rel %q", now, adopted)
	}
	operator.must(exitRefused, "rollback")
	operator.must(exitOK, "status")
}

// TestDrift: links that someone repointed by hand are refused by name, before
// anything is changed; unless the operator says otherwise.
func TestDrift(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.exec("choiros-prod", "cp /bin/true /opt/choiros/mine && ln -sfn /opt/choiros/mine /opt/choiros/bin/desktop")
	w.bump(lab.Bump{})
	for _, command := range [][]string{{"start"}, {"rollback", w.newest()}} {
		unchanged := w.unchanged()
		o := w.must(exitRefused, command...)
		o.closes(t)
		o.mentions(t, "/opt/choiros/bin/desktop was repointed by hand", "--accept-drift")
		unchanged()
	}
	// A release that fails puts back what was there, whoever put it there.
	w.bump(lab.Bump{Broken: "crash"})
	w.must(exitReverted, "start", "--accept-drift")
	if at := w.exec("choiros-prod", "readlink /opt/choiros/bin/desktop"); at != "/opt/choiros/mine" {
		t.Errorf("the link leads to %s", at)
	}
	w.bump(lab.Bump{})
	w.must(exitOK, "start", "--accept-drift")
	w.must(exitOK, "status")
}

// TestGarbage: the collector runs on all hosts between any two phases, and
// nothing that is needed is lost.
func TestGarbage(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")
	live := w.page()
	w.bump(lab.Bump{})
	collect := func() {
		t.Helper()
		for _, host := range []string{w.BuildHost(), "choiros-prod"} {
			w.exec(host, "nix-collect-garbage -d >/dev/null 2>&1")
		}
	}
	w.interruptAt(rel, "start", begins("build"))
	for _, phase := range []string{"copy", "apply", "health"} {
		collect()
		w.interruptAt(rel, "resume", begins(phase))
	}
	collect()
	w.must(exitOK, "resume")
	// A phase that was cut runs again; one that was done, never: nothing it had
	// made was lost. An apply is finished, not cut.
	if got := steps(w.events(w.newest())); got != "sync-1 verify-1 build-1 build-2 copy-1 copy-2 apply-1 health-1 health-2" {
		t.Errorf("the promotion took the steps %s", got)
	}
	collect()
	w.must(exitOK, "rollback")
	if now := w.page(); now != live {
		t.Errorf("login answers %q, want %q", now, live)
	}
}
