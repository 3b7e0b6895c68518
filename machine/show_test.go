package machine

import (
	"context"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// What is shown is what was recorded, stamps and all, and not before it was.
func TestShowComesAfterAppend(t *testing.T) {
	w := newWorld(t)
	shown := 0
	show := func(ev journal.Event) {
		if len(w.journal.events) != shown+1 {
			t.Fatalf("%s is shown with %d events recorded and %d shown", short(ev), len(w.journal.events), shown)
		}
		equal(t, "shown", ev, w.journal.events[shown])
		shown++
	}
	m, err := Open(w.journal, &phases.Promotion{ID: "p1"}, startOf(Forward), show)
	if err != nil {
		t.Fatal(err)
	}
	w.finish(m)
	if shown != len(w.journal.events) || shown < 19 {
		t.Errorf("%d events shown, %d recorded", shown, len(w.journal.events))
	}
}

// What could not be recorded is not shown, a note no more than an outcome.
func TestShowNothingThatIsNotRecorded(t *testing.T) {
	for _, kind := range []journal.Kind{journal.Opened, journal.Intent, journal.Note, journal.Moved} {
		w := newWorld(t)
		w.journal.refuse = func(_ int, ev journal.Event) bool { return ev.Kind == kind }
		m, err := Open(w.journal, &phases.Promotion{ID: "p1"}, startOf(Forward), w.show)
		if err == nil {
			err = m.Run(context.Background())
		}
		if (err == nil) != (kind == journal.Note) {
			t.Errorf("without %s events: %v", kind, err)
		}
		for _, ev := range w.shown {
			if ev.Kind == kind {
				t.Errorf("%s was shown, but not recorded", short(ev))
			}
		}
		equal(t, "shown", w.shown, w.journal.events)
	}
}

// Nobody has to look.
func TestShowNobody(t *testing.T) {
	w := newWorld(t)
	m, err := Open(w.journal, &phases.Promotion{ID: "p1"}, startOf(Forward), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.finish(m)
}
