package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// Whose last words nobody reads does not keep the next run waiting.
func TestFailsWithoutReader(t *testing.T) {
	read, write := io.Pipe()
	defer read.Close()
	h := &house{globals: &globals{}, std: stdio{out: io.Discard, err: write}, journal: journal.New(filepath.Join(t.TempDir(), "state", "journal.db"))}
	if err := h.claim(); err != nil {
		t.Fatal(err)
	}
	go h.fail(t.Context(), errors.New("something"))
	for range 200 {
		if h.journal.Claimed() == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it is claimed still")
}

// deafHost is a target that never answers.
type deafHost struct{ phases.Host }

func (deafHost) Name() string { return "prod" }

func (deafHost) Run(ctx context.Context, _ phases.Script) ([]byte, error) {
	<-ctx.Done()
	return nil, fmt.Errorf("prod: %w", context.Cause(ctx))
}

// Of a target that does not answer in time it is said in words that it did not.
func TestStandingOfDeafTarget(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	h := &house{work: &phases.Promotion{}}
	if text := h.runs(ctx, deafHost{}, machine.History{}); !strings.HasPrefix(text, "was not reached within 8s") || strings.Contains(text, "deadline") {
		t.Errorf("it %s", text)
	}
}

// Which release runs is said by the target's own record also where rel.toml asks for
// other links than that has.
func TestNameOfRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string
		asked []string
		want  string
	}{
		"as recorded":         {map[string]string{"/a": "1", "/b": "2"}, []string{"/a", "/b"}, "abcdef0 (P)"},
		"one is new":          {map[string]string{"/a": "1"}, []string{"/a", "/c"}, "abcdef0 (P)"},
		"one is another's":    {map[string]string{"/a": "1", "/c": "x"}, []string{"/a", "/c"}, "abcdef0 (P)"},
		"all are new":         {nil, []string{"/c"}, "abcdef0 (P)"},
		"they are gone":       {nil, []string{"/a", "/b"}, "no release"},
		"repointed by hand":   {map[string]string{"/a": "9"}, []string{"/a"}, "no release that the journal knows: /a -> 9, though its own record has abcdef0 (P)"},
		"nothing is recorded": {map[string]string{"/a": "9"}, []string{"/a"}, "no release that the journal knows: /a -> 9"},
	} {
		look := &phases.Look{Links: c.links, Live: "P", LiveCommit: "abcdef0123", Recorded: map[string]string{"/a": "1", "/b": "2"}}
		if name == "nothing is recorded" {
			look.Live, look.Recorded = "", nil
		}
		plan := &phases.Plan{}
		for _, link := range c.asked {
			plan.Artifacts = append(plan.Artifacts, phases.Artifact{Link: link})
		}
		if got := nameOf(look, plan, machine.History{}); got != c.want {
			t.Errorf("%s: it runs %q, want %q", name, got, c.want)
		}
	}
}

// The last line names a file that is there.
func TestLogIsThere(t *testing.T) {
	j := journal.New(filepath.Join(t.TempDir(), "journal.db"))
	h := &house{globals: new(globals), journal: j, work: &phases.Promotion{ID: "p"}}
	err := &machine.PhaseError{Phase: "build", Attempt: 1, Err: errors.New("x")}
	if got := h.logPath(err); got != "none: nothing is recorded yet" {
		t.Errorf("without a journal: %s", got)
	}
	if _, err := j.Append(journal.Event{Promotion: "p", Kind: journal.Opened}); err != nil {
		t.Fatal(err)
	}
	if got := h.logPath(err); got != j.Path() {
		t.Errorf("nothing was printed: %s", got)
	}
	log, failure := j.Output("p", "build", 1)
	if failure != nil {
		t.Fatal(failure)
	}
	defer log.Close()
	if got := h.logPath(err); got != log.Name() {
		t.Errorf("something was printed: %s", got)
	}
	if got := h.logPath(errors.New("x")); got != j.Path() {
		t.Errorf("of no phase: %s", got)
	}
}

// Of what waits to be confirmed it is said when it goes back, where the target knows.
func TestWaitingUntil(t *testing.T) {
	now := time.Date(2026, 11, 23, 21, 44, 0, 0, time.Local)
	for want, look := range map[string]*phases.Look{
		"": {},
		"; p is not confirmed, and nothing takes it back by itself":           {Pending: "p", Unguarded: true},
		"; p is not confirmed, and goes back by itself at 21:45:58, in 1m58s": {Pending: "p", Left: 118 * time.Second},
		"; p is not confirmed, and goes back by itself if it is not in time":  {Pending: "p"},
	} {
		if got := waiting(look, now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What several hosts printed last says whose it is where a failure repeats it.
func TestLastOutput(t *testing.T) {
	h := &house{outputs: new(outputs)}
	h.outputs.line("p", "web1", "panic")
	h.outputs.line("p", "web2", "panic")
	failed := &machine.PhaseError{Phase: "apply", Err: errors.New("x")}
	if got, want := h.lastOutput(failed, explanation{code: exitReverted}), []string{"web1: panic", "web2: panic"}; !slices.Equal(got, want) {
		t.Errorf("a failure repeats %q, want %q", got, want)
	}
}
