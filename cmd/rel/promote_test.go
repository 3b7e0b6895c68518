package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/remote/lab"
)

// TestPromote is the main job: a release goes live, then the next, and back.
func TestPromote(t *testing.T) {
	w := newWorld(t, 1)
	first, err := w.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := w.must(exitOK, "start", "-m", "the first one")
	if !strings.Contains(o.out, "healthy on choiros-prod") {
		t.Errorf("stdout says %q", o.out)
	}
	checkTransitions(t, w.events(), first)
	checkLinks(t, w)
	if status, body := w.fetch("choiros-prod", "https://os.choir.chat/login"); status != 200 || !strings.Contains(body, first) {
		t.Errorf("login answers %d %q", status, body)
	}
	checkManifest(t, w, first)

	second := w.bump(lab.Bump{})
	w.must(exitOK, "start")
	checkLinks(t, w)
	if _, body := w.fetch("choiros-prod", "https://os.choir.chat/login"); !strings.Contains(body, second) {
		t.Errorf("login answers %q, want %s", body, second)
	}
	w.must(exitOK, "status").mentions(t, second[:7], "hypervisor active")

	// The same target, reached through another host.
	jump := filepath.Join(t.TempDir(), "ssh_config")
	text, err := os.ReadFile(w.SSHConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(jump, append([]byte("Host choiros-prod\n    ProxyJump choiros-grind\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must(exitOK, "status", "--ssh-config", jump).mentions(t, second[:7])

	// The way back needs neither the build host nor the origin.
	for _, name := range []string{w.BuildHost(), lab.Origin} {
		if err := w.Stop(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	w.must(exitOK, "rollback", "-m", "second thoughts")
	checkLinks(t, w)
	if _, body := w.fetch("choiros-prod", "https://os.choir.chat/login"); !strings.Contains(body, first) {
		t.Errorf("login answers %q, want %s", body, first)
	}
	if got := steps(w.events(w.newest())); got != "verify-1 copy-1 apply-1 health-1" {
		t.Errorf("the rollback took the steps %s", got)
	}
	w.must(exitRefused, "rollback").mentions(t, "no healthy release before")
	w.must(exitOK, "log").mentions(t, "the first one", " rollback ", "second thoughts")
	w.must(exitOK, "log", w.newest()).mentions(t, "rollback from", "confirmed")
	w.must(exitOK, "log", "--verify").mentions(t, "all sound")

	// A link that someone moves is drift.
	w.exec("choiros-prod", "ln -sfn /bin/true /opt/choiros/bin/desktop")
	o = w.must(exitRefused, "status", "--json")
	var status struct{ Targets []targetStatus }
	if err := json.Unmarshal([]byte(o.out), &status); err != nil {
		t.Fatal(err)
	}
	if len(status.Targets) != 1 || len(status.Targets[0].Drift) != 1 || !strings.Contains(status.Targets[0].Drift[0], "/bin/true") {
		t.Errorf("status says %+v", status.Targets)
	}
}

// checkTransitions wants every state once and in order, each with the operator,
// the commit and a time.
func checkTransitions(t *testing.T, events []journal.Event, commit string) {
	t.Helper()
	var states []string
	var before time.Time
	for i, ev := range events {
		if ev.Seq != int64(i+1) || ev.At.Before(before) {
			t.Errorf("event %d has number %d and time %s", i, ev.Seq, ev.At)
		}
		before = ev.At
		if !strings.Contains(ev.Operator.Name, "@") || !strings.HasPrefix(ev.Operator.Key, "SHA256:") {
			t.Errorf("event %d is by %+v", ev.Seq, ev.Operator)
		}
		if ev.Kind == journal.Moved {
			states = append(states, ev.State)
		}
	}
	if got, want := strings.Join(states, " "), "synced verified built copied applied healthy"; got != want {
		t.Errorf("states are %s, want %s", got, want)
	}
	var start machine.Start
	if err := json.Unmarshal(events[0].Data, &start); err != nil {
		t.Fatal(err)
	}
	if start.Plan.Commit != commit || !strings.HasSuffix(events[0].Promotion, commit[:7]) {
		t.Errorf("the plan is for %s, the promotion is called %s, want %s", start.Plan.Commit, events[0].Promotion, commit)
	}
}

// checkLinks wants every link to lead to the path that the journal has for it.
func checkLinks(t *testing.T, w *world) {
	t.Helper()
	past, err := machine.Replay(w.events(w.newest()))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range past.Release().Outputs {
		if got := w.exec("choiros-prod", "readlink -f "+o.Link); got != o.Target() {
			t.Errorf("%s leads to %s, the journal has %s", o.Link, got, o.Target())
		}
	}
}

func checkManifest(t *testing.T, w *world, commit string) {
	t.Helper()
	here := w.exec(w.BuildHost(), "cat /tmp/choiros-release.env")
	there := w.exec("choiros-prod", "cat /tmp/choiros-release.env")
	if here != there || !strings.Contains(there, "RELEASE_SHA="+commit+"\n") ||
		!strings.Contains(there, "HYPERVISOR_BIN=/nix/store/") {
		t.Errorf("the manifest is\n%s\non the build host\n%s", there, here)
	}
}

// TestResume breaks what the release needs, mends it, and goes on.
func TestResume(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{})
	w.rewrite(`deadline = "20s"`, `deadline = "3s"`)
	w.exec("choiros-prod", "systemctl stop caddy")

	o := w.must(exitReverted, "start")
	o.closes(t)
	o.mentions(t, `check "login"`, "rel resume "+w.newest())
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != before {
		t.Errorf("the target was left on %s, want %s", now, before)
	}
	w.exec("choiros-prod", "systemctl start caddy")
	w.must(exitOK, "resume")
	if got := steps(w.events(w.newest())); got != "sync-1 verify-1 build-1 copy-1 apply-1 health-1 apply-2 health-2" {
		t.Errorf("the promotion took the steps %s", got)
	}
	w.must(exitRefused, "resume").mentions(t, "no promotion to go on with")
}

// TestResumeKept is the same where the operator keeps an unhealthy release:
// then only the checks run again.
func TestResumeKept(t *testing.T) {
	w := newWorld(t, 1)
	w.rewrite(`deadline = "20s"`, `deadline = "2s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.must(exitPerson, "start").closes(t)
	w.exec("choiros-prod", "systemctl start caddy")
	w.config = w.ConfigPath()
	w.must(exitOK, "resume", w.newest()[:8]).mentions(t, "has changed since", "on_unhealthy")
	if got := steps(w.events()); got != "sync-1 verify-1 build-1 copy-1 apply-1 health-1 health-2" {
		t.Errorf("the promotion took the steps %s", got)
	}
}

// TestBuildFails: the targets do not notice a build that fails.
func TestBuildFails(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.bump(lab.Bump{Broken: "build"})
	before := w.runs("choiros-prod")
	o := w.must(exitFailed, "start")
	o.closes(t)
	o.mentions(t, "build failed: choiros-grind: the build failed with status 1: ", "broken on purpose")
	// What stands a little above is not repeated; where nothing does, it is.
	repeated := func(o outcome) int {
		text := "\n" + o.err
		return strings.Count(text[strings.Index(text, "\nrel: "):], "compiling unit")
	}
	if got := repeated(o); got != 0 || strings.Count(o.err, "compiling unit") < 20 {
		t.Errorf("the failure repeats %d lines of the build's log", got)
	}
	if got := repeated(w.must(exitFailed, "resume", "--progress=quiet")); got < 20 {
		t.Errorf("with --progress=quiet it shows %d lines of the build's log", got)
	}
	if now := w.runs("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
	w.must(exitOK, "abort", w.newest(), "-m", "it was meant to fail").mentions(t, "aborted")
	w.must(exitRefused, "abort", w.newest()).mentions(t, "is over")
	// The next commit is fine, and the failed one is no way back.
	w.bump(lab.Bump{})
	w.must(exitOK, "start")
	// Nor is it the build's fault where what it made cannot be written down.
	w.bump(lab.Bump{})
	w.exec("choiros-prod", "mkdir -p /srv/there")
	w.must(exitFailed, "start", "--manifest", "/srv/there/x.env").mentions(t, "choiros-grind: the build failed with status 1: the manifest /srv/there/x.env cannot be written")
}

// TestCrash has a unit that dies right after its start: the target puts the
// previous release back by itself.
func TestCrash(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{Broken: "crash"})
	o := w.must(exitReverted, "start")
	o.closes(t)
	o.mentions(t, "hypervisor did not stay up")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != before {
		t.Errorf("the target was left on %s, want %s", now, before)
	}
	w.must(exitOK, "status")
}

// TestTwoTargets: the targets are one production. One that is unhealthy takes
// the other back with it.
func TestTwoTargets(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start").mentions(t, "choiros-prod, choiros-prod-2")
	before := map[string]string{}
	for _, target := range w.Targets() {
		before[target] = w.exec(target, "readlink /opt/choiros/bin/hypervisor")
	}
	w.bump(lab.Bump{})
	w.rewrite(`deadline = "20s"`, `deadline = "3s"`)
	w.exec("choiros-prod-2", "systemctl stop caddy")
	w.must(exitReverted, "start").closes(t)
	for _, target := range w.Targets() {
		if now := w.exec(target, "readlink /opt/choiros/bin/hypervisor"); now != before[target] {
			t.Errorf("%s was left on %s, want %s", target, now, before[target])
		}
	}
	w.exec("choiros-prod-2", "systemctl start caddy")
	w.must(exitOK, "resume")
	w.must(exitOK, "status")
}

// TestConfigInCheckout: rel.toml lies in a checkout, and is not the one of the
// commit that is promoted. Start says so, and goes by the file at hand.
func TestConfigInCheckout(t *testing.T) {
	w := newWorld(t, 1)
	work := filepath.Join(w.Dir, "work")
	text, err := os.ReadFile(w.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	w.config = filepath.Join(work, "rel.toml")
	mine := strings.ReplaceAll(string(text), `"ca.pem"`, `"`+w.CAPath()+`"`)
	if err := os.WriteFile(w.config, []byte(mine), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add", "rel.toml"}, {"commit", "-q", "-m", "how to promote"}, {"push", "-q", "origin", "main"}} {
		cmd := exec.Command("git", append([]string{"-C", work, "-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if o := w.must(exitOK, "start"); strings.Contains(o.err, "is not the one of") {
		t.Error("the same file was taken for another")
	}
	if err := os.WriteFile(w.config, []byte(mine+"\n# not committed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.must(exitOK, "start", "--force")
	said := strings.Index(o.err, "note: rel.toml in "+work+" is not the one of")
	if opened := strings.Index(o.err, "promotion 2"); said < 0 || said > opened {
		t.Errorf("nothing was said of it before the promotion began:\n%s", o.err)
	}
}

// TestMovedCheckout: somebody moves a checkout between two attempts. Verify
// wants the same commit everywhere, and names the host that is elsewhere.
func TestMovedCheckout(t *testing.T) {
	w := newWorld(t, 1)
	w.bump(lab.Bump{})
	w.exec(w.BuildHost(), "mv /usr/bin/nix /usr/bin/nix.away")
	w.must(exitRefused, "start").mentions(t, "nix does not work")
	w.exec(w.BuildHost(), "mv /usr/bin/nix.away /usr/bin/nix")
	w.exec("choiros-prod", "git -C /opt/choiros/workspace reset -q --hard HEAD~1")
	unchanged := w.unchanged()
	o := w.must(exitRefused, "resume")
	o.closes(t)
	o.mentions(t, "choiros-prod: /opt/choiros/workspace is at ", "not at the commit of this promotion")
	unchanged()
	w.exec("choiros-prod", "git -C /opt/choiros/workspace merge -q --ff-only origin/main")
	w.must(exitOK, "resume")
	if got := steps(w.events()); got != "sync-1 verify-1 verify-2 verify-3 build-1 copy-1 apply-1 health-1" {
		t.Errorf("the promotion took the steps %s", got)
	}
}
