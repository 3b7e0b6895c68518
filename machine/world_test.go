package machine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// world is a promotion whose phases touch no host: tables with the real names
// and states, and funcs that write down that they were called. Tests bend single
// phases by their name. Since the tables are the package's, no test is parallel.
type world struct {
	t *testing.T
	// runs are the phases in the order in which they ran, as "copy#2"; holds
	// the phases whose state was looked at.
	runs, holds []string
	// seen are the facts that each run found.
	seen map[string]phases.Facts
	// run is called instead of doing nothing; hold instead of saying that all
	// still holds.
	run  map[string]func(context.Context, *phases.Promotion) error
	hold map[string]func(context.Context, *phases.Promotion) (string, error)

	journal *memory
	shown   []journal.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t:       t,
		seen:    map[string]phases.Facts{},
		run:     map[string]func(context.Context, *phases.Promotion) error{},
		hold:    map[string]func(context.Context, *phases.Promotion) (string, error){},
		journal: &memory{},
	}
	forward, back := phases.Forward, phases.Back
	t.Cleanup(func() { phases.Forward, phases.Back = forward, back })
	phases.Forward, phases.Back = w.table(forward), w.table(back)
	return w
}

func (w *world) table(proper []phases.Phase) []phases.Phase {
	table := slices.Clone(proper)
	for i := range table {
		phase := &table[i]
		name := phase.Name
		phase.Deadline = time.Minute
		phase.Run = func(ctx context.Context, p *phases.Promotion) error {
			run := fmt.Sprintf("%s#%d", name, p.Attempt)
			w.runs = append(w.runs, run)
			w.seen[run] = p.Facts
			w.find(name, p)
			p.Note("prod", name+" looked around")
			if bent := w.run[name]; bent != nil {
				return bent(ctx, p)
			}
			return nil
		}
		if phase.Holds != nil {
			phase.Holds = func(ctx context.Context, p *phases.Promotion) (string, error) {
				w.holds = append(w.holds, name)
				if bent := w.hold[name]; bent != nil {
					return bent(ctx, p)
				}
				return "", nil
			}
		}
	}
	return table
}

// find writes the phase's facts, as the real ones do: a new value each time,
// with what does not survive JSON unscathed.
func (w *world) find(name string, p *phases.Promotion) {
	switch f := &p.Facts; name {
	case "sync":
		f.Sync = &phases.Synced{Before: map[string]string{"grind": "1234567", "prod": "1234567"}}
	case "verify":
		f.Verify = &phases.Verified{Targets: map[string]phases.TargetBefore{"prod": {Links: map[string]string{"/bin/x": "/nix/store/old"}}}}
	case "build":
		// A time of the clock has a monotonic reading and nanoseconds.
		f.Build = &phases.Release{ID: p.ID, Commit: p.Plan.Commit, CreatedAt: time.Now(), Closure: []string{}, Outputs: []phases.Output{
			{Artifact: phases.Artifact{Name: "sandbox", Flake: ".#<a>&b"}, Path: "/nix/store/new"}}}
	case "apply":
		f.Apply = &phases.Applied{Targets: map[string]phases.Outcome{"prod": {Attempt: p.Attempt, Result: "applied"}}}
	case "health":
		f.Health = &phases.Checked{Results: []phases.Result{}}
	}
}

var plan = phases.Plan{
	App: "choiros", Branch: "main", Commit: "dc8876b0aa11dc8876b0aa11dc8876b0aa11dc88", Subject: "fix the demo",
	Targets: []phases.Site{{Host: "prod"}}, Confirm: phases.Duration(2 * time.Minute), Keep: 5,
}

func startOf(kind Kind) Start {
	start := Start{Kind: kind, Plan: plan, Why: "because", Rel: "1.2.3"}
	if kind == Rollback {
		start.Plan.From = "newer"
		start.Plan.Release = &phases.Release{ID: "older", Commit: plan.Commit}
	}
	return start
}

