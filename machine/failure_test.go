package machine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// A phase that fails stops the promotion where it was; a resume begins with
// that phase, as another attempt, and repeats no finished one.
func TestFailureIsResumed(t *testing.T) {
	names := []string{"sync", "verify", "build", "copy", "apply", "health"}
	states := []string{New, "synced", "verified", "built", "copied", "applied"}
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			failure := errors.New("no route to host")
			w.run[name] = failOnce(failure)
			m := w.open(Forward)
			err := m.Run(context.Background())
			stopped := phaseError(t, err)
			if stopped.Phase != name || stopped.Attempt != 1 || stopped.Interrupted || !errors.Is(err, failure) {
				t.Errorf("got %+v", stopped)
			}
			if want := name + ": no route to host"; err.Error() != want {
				t.Errorf("the error reads %q, want %q", err, want)
			}
			w.inState(m, states[i])
			// What the phases before have reached is looked at by a resume; only
			// a release that fails its checks may have gone back already.
			if looked := len(w.holds) > 0; looked != (name == "health") {
				t.Errorf("looked at %v", w.holds)
			}
			equal(t, "recorded last", last(w.lines(), 2), []string{"intent " + name + "#1", "failed " + name + "#1: no route to host"})
			past := w.replay()
			if past.Stopped == nil || past.Stopped.Phase != name || past.Unsettled != nil || past.Ended() {
				t.Errorf("stopped by %+v, unsettled %+v", past.Stopped, past.Unsettled)
			}

			w.runs = nil
			m = w.resume()
			w.finish(m)
			want := []string{name + "#2"}
			for _, later := range names[i+1:] {
				want = append(want, later+"#1")
			}
			w.ran(want...)
			if past := w.replay(); past.Stopped != nil || past.Attempts(name) != 2 {
				t.Errorf("at the end, stopped by %+v, %d attempts", past.Stopped, past.Attempts(name))
			}
			if resumed := w.journal.events[indexOf(w, journal.Resumed)]; resumed.State != states[i] {
				t.Errorf("resumed in state %s, want %s", resumed.State, states[i])
			}
		})
	}
}

func indexOf(w *world, kind journal.Kind) int {
	for i, ev := range w.journal.events {
		if ev.Kind == kind {
			return i
		}
	}
	w.t.Fatalf("there is no %s event", kind)
	return -1
}

// Attempts are numbered across resumes and never used twice.
func TestFailureAfterFailure(t *testing.T) {
	w := newWorld(t)
	w.run["build"] = func(context.Context, *phases.Promotion) error { return errDisk }
	m := w.open(Forward)
	for attempt := 1; attempt <= 4; attempt++ {
		if got := phaseError(t, m.Run(context.Background())).Attempt; got != attempt {
			t.Errorf("attempt %d is numbered %d", attempt, got)
		}
		m = w.resume()
	}
	w.ran("sync#1", "verify#1", "build#1", "build#2", "build#3", "build#4")
}

// What a failed attempt found is kept too: an outcome per target says what
// became of each.
func TestFailureKeepsItsFacts(t *testing.T) {
	w := newWorld(t)
	w.run["apply"] = func(_ context.Context, p *phases.Promotion) error {
		p.Facts.Apply.Targets["prod"] = phases.Outcome{Attempt: 1, Result: "stuck", Unit: "hypervisor"}
		return errDisk
	}
	phaseError(t, w.open(Forward).Run(context.Background()))
	failed := w.journal.events[indexOf(w, journal.Failed)]
	if want := `{"apply":{"targets":{"prod":{"attempt":1,"result":"stuck","unit":"hypervisor","text":""}}}}`; string(failed.Data) != want {
		t.Errorf("recorded with the failure:\n got %s\nwant %s", failed.Data, want)
	}
	if got := w.replay().Facts.Apply.Targets["prod"].Unit; got != "hypervisor" {
		t.Errorf("a resume sees unit %q", got)
	}
}

// A bug in a phase is a failure like any other: the journal has it, the process
// lives and the promotion can be resumed.
func TestFailureByPanic(t *testing.T) {
	w := newWorld(t)
	fail := true
	w.run["copy"] = func(context.Context, *phases.Promotion) error {
		if fail {
			_ = []string{}[len(w.runs)]
		}
		return nil
	}
	m := w.open(Forward)
	err := m.Run(context.Background())
	if stopped := phaseError(t, err); stopped.Phase != "copy" || stopped.Interrupted {
		t.Errorf("got %+v", stopped)
	}
	if !strings.Contains(err.Error(), "index out of range") || !strings.Contains(err.Error(), "failure_test.go") {
		t.Errorf("%v does not say what panicked, or where", err)
	}
	failed := w.journal.events[indexOf(w, journal.Failed)]
	if !strings.Contains(failed.Text, "panic: runtime error: index out of range") {
		t.Errorf("recorded: %s", short(failed))
	}
	fail = false
	w.finish(w.resume())
}

// A phase that takes too long is told so, and the operator is told which and
// how long that was. That is no interruption.
func TestFailureByDeadline(t *testing.T) {
	for _, name := range []string{"build", "apply"} { // apply is uncut, but not endless
		w := newWorld(t)
		for i := range phases.Forward {
			if phases.Forward[i].Name == name {
				phases.Forward[i].Deadline = time.Millisecond
			}
		}
		want := "the " + name + " phase took longer than 1ms"
		w.run[name] = func(ctx context.Context, _ *phases.Promotion) error {
			<-ctx.Done()
			if got := context.Cause(ctx).Error(); got != want {
				t.Errorf("the phase is told %q, want %q", got, want)
			}
			return ctx.Err()
		}
		err := w.open(Forward).Run(context.Background())
		if stopped := phaseError(t, err); stopped.Phase != name || stopped.Interrupted {
			t.Errorf("got %+v", stopped)
		}
		if !strings.Contains(err.Error(), want) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%q does not say %q", err, want)
		}
		if failed := w.journal.events[indexOf(w, journal.Failed)]; !strings.Contains(failed.Text, want) {
			t.Errorf("recorded %q, which does not say %q", failed.Text, want)
		}
	}
}

// A deadline of the phase's own, of a probe for example, is not the phase's.
func TestFailureByAnotherDeadline(t *testing.T) {
	w := newWorld(t)
	w.run["health"] = func(context.Context, *phases.Promotion) error { return context.DeadlineExceeded }
	err := w.open(Forward).Run(context.Background())
	if strings.Contains(err.Error(), "took longer") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Facts that cannot be recorded are a failure: a resume would go on without.
func TestFailureToEncodeTheFacts(t *testing.T) {
	w := newWorld(t)
	bad := time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC) // JSON has no such year
	w.run["build"] = func(_ context.Context, p *phases.Promotion) error {
		if p.Attempt == 1 {
			p.Facts.Build.CreatedAt = bad
		}
		return nil
	}
	m := w.open(Forward)
	if stopped := phaseError(t, m.Run(context.Background())); stopped.Phase != "build" || !strings.Contains(stopped.Error(), "facts") {
		t.Errorf("got %v", stopped)
	}
	w.inState(m, "verified")
	w.finish(w.resume())
}
