package machine

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"choir.chat/rel/journal"
)

// annals are a journal's events in memory, of which it counts those that it gives
// out.
type annals struct {
	events []journal.Event
	given  int
}

func (a *annals) Events(id string) (list []journal.Event, err error) {
	for _, ev := range a.events {
		if ev.Promotion == id {
			list = append(list, ev)
		}
	}
	a.given += len(list)
	return list, nil
}

func (a *annals) Last(n int) (ids []string, err error) {
	for _, ev := range a.events {
		ids = append(ids, ev.Promotion)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if n > 0 {
		ids = ids[max(0, len(ids)-n):]
	}
	return ids, nil
}

func (a *annals) Recent(settles func(journal.Event) bool) (lists [][]journal.Event, err error) {
	var ids []string
	for _, ev := range slices.Backward(a.events) {
		ids = append(ids, ev.Promotion)
		if settles(ev) {
			break
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		list, _ := a.Events(id)
		lists = append(lists, list)
	}
	return lists, nil
}

// append adds an event as a journal does.
func (a *annals) append(id string, ev journal.Event) {
	if ev.Kind == journal.Opened {
		ev = tale(Forward, 0)[0]
	}
	ev.Promotion, ev.Seq = id, int64(len(a.events))+1
	a.events = append(a.events, ev)
}

// whole is the history of which everything was read.
func (a *annals) whole(t *rapid.T) History {
	var pasts []*Past
	ids, _ := a.Last(0)
	for _, id := range ids {
		events, _ := a.Events(id)
		past, err := Replay(events)
		if err != nil {
			t.Fatal(err)
		}
		pasts = append(pasts, past)
	}
	return NewHistory(pasts)
}

// Whatever happened, in whatever order, what is decided by is the same whether all
// of it is read or only what is recent.
func TestRecallKnowsWhatTheWholeHistoryKnows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &annals{}
		states := map[string]string{}
		for n := range rapid.IntRange(0, 40).Draw(t, "events") {
			id := fmt.Sprint(rapid.IntRange(1, 6).Draw(t, "id"))
			switch state := states[id]; {
			case state == "":
				states[id] = New
				a.append(id, journal.Event{Kind: journal.Opened})
			case Ended(state):
				a.append(id, journal.Event{Kind: journal.Note, Text: fmt.Sprint("late ", n)})
			default:
				next := rapid.SampledFrom([]string{"", "synced", "applied", Healthy, Aborted}).Draw(t, "state")
				if next == "" {
					a.append(id, journal.Event{Kind: journal.Failed, Phase: "sync", Attempt: 1})
					continue
				}
				states[id] = next
				a.append(id, journal.Event{Kind: journal.Moved, From: state, State: next})
			}
		}
		whole := a.whole(t)
		recent, err := Recall(a)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := idOf(recent.Live()), idOf(whole.Live()); got != want {
			t.Fatalf("live is %q, want %q", got, want)
		}
		ids := func(list []*Past) (ids []string) {
			for _, p := range list {
				ids = append(ids, p.ID)
			}
			return ids
		}
		if got, want := ids(recent.Resumable()), ids(whole.Resumable()); !slices.Equal(got, want) {
			t.Fatalf("resumable are %q, want %q", got, want)
		}
		for _, id := range []string{"1", "2", "3", "4", "5", "6", "7"} {
			mine, err := recent.Find(id)
			if err != nil {
				t.Fatal(err)
			}
			theirs, _ := whole.Find(id)
			if (mine == nil) != (theirs == nil) || mine != nil && (mine.State != theirs.State || idOf(recent.Overtaken(mine)) != idOf(whole.Overtaken(theirs))) {
				t.Fatalf("promotion %s is %+v, want %+v", id, mine, theirs)
			}
		}
	})
}

// A long past is not read: of a thousand promotions that were confirmed, one is.
func TestRecallReadsOnlyWhatIsRecent(t *testing.T) {
	a := &annals{}
	for n := range 1000 {
		id := fmt.Sprintf("%04d", n)
		a.append(id, journal.Event{Kind: journal.Opened})
		a.append(id, journal.Event{Kind: journal.Moved, From: New, State: Healthy})
	}
	a.append("1000", journal.Event{Kind: journal.Opened})
	h, err := Recall(a)
	if err != nil {
		t.Fatal(err)
	}
	if idOf(h.Live()) != "0999" || len(h.Resumable()) != 1 || a.given != 3 {
		t.Errorf("live is %q, %d can be resumed, and %d events were read", idOf(h.Live()), len(h.Resumable()), a.given)
	}
	if past, err := h.Find("0007"); err != nil || past.State != Healthy || a.given != 5 {
		t.Errorf("Find: %+v, %v, after %d events", past, err, a.given)
	}
}

// What took a release off the targets is the next one that became healthy, whatever
// failed meanwhile.
func TestSuccessor(t *testing.T) {
	a := &annals{}
	for _, p := range []struct{ id, state string }{{"1", Healthy}, {"2", Aborted}, {"3", "copied"}, {"4", Healthy}, {"5", "synced"}} {
		a.append(p.id, journal.Event{Kind: journal.Opened})
		a.append(p.id, journal.Event{Kind: journal.Moved, From: New, State: p.state})
	}
	h, err := Recall(a)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"1": "4", "2": "", "3": "", "4": "", "5": ""} {
		past, err := h.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		if next, err := h.Successor(past); err != nil || idOf(next) != want {
			t.Errorf("after %s comes %q, %v; want %q", id, idOf(next), err, want)
		}
	}
}
