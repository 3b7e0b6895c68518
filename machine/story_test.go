package machine

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// A promotion that nothing stops: every phase once, an intent before each and
// an outcome after.
func TestStory(t *testing.T) {
	for kind, c := range map[Kind]struct{ events, runs []string }{
		Forward: {
			events: []string{
				"opened new: fix the demo",
				"intent sync#1", "moved sync#1 new>synced",
				"intent verify#1", "moved verify#1 synced>verified",
				"intent build#1", "moved build#1 verified>built",
				"intent copy#1", "moved copy#1 built>copied",
				"intent apply#1", "moved apply#1 copied>applied",
				"intent health#1", "moved health#1 applied>healthy",
			},
			runs: []string{"sync#1", "verify#1", "build#1", "copy#1", "apply#1", "health#1"},
		},
		Rollback: {
			events: []string{
				"opened new: back to older",
				"intent verify#1", "moved verify#1 new>verified",
				"intent copy#1", "moved copy#1 verified>copied",
				"intent apply#1", "moved apply#1 copied>applied",
				"intent health#1", "moved health#1 applied>healthy",
			},
			runs: []string{"verify#1", "copy#1", "apply#1", "health#1"},
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			m := w.open(kind)
			w.inState(m, New)
			w.finish(m)
			w.recorded(c.events...)
			w.ran(c.runs...)
			if len(w.holds) != 0 {
				t.Errorf("a promotion that goes well looked back: %v", w.holds)
			}
			for _, ev := range w.journal.events {
				if ev.Promotion != "p1" {
					t.Errorf("%s is recorded for promotion %q", short(ev), ev.Promotion)
				}
			}

			// The end is the end.
			if err := m.Run(context.Background()); err != nil {
				t.Error(err)
			}
			w.ran(c.runs...)
		})
	}
}

// What the promotion was started with is in its first event, whole: a resume
// goes by nothing else.
func TestStoryBeginsWithThePlan(t *testing.T) {
	for _, kind := range []Kind{Forward, Rollback} {
		w := newWorld(t)
		p := &phases.Promotion{ID: "p1"}
		start := startOf(kind)
		if _, err := Open(w.journal, p, start, nil); err != nil {
			t.Fatal(err)
		}
		equal(t, "the promotion's plan", p.Plan, start.Plan)
		var got Start
		if err := json.Unmarshal(w.journal.events[0].Data, &got); err != nil {
			t.Fatal(err)
		}
		start.Schema = 1
		equal(t, "recorded start", got, start)

		p = &phases.Promotion{ID: "another", Plan: phases.Plan{App: "another"}}
		if _, err := Resume(w.journal, p, w.replay(), nil); err != nil {
			t.Fatal(err)
		}
		if p.ID != "p1" {
			t.Errorf("resumed as %s", p.ID)
		}
		equal(t, "the plan of the resumed promotion", p.Plan, start.Plan)
	}
}

// Notes belong to the attempt that made them.
func TestStoryHasNotes(t *testing.T) {
	w := newWorld(t)
	w.finish(w.open(Forward))
	var notes []string
	for _, ev := range w.journal.events {
		if ev.Kind == journal.Note {
			notes = append(notes, ev.Host+" "+short(ev))
		}
	}
	equal(t, "notes", notes, []string{
		"prod note sync#1: sync looked around", "prod note verify#1: verify looked around", "prod note build#1: build looked around",
		"prod note copy#1: copy looked around", "prod note apply#1: apply looked around", "prod note health#1: health looked around",
	})
}

// The same story in the real journal, with a failure and a resume in it: what
// was shown is what is read back.
func TestStoryInARealJournal(t *testing.T) {
	w := newWorld(t)
	store := journal.New(filepath.Join(t.TempDir(), "journal.db"))
	store.Operator = journal.Operator{Name: "ada@laptop"}
	w.run["copy"] = failOnce(errDisk)
	m, err := Open(store, &phases.Promotion{ID: "20261122-183229-dc8876b"}, startOf(Forward), w.show)
	if err != nil {
		t.Fatal(err)
	}
	if got := phaseError(t, m.Run(context.Background())); got.Phase != "copy" {
		t.Fatalf("stopped in %s", got.Phase)
	}
	events, err := store.Events("20261122-183229-dc8876b")
	if err != nil {
		t.Fatal(err)
	}
	past, err := Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	m, err = Resume(store, &phases.Promotion{}, past, w.show)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.ran("sync#1", "verify#1", "build#1", "copy#1", "copy#2", "apply#1", "health#1")
	if events, err = store.Events("20261122-183229-dc8876b"); err != nil {
		t.Fatal(err)
	}
	equal(t, "events", events, w.shown)
	if head, err := store.Verify(); err != nil || head.Seq != int64(len(w.shown)) {
		t.Errorf("the chain ends at %d, %v, want %d", head.Seq, err, len(w.shown))
	}
}

// failOnce is a phase that fails the first time.
func failOnce(err error) func(context.Context, *phases.Promotion) error {
	failed := false
	return func(context.Context, *phases.Promotion) error {
		if failed {
			return nil
		}
		failed = true
		return err
	}
}
