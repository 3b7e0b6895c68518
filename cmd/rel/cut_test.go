package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// built is rel in a folder of its own, which TestMain removes. It has the points
// at which a test can stop it (machine/point_fault.go); without REL_FAULT_DIR
// they do nothing.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rel-program-")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-tags", "fault", "-o", dir, ".").CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

var wasBuilt atomic.Bool

// program builds rel, once, for the tests that have to kill it.
func program(t *testing.T) string {
	t.Helper()
	wasBuilt.Store(true)
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "rel")
}

// startAndSignal runs `rel start` and sends it a signal at the first event that
// fits; it returns how rel ended and what it said.
func (w *world) startAndSignal(rel string, sig syscall.Signal, at func(journal.Event) bool) (code int, said string) {
	w.t.Helper()
	return w.signal(rel, "start", sig, at)
}

// interruptAt is Ctrl-C at that event.
func (w *world) interruptAt(rel, command string, at func(journal.Event) bool) {
	w.t.Helper()
	if code, said := w.signal(rel, command, syscall.SIGINT, at); code != exitInterrupted {
		w.t.Fatalf("Ctrl-C ended rel %s with %d: %s", command, code, said)
	}
}

func (w *world) signal(rel, command string, sig syscall.Signal, at func(journal.Event) bool) (code int, said string) {
	w.t.Helper()
	return w.process(rel, command, at, func(cmd *exec.Cmd) { _ = cmd.Process.Signal(sig) })
}

// process runs rel in a process of its own and calls fn at the first event that
// fits.
func (w *world) process(rel, command string, at func(journal.Event) bool, fn func(*exec.Cmd)) (code int, said string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), rel, command, "--progress=json",
		"--config", w.config, "--journal", w.journal, "--ssh-config", w.SSHConfigPath())
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	met := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var ev journal.Event
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			w.t.Fatalf("%s: %v", lines.Text(), err)
		}
		if !met && at(ev) {
			met = true
			fn(cmd)
		}
	}
	_ = cmd.Wait()
	if !met {
		w.t.Fatalf("the moment never came:\n%s", talk.String())
	}
	w.t.Logf("rel %s, a process: exit %d\n%s", command, cmd.ProcessState.ExitCode(), talk.String())
	return cmd.ProcessState.ExitCode(), talk.String()
}

func begins(phase string) func(journal.Event) bool {
	return func(ev journal.Event) bool { return ev.Kind == journal.Intent && ev.Phase == phase }
}

// TestCut cuts rel off, by kill -9 as a dead laptop does and by Ctrl-C, and
// goes on. What was done is not done again, and an apply runs to its end on
// the target without us.
func TestCut(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")

	second := w.bump(lab.Bump{})
	code, said := w.startAndSignal(rel, syscall.SIGINT, begins("build"))
	if code != exitInterrupted || !strings.Contains(said, "rel resume "+w.newest()) {
		t.Errorf("Ctrl-C ended it with %d: %s", code, said)
	}
	w.must(exitOK, "resume")
	if got := steps(w.events(w.newest())); got != "sync-1 verify-1 build-1 build-2 copy-1 apply-1 health-1" {
		t.Errorf("the promotion took the steps %s", got)
	}

	third := w.bump(lab.Bump{})
	w.startAndSignal(rel, syscall.SIGKILL, begins("apply"))
	w.must(exitOK, "log").mentions(t, " cut in apply")
	w.must(exitOK, "resume")
	if got := steps(w.events(w.newest())); got != "sync-1 verify-1 build-1 copy-1 apply-1 apply-2 health-1" {
		t.Errorf("the promotion took the steps %s", got)
	}
	if n := w.exec("choiros-prod", "grep -c 'restarting hypervisor' /var/lib/rel/choiros/releases/"+w.newest()+"/apply.log"); n != "1" {
		t.Errorf("the services were restarted %s times", n)
	}
	if _, body := w.fetch("choiros-prod", "https://os.choir.chat/login"); !strings.Contains(body, third) {
		t.Errorf("login answers %q, want %s", body, third)
	}
	w.must(exitOK, "status")
	if !strings.Contains(w.exec("choiros-prod", "cat /var/lib/rel/choiros/ledger.jsonl"), second) {
		t.Error("the target's ledger does not know the second release")
	}
}

// TestUnconfirmed: nobody confirms, and the target goes back by itself. The
// next resume sees it, and makes the release live after all.
func TestUnconfirmed(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{})
	w.rewrite(`confirm      = "60s"`, `confirm = "6s"`)
	w.startAndSignal(rel, syscall.SIGKILL, func(ev journal.Event) bool { return ev.State == "applied" })
	w.await("choiros-prod", "test -e /var/lib/rel/choiros/releases/"+w.newest()+"/reverted")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != before {
		t.Errorf("the target went to %s, want %s", now, before)
	}
	w.must(exitOK, "resume").mentions(t, "copied, not applied: choiros-prod went back: not confirmed within 6s")
	w.must(exitOK, "status")

	// As long as one waits to be confirmed, no other comes in between.
	w.config = w.ConfigPath()
	w.bump(lab.Bump{})
	w.startAndSignal(rel, syscall.SIGKILL, func(ev journal.Event) bool { return ev.State == "applied" })
	waiting := w.newest()
	status := w.must(exitOK, "status")
	status.mentions(t, "choiros-prod  "+waiting+"  ", "applied, and waits to be confirmed until ", "confirmed before it: ")
	if strings.Contains(status.out, "drift: ") || strings.Contains(status.out, waiting+" is not confirmed") {
		t.Errorf("status says\n%s", status.out)
	}
	w.bump(lab.Bump{})
	o := w.must(exitRefused, "start")
	o.closes(t)
	o.mentions(t, waiting+" is not confirmed", "rel resume "+waiting)
	w.must(exitOK, "resume", waiting)
}