func (w *world) show(ev journal.Event) { w.shown = append(w.shown, ev) }

func (w *world) open(kind Kind) *Machine {
	w.t.Helper()
	m, err := Open(w.journal, &phases.Promotion{ID: "p1"}, startOf(kind), w.show)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// replay reads the promotion out of what is recorded.
func (w *world) replay() *Past {
	w.t.Helper()
	past, err := Replay(w.journal.events)
	if err != nil {
		w.t.Fatal(err)
	}
	return past
}

// resume is what a second `rel` does.
func (w *world) resume() *Machine {
	w.t.Helper()
	m, err := Resume(w.journal, &phases.Promotion{}, w.replay(), w.show)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// finish takes the machine to its end, where it must be recorded to be.
func (w *world) finish(m *Machine) {
	w.t.Helper()
	if err := m.Run(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.inState(m, Healthy)
}

// inState checks that the machine is in the state, and recorded to be.
func (w *world) inState(m *Machine, want string) {
	w.t.Helper()
	if got := m.State(); got != want {
		w.t.Errorf("the machine is %s, want %s", got, want)
	}
	if got := w.replay().State; got != want {
		w.t.Errorf("the journal says %s, want %s", got, want)
	}
}

// lines are the recorded events in short, but for the notes.
func (w *world) lines() []string {
	var list []string
	for _, ev := range w.journal.events {
		if ev.Kind != journal.Note {
			list = append(list, short(ev))
		}
	}
	return list
}

// short is an event as "kind phase#attempt from>state: text".
func short(ev journal.Event) string {
	s := string(ev.Kind)
	if ev.Phase != "" {
		s += fmt.Sprintf(" %s#%d", ev.Phase, ev.Attempt)
	}
	if ev.From != "" {
		s += " " + ev.From + ">" + ev.State
	} else if ev.State != "" {
		s += " " + ev.State
	}
	if ev.Text != "" {
		s += ": " + ev.Text
	}
	return s
}

func (w *world) recorded(want ...string) {
	w.t.Helper()
	equal(w.t, "recorded", w.lines(), want)
}

func (w *world) ran(want ...string) {
	w.t.Helper()
	equal(w.t, "ran", w.runs, want)
}

// last is the end of a list, for tests of what comes after something.
func last(list []string, n int) []string { return list[max(0, len(list)-n):] }

var errDisk = errors.New("no space left on device")

// memory is a journal that keeps its events for as long as the test runs. Like
// a disk, it keeps bytes: what is read is not the value that was written.
type memory struct {
	mu     sync.Mutex
	events []journal.Event
	// appends counts all, also those that failed.
	appends int
	// refuse says whether the nth append fails.
	refuse func(n int, ev journal.Event) bool
}

func (r *memory) Append(ev journal.Event) (journal.Event, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.appends++
	if r.refuse != nil && r.refuse(r.appends, ev) {
		return journal.Event{}, errDisk
	}
	ev.Seq = int64(len(r.events)) + 1
	ev.At = time.Date(2026, 11, 22, 18, 32, 0, 0, time.UTC).Add(time.Duration(ev.Seq) * time.Second)
	b, err := json.Marshal(ev)
	if err != nil {
		return journal.Event{}, err
	}
	var kept journal.Event
	if err := json.Unmarshal(b, &kept); err != nil {
		return journal.Event{}, err
	}
	r.events = append(r.events, kept)
	return kept, nil
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	if got, ok := got.([]string); ok {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want.([]string), "\n     "))
		return
	}
	t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
}

// phaseError is the *PhaseError that err must be.
func phaseError(t *testing.T, err error) *PhaseError {
	t.Helper()
	var stopped *PhaseError
	if !errors.As(err, &stopped) {
		t.Fatalf("got %T (%v), want a *PhaseError", err, err)
	}
	return cmp.Or(stopped, &PhaseError{})
}
