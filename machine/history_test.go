package machine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// chronicle is a history written as a line per promotion, in the order in which
// they were last moved:
//
//	"2 bbb healthy"           promotion 2 of commit bbb
//	"4 back to 2 from 3 healthy"  a rollback
//
// A promotion's id says when it was opened.
func chronicle(lines ...string) History {
	commits := map[string]string{}
	var list []*Past
	for i, line := range lines {
		words := strings.Fields(line)
		p := &Past{ID: words[0], State: words[len(words)-1], lastSeq: int64(10 * (i + 1))}
		if words[1] == "back" {
			p.Start = Start{Kind: Rollback, Plan: phases.Plan{Commit: commits[words[3]], From: words[5], Release: &phases.Release{ID: words[3]}}}
		} else {
			commits[p.ID] = words[1]
			p.Start = Start{Kind: Forward, Plan: phases.Plan{Commit: words[1]}}
		}
		list = append(list, p)
	}
	slices.Reverse(list) // NewHistory has to find the order itself.
	return NewHistory(list)
}

func idOf(p *Past) string {
	if p == nil {
		return ""
	}
	return p.ID
}

func found(t *testing.T, h History, id string) *Past {
	t.Helper()
	p, err := h.Find(id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestHistory(t *testing.T) {
	for name, c := range map[string]struct {
		history   []string
		live      string
		resumable string            // ids, by spaces
		overtaken map[string]string // promotion to what overtook it
	}{
		"nothing": {},
		"one that stopped": {
			history: []string{"1 aaa built"}, resumable: "1",
		},
		"one that is live": {
			history: []string{"1 aaa healthy"}, live: "1",
		},
		"what never became healthy was overtaken": {
			history: []string{"1 aaa healthy", "2 bbb aborted", "3 ccc reverted", "4 ddd applied", "5 eee healthy"},
			live:    "5", overtaken: map[string]string{"2": "5", "4": "5"},
		},
		"what stopped after the live one can go on": {
			history: []string{"1 aaa healthy", "2 bbb copied", "3 ccc synced", "4 ddd aborted"},
			live:    "1", resumable: "2 3",
		},
		"what stopped before the live one was opened cannot": {
			history: []string{"1 aaa copied", "2 bbb healthy", "3 ccc copied"},
			live:    "2", resumable: "3", overtaken: map[string]string{"1": "2"},
		},
		"resumed after a later one was opened, and live": {
			history: []string{"2 bbb aborted", "1 aaa healthy"}, live: "1",
		},
		"resumed after a later one was live": {
			// Only by a rel that did not look; the last one confirmed is live.
			history: []string{"2 bbb healthy", "1 aaa healthy"}, live: "1",
		},
		"resumed while a later one waits": {
			history: []string{"2 bbb copied", "1 aaa applied"}, resumable: "2 1",
		},
		"overtaken, also when it was looked at since": {
			history: []string{"2 bbb healthy", "1 aaa copied"}, live: "2", overtaken: map[string]string{"1": "2"},
		},
		"rolled back": {
			history: []string{"1 aaa healthy", "2 bbb healthy", "3 back to 1 from 2 healthy"},
			live:    "3",
		},
		"a rollback that failed": {
			history: []string{"1 aaa healthy", "2 bbb healthy", "3 back to 1 from 2 applied"},
			live:    "2", resumable: "3",
		},
		"a rollback overtakes what stopped before it": {
			history: []string{"1 aaa healthy", "2 bbb healthy", "3 ccc copied", "4 back to 1 from 2 healthy"},
			live:    "4", overtaken: map[string]string{"3": "4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := chronicle(c.history...)
			if got := idOf(h.Live()); got != c.live {
				t.Errorf("live is %q, want %q", got, c.live)
			}
			var resumable []string
			for _, p := range h.Resumable() {
				resumable = append(resumable, p.ID)
			}
			if got := strings.Join(resumable, " "); got != c.resumable {
				t.Errorf("resumable are %q, want %q", got, c.resumable)
			}
			for _, p := range h.recent {
				want, said := c.overtaken[p.ID]
				if got := idOf(h.Overtaken(p)); got != want && (said || !p.Ended()) {
					t.Errorf("%s is overtaken by %q, want %q", p.ID, got, want)
				}
			}
		})
	}
}

func TestHistoryFinds(t *testing.T) {
	h := chronicle("1 aaa healthy", "2 bbb built")
	for id, want := range map[string]string{"1": "1", "2": "2", "3": "", "": ""} {
		if got := idOf(found(t, h, id)); got != want {
			t.Errorf("Find(%q) is %q", id, got)
		}
	}
}

// The order is that of the events, not of the ids, nor of the list that was
// given, which stays as it is.
func TestHistoryIsInTheOrderOfItsEvents(t *testing.T) {
	told := func(id string, seqs ...int64) *Past {
		events := tale(Forward, seqs[0], make([]journal.Event, len(seqs)-1)...)
		for i := range events {
			events[i].Promotion, events[i].Seq = id, seqs[i]
			if i > 0 {
				events[i].Kind = journal.Note
			}
		}
		past, err := Replay(events)
		if err != nil {
			t.Fatal(err)
		}
		return past
	}
	// Promotion 1 was opened first and was last at work.
	one, two, three := told("1", 1, 2, 9), told("2", 3, 4), told("3", 5, 6, 7, 8)
	given := []*Past{one, three, two}
	h := NewHistory(given)
	var got []string
	for _, p := range h.recent {
		got = append(got, fmt.Sprint(p.ID, "@", p.lastSeq))
	}
	equal(t, "order", got, []string{"2@4", "3@8", "1@9"})
	if given[0] != one || given[1] != three {
		t.Error("the given list was changed")
	}
}
