package machine

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// tale is a promotion's events, numbered from first, told as "kind phase#attempt
// from>state" is in the other tests, but as values.
func tale(kind Kind, first int64, events ...journal.Event) []journal.Event {
	data, err := json.Marshal(Start{Schema: 1, Kind: kind, Plan: plan, Rel: "1.2.3"})
	if err != nil {
		panic(err)
	}
	opened := journal.Event{Kind: journal.Opened, State: New, Data: data, Operator: journal.Operator{Name: "ada@laptop"}}
	list := append([]journal.Event{opened}, events...)
	for i := range list {
		list[i].Promotion, list[i].Seq = "p1", first+int64(i)
		list[i].At = time.Unix(list[i].Seq, 0).UTC()
	}
	return list
}

func intent(phase string, attempt int) journal.Event {
	return journal.Event{Kind: journal.Intent, Phase: phase, Attempt: attempt}
}

func moved(phase, from, state string) journal.Event {
	return journal.Event{Kind: journal.Moved, Phase: phase, Attempt: 1, From: from, State: state}
}

func stepped(from, state string) journal.Event {
	return journal.Event{Kind: journal.Moved, From: from, State: state, Text: "gone"}
}

func ended(kind journal.Kind, phase string, attempt int) journal.Event {
	return journal.Event{Kind: kind, Phase: phase, Attempt: attempt}
}

// What is known of a promotion is what its events say, wherever they end.
func TestPast(t *testing.T) {
	for _, c := range []struct {
		name      string
		kind      Kind
		events    []journal.Event
		state     string
		stopped   string // the event, in short
		unsettled string
		attempts  map[string]int
		touched   bool
	}{
		{name: "opened and no more", kind: Forward, state: New},
		{
			name: "cut in its first phase", kind: Forward, events: []journal.Event{intent("sync", 1)},
			state: New, unsettled: "intent sync#1", attempts: map[string]int{"sync": 1},
		},
		{
			name: "cut between two phases", kind: Forward, events: []journal.Event{intent("sync", 1), moved("sync", New, "synced")},
			state: "synced", attempts: map[string]int{"sync": 1},
		},
		{
			name: "failed", kind: Forward,
			events: []journal.Event{intent("sync", 1), ended(journal.Failed, "sync", 1)},
			state:  New, stopped: "failed sync#1", attempts: map[string]int{"sync": 1},
		},
		{
			name: "resumed after a failure, and cut", kind: Forward,
			events: []journal.Event{intent("sync", 1), ended(journal.Failed, "sync", 1), {Kind: journal.Resumed, State: New}, intent("sync", 2)},
			state:  New, stopped: "failed sync#1", unsettled: "intent sync#2", attempts: map[string]int{"sync": 2},
		},
		{
			name: "resumed after a cut, and failed", kind: Forward,
			events: []journal.Event{intent("sync", 1), {Kind: journal.Resumed, State: New}, intent("sync", 2), ended(journal.Interrupted, "sync", 2)},
			state:  New, stopped: "interrupted sync#2", attempts: map[string]int{"sync": 2},
		},
		{
			name: "successful after a failure", kind: Forward,
			events: []journal.Event{intent("sync", 1), ended(journal.Failed, "sync", 1), intent("sync", 2), moved("sync", New, "synced")},
			state:  "synced", attempts: map[string]int{"sync": 2},
		},
		{
			name: "stepped back after a failure", kind: Rollback,
			events: []journal.Event{intent("apply", 1), moved("apply", "copied", "applied"), intent("health", 1),
				ended(journal.Failed, "health", 1), stepped("applied", "copied")},
			state: "copied", stopped: "failed health#1", attempts: map[string]int{"apply": 1, "health": 1}, touched: true,
		},
		{
			name: "given up after a failure", kind: Forward,
			events: []journal.Event{intent("sync", 1), ended(journal.Failed, "sync", 1), stepped(New, Aborted)},
			state:  Aborted, attempts: map[string]int{"sync": 1},
		},
		{
			name: "cut half-way through an apply", kind: Rollback, events: []journal.Event{moved("copy", "verified", "copied"), intent("apply", 1)},
			state: "copied", unsettled: "intent apply#1", attempts: map[string]int{"apply": 1}, touched: true,
		},
		{
			name: "notes tell nothing of the state", kind: Forward,
			events: []journal.Event{intent("sync", 1), {Kind: journal.Note, Phase: "sync", Attempt: 1, Text: "x"}},
			state:  New, unsettled: "intent sync#1", attempts: map[string]int{"sync": 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := tale(c.kind, 41, c.events...)
			past, err := Replay(events)
			if err != nil {
				t.Fatal(err)
			}
			if past.ID != "p1" || past.Start.Kind != c.kind || past.Operator.Name != "ada@laptop" {
				t.Errorf("replayed as %+v", past)
			}
			equal(t, "plan", past.Start.Plan, plan)
			if past.State != c.state || past.Ended() != Ended(c.state) {
				t.Errorf("state %s, want %s", past.State, c.state)
			}
			name := func(ev *journal.Event) string {
				if ev == nil {
					return ""
				}
				return short(*ev)
			}
			if got := name(past.Stopped); got != c.stopped {
				t.Errorf("stopped by %q, want %q", got, c.stopped)
			}
			if got := name(past.Unsettled); got != c.unsettled {
				t.Errorf("unsettled is %q, want %q", got, c.unsettled)
			}
			for _, phase := range phases.Forward {
				if got := past.Attempts(phase.Name); got != c.attempts[phase.Name] {
					t.Errorf("%d attempts at %s, want %d", got, phase.Name, c.attempts[phase.Name])
				}
			}
			if past.Touched() != c.touched {
				t.Errorf("touched: %v", past.Touched())
			}
			if !past.Opened.Equal(time.Unix(41, 0)) || !past.Updated.Equal(events[len(events)-1].At) {
				t.Errorf("from %v to %v", past.Opened, past.Updated)
			}
		})
	}
}

