package main

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/remote/lab"
)

// watched runs `rel start` in a process, and from an event on `rel watch` in another; fn is
// called once that shows something.
func (w *world) watched(rel string, at func(journal.Event) bool, fn func(*exec.Cmd)) (owner, watcher outcome) {
	w.t.Helper()
	var out, said syncBuffer
	var watching sync.WaitGroup
	owner.code, owner.err = w.process(rel, "start", at, func(cmd *exec.Cmd) {
		watching.Go(func() {
			beside := exec.CommandContext(w.t.Context(), rel, "watch", "--config", w.config, "--journal", w.journal)
			beside.Stdout, beside.Stderr = &out, &said
			_ = beside.Run()
			watcher.code = beside.ProcessState.ExitCode()
		})
		await(w.t, func() bool { return strings.Contains(said.String(), "promotion "+w.newest()+": ") })
		fn(cmd)
	})
	watching.Wait()
	watcher.out, watcher.err = out.String(), said.String()
	w.t.Logf("rel watch, a process: exit %d\n%s%s", watcher.code, watcher.out, watcher.err)
	return owner, watcher
}

// TestWatchHosts: rel watch beside a rel start while real hosts are promoted to: one that
// goes well, one that fails, and one whose owner is killed.
func TestWatchHosts(t *testing.T) {
	w := newWorld(t, 1)
	rel := program(t)
	_, watcher := w.watched(rel, begins("verify"), func(*exec.Cmd) {})
	if watcher.code != exitOK || !strings.Contains(watcher.out, w.newest()+" healthy on choiros-prod: ") {
		t.Errorf("it went well: exit %d, %s", watcher.code, watcher.out)
	}
	watcher.mentions(t, "✔ synced in ", "✔ healthy in ", "choiros-prod: confirmed")

	w.bump(lab.Bump{Broken: "crash"})
	owner, watcher := w.watched(rel, begins("build"), func(*exec.Cmd) {})
	if owner.code != exitReverted || watcher.code != owner.code {
		t.Errorf("it failed: exit %d, that of its owner %d", watcher.code, owner.code)
	}
	watcher.closes(t)
	// The owner's last words, but for what the hosts printed.
	for line := range strings.Lines(owner.err) {
		if name, _, _ := strings.Cut(line, ":"); strings.Contains(" rel targets next log ", " "+name+" ") && !strings.Contains(watcher.err, line) {
			t.Errorf("who watches is not told %q", line)
		}
	}
	if got := w.must(exitReverted, "watch", w.newest()); !strings.Contains(got.err, "rel: apply failed: ") {
		t.Errorf("of one that is over it says %s", got.err)
	}
	w.must(exitOK, "log", w.newest()).mentions(t, "ended with exit status 4: apply failed: ", "✖ apply failed after ", "before       choiros-prod ran ")
	w.must(exitOK, "log", w.newest(), "--output", "apply").mentions(t, "choiros-prod: ")

	w.bump(lab.Bump{})
	_, watcher = w.watched(rel, begins("build"), func(cmd *exec.Cmd) { _ = cmd.Process.Kill() })
	if watcher.code != exitInterrupted {
		t.Errorf("its owner was killed: exit %d", watcher.code)
	}
	watcher.mentions(t, "its rel is gone: promotion "+w.newest()+" is ", "rel resume "+w.newest())
	w.must(exitOK, "resume", w.newest())
}