// TestKilledJob: the apply dies on the target after the links were switched.
// Going on settles it, and so does giving up.
func TestKilledJob(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{})
	// A unit that takes long to stop holds the apply where the links are switched.
	w.exec("choiros-prod", `mkdir -p /etc/systemd/system/hypervisor.service.d
		printf '[Service]\nExecStopPost=/bin/sleep 5\n' > /etc/systemd/system/hypervisor.service.d/slow.conf; systemctl daemon-reload`)
	kill := make(chan struct{})
	go func() {
		defer close(kill)
		w.await("choiros-prod", `u=$(systemctl list-units --plain --no-legend 'rel-apply-*.service' | cut -d' ' -f1)
			[ -n "$u" ] && readlink /opt/choiros/bin/hypervisor | grep -q hypervisor-2 && systemctl kill -s KILL "$u"`)
	}()
	o := w.must(exitPerson, "start")
	<-kill
	o.closes(t)
	o.mentions(t, "ended without a result")
	w.exec("choiros-prod", "rm /etc/systemd/system/hypervisor.service.d/slow.conf; systemctl daemon-reload")
	w.must(exitOK, "resume")
	w.must(exitOK, "status")

	// The same again, given up: the release before is back.
	live := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	if live == before {
		t.Fatal("the resume changed nothing")
	}
	w.bump(lab.Bump{})
	w.rewrite(`deadline = "20s"`, `deadline = "2s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	w.exec("choiros-prod", "systemctl stop caddy")
	w.must(exitPerson, "start")
	if armed := w.exec("choiros-prod", "systemctl list-timers --no-legend 'rel-*'"); armed != "" {
		t.Errorf("a release that is kept may still go back by itself: %s", armed)
	}
	w.must(exitOK, "abort", w.newest()).mentions(t, "reverted")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != live {
		t.Errorf("the target was left on %s, want %s", now, live)
	}
}

// TestStuck: what cannot be put back is said, with a status of its own, until it
// is mended and put back indeed.
func TestStuck(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{Broken: "health"})
	w.rewrite(`deadline = "20s"`, `deadline = "4s"`)
	hand := make(chan struct{})
	go func() { // somebody moves one of the links while the checks run
		defer close(hand)
		w.await("choiros-prod", `ls /var/lib/rel/choiros/releases/*/armed >/dev/null && ln -sfn /bin/true /opt/choiros/bin/desktop`)
	}()
	o := w.must(exitPerson, "start")
	<-hand
	o.closes(t)
	o.mentions(t, "not as before: /opt/choiros/bin/desktop", "could not be put back whole")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor; readlink /proc/$(systemctl show -p MainPID --value hypervisor)/exe"); now != before+"\n"+before {
		t.Errorf("the target has and runs\n%s\nwant %s", now, before)
	}
	w.must(exitPerson, "abort", w.newest())
	w.exec("choiros-prod", `ln -sfn "$(sed -n 's/^link.\/opt\/choiros\/bin\/desktop.//p' /var/lib/rel/choiros/releases/`+w.newest()+`/previous)" /opt/choiros/bin/desktop
		systemctl stop hypervisor`)
	w.must(exitOK, "abort", w.newest()).mentions(t, "reverted")
	w.must(exitOK, "status")
}

// endWindow lets the confirm window of a target end as soon as it begins, and again
// when it is put off.
func (w *world) endWindow(host string) {
	_, _ = w.Exec(w.t.Context(), host, `for i in $(seq 600); do
		for a in /var/lib/rel/choiros/releases/*/armed; do
			[ -e "$a" ] && ! grep -q ' 1$' "$a" || continue
			d=$(dirname "$a")
			echo "$(cat /proc/sys/kernel/random/boot_id) 1" >"$a"
			setsid /bin/sh "$d/apply.sh" expire choiros "$(basename "$d")" </dev/null >/dev/null 2>&1 &
		done
		ls /var/lib/rel/choiros/releases/*/reverted >/dev/null 2>&1 && exit 0
		sleep 0.1
	done`)
}

// TestOneTargetGoesBack: while the checks run, one target's window ends. None
// is confirmed then, and all are on the release before.
func TestOneTargetGoesBack(t *testing.T) {
	w := newWorld(t, 2)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{})
	w.rewrite(`body = "${sha}"`, "", `successes = 2`, `successes = 20`)
	early := make(chan struct{})
	go func() {
		defer close(early)
		w.endWindow("choiros-prod-2")
	}()
	o := w.must(exitReverted, "start")
	<-early
	o.mentions(t, "choiros-prod-2 went back")
	for _, target := range w.Targets() {
		if now := w.exec(target, "readlink /opt/choiros/bin/hypervisor"); now != before {
			t.Errorf("%s was left on %s, want %s", target, now, before)
		}
	}
	w.must(exitOK, "resume")
	w.must(exitOK, "status")
}

// TestGoesBackWhileChecked: what answers the checks then is the release before. That
// is said, and not that the new one is unhealthy, or is kept.
func TestGoesBackWhileChecked(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	before := w.hypervisor("choiros-prod")
	w.bump(lab.Bump{})
	w.rewrite(`successes = 2`, `successes = 40`, `deadline = "20s"`, `deadline = "10s"`, `on_unhealthy = "revert"`, `on_unhealthy = "keep"`)
	early := make(chan struct{})
	go func() {
		defer close(early)
		w.endWindow("choiros-prod")
	}()
	o := w.must(exitReverted, "start")
	<-early
	o.closes(t)
	o.mentions(t, "cannot be confirmed: choiros-prod went back: not confirmed within 60s")
	if now := w.hypervisor("choiros-prod"); now != before {
		t.Errorf("the target runs\n%s\nbefore\n%s", now, before)
	}
}

// TestAbortWithOneTargetDown: the others are put back all the same, and the
// promotion stays open until the last one is.
func TestAbortWithOneTargetDown(t *testing.T) {
	w := newWorld(t, 2)
	rel := program(t)
	w.must(exitOK, "start")
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor")
	w.bump(lab.Bump{})
	w.rewrite(`confirm      = "60s"`, `confirm = "0s"`)
	w.startAndSignal(rel, syscall.SIGKILL, func(ev journal.Event) bool { return ev.State == "applied" })
	if err := w.Stop(t.Context(), "choiros-prod-2"); err != nil {
		t.Fatal(err)
	}
	w.must(exitPerson, "abort", w.newest()).mentions(t, "choiros-prod-2: the previous release is not back")
	if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/hypervisor"); now != before {
		t.Errorf("the target was left on %s, want %s", now, before)
	}
	if err := w.Start(t.Context(), "choiros-prod-2"); err != nil {
		t.Fatal(err)
	}
	w.must(exitOK, "abort", w.newest()).mentions(t, "reverted")
	w.must(exitOK, "status")
}

// await waits until a script succeeds on a host, for half a minute.
func (w *world) await(host, script string) {
	deadline := time.Now().Add(90 * time.Second)
	for {
		_, err := w.Exec(w.t.Context(), host, script)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Errorf("%s: this never came true: %s", host, script)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// TestNoJournal: reading one that is not there makes none; one that is not a
// journal, or is gone, is never taken for an empty history.
func TestNoJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "journal.db")
	rel := func(args ...string) (int, string) {
		var out, said syncBuffer
		code := run(t.Context(), append(args, "--journal", path), stdio{out: &out, err: &said})
		return code, out.String() + said.String()
	}
	if code, said := rel("log"); code != exitOK || !strings.Contains(said, "no promotions yet") {
		t.Errorf("exit %d, %s", code, said)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("reading made a journal")
	}
	j := journal.New(path)
	if _, err := j.Append(journal.Event{Promotion: "20261122-183229-dc8876b", Kind: journal.Note}); err != nil {
		t.Fatal(err)
	}
	if err := j.Backup(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func() error
	}{
		{"truncated", func() error { return os.Truncate(path, 5000) }},
		{"empty", func() error { return os.Truncate(path, 0) }},
		{"foreign", func() error { return os.WriteFile(path, []byte(strings.Repeat("not a journal\n", 9999)), 0o600) }},
		{"gone", func() error { return os.Remove(path) }},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		code, said := rel("log")
		if code != exitDamaged || !strings.Contains(said, "cp "+filepath.Join(dir, "state", "backups")) {
			t.Errorf("%s: exit %d, %s", c.name, code, said)
		}
	}
}

// TestBusy: a second rel on this machine is told who is at work.
func TestBusy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state", "journal.db")
	j := journal.New(path)
	j.Operator.Name = "ana@mbp"
	name, release, err := j.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	name("20261122-183229-dc8876b")
	if err := os.WriteFile(filepath.Join(dir, "rel.toml"), []byte(config.Example), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"start"}, {"resume"}, {"rollback"}, {"abort", "x"}} {
		var out, said syncBuffer
		code := run(t.Context(), append(command, "--journal", path, "--config", filepath.Join(dir, "rel.toml")), stdio{out: &out, err: &said})
		if code != exitHeld || !strings.Contains(said.String(), "ana@mbp") || !strings.Contains(said.String(), "20261122-183229-dc8876b") {
			t.Errorf("rel %v: exit %d, %s", command, code, said.String())
		}
	}
	// Reading is nobody's business.
	var out, said syncBuffer
	if code := run(t.Context(), []string{"log", "--journal", path}, stdio{out: &out, err: &said}); code != exitOK {
		t.Errorf("rel log: exit %d, %s", code, said.String())
	}
}