// The facts are the sum of what the attempts found; later ones count.
func TestPastHasTheFacts(t *testing.T) {
	events := tale(Forward, 1,
		journal.Event{Kind: journal.Moved, Phase: "sync", State: "synced", Data: json.RawMessage(`{"sync":{"before":{"prod":"1"}}}`)},
		journal.Event{Kind: journal.Failed, Phase: "build", Data: json.RawMessage(`{"build":{"id":"x"},"sync":{"before":{"prod":"2"}}}`)},
		journal.Event{Kind: journal.Moved, Phase: "build", State: "built", Data: json.RawMessage(`{"build":{"id":"y"}}`)},
	)
	past, err := Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	if past.Facts.Sync.Before["prod"] != "2" || past.Facts.Build.ID != "y" || past.Facts.Copy != nil {
		t.Errorf("facts: sync %+v, build %+v, copy %+v", past.Facts.Sync, past.Facts.Build, past.Facts.Copy)
	}
	if past.Release() != past.Facts.Build {
		t.Error("the release is not the one that was built")
	}
	past.Start.Plan.Release = &phases.Release{ID: "recorded"}
	if past.Release().ID != "recorded" {
		t.Error("the release of a rollback is not the recorded one")
	}
	if none, err := Replay(tale(Forward, 1)); err != nil || none.Release() != nil {
		t.Errorf("a promotion that has built nothing has release %+v, %v", none.Release(), err)
	}
}

// What this rel does not understand it does not guess at.
func TestPastThatCannotBeRead(t *testing.T) {
	data := func(start string) journal.Event {
		return journal.Event{Promotion: "p1", Kind: journal.Opened, Data: json.RawMessage(start)}
	}
	for name, c := range map[string]struct {
		events []journal.Event
		want   string
	}{
		"no events":           {nil, "without an opening event"},
		"no beginning":        {tale(Forward, 1, intent("sync", 1))[1:], "without an opening event"},
		"no plan":             {[]journal.Event{data("")}, "promotion p1: read its plan"},
		"a plan of noise":     {[]journal.Event{data(`[1]`)}, "promotion p1: read its plan"},
		"a newer form":        {[]journal.Event{data(`{"schema":2,"kind":"start","rel":"9.9.9"}`)}, "newer rel (9.9.9)"},
		"an unknown state":    {tale(Forward, 5, moved("canary", "copied", "canaried")), `event 6: unknown state "canaried"`},
		"a start's state":     {tale(Rollback, 5, moved("sync", New, "synced")), `event 6: unknown state "synced"`},
		"facts of noise":      {tale(Forward, 5, journal.Event{Kind: journal.Failed, Data: json.RawMessage(`7`)}), "event 6: read its facts"},
		"a fact of noise":     {tale(Forward, 5, journal.Event{Kind: journal.Failed, Data: json.RawMessage(`{"build":7}`)}), "cannot unmarshal"},
		"a state of no event": {tale(Forward, 5, journal.Event{Kind: journal.Moved}), `unknown state ""`},
	} {
		if past, err := Replay(c.events); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, %v, want an error with %q in it", name, past, err, c.want)
		}
	}
}

// How a run ended is known until the next one begins, and is no fact.
func TestPastEnding(t *testing.T) {
	left, err := Leave("p1", "sync failed: h: no", Ending{Exit: 6, Targets: []string{"h runs x"}, Next: "rel resume p1"})
	if err != nil {
		t.Fatal(err)
	}
	events := tale(Forward, 1, intent("sync", 1), ended(journal.Failed, "sync", 1), left)
	past, err := Replay(events)
	if err != nil {
		t.Fatal(err)
	}
	if past.Ending == nil || past.Ending.Exit != 6 || past.Ending.Next != "rel resume p1" || past.Stopped == nil || len(past.parts) != 0 {
		t.Errorf("it is %+v, with the facts %v", past.Ending, past.parts)
	}
	past, err = Replay(append(events, journal.Event{Kind: journal.Resumed, State: New}))
	if err != nil || past.Ending != nil {
		t.Errorf("of a run that goes on: %+v, %v", past.Ending, err)
	}
	left.Data = json.RawMessage(`[]`)
	if _, err := Replay(append(events, left)); err == nil || !strings.Contains(err.Error(), "how the run ended") {
		t.Errorf("what is no ending is read as one: %v", err)
	}
}
