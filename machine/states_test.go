package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/looplab/fsm"

	"choir.chat/rel/phases"
)

// The library takes any spelling of an event or a state and drops what does not
// fit in silence. So every transition there is stands here by its name.
func TestTransitions(t *testing.T) {
	for kind, want := range map[Kind][]string{
		Forward: {
			"abort: applied>aborted", "abort: built>aborted", "abort: copied>aborted", "abort: new>aborted", "abort: synced>aborted",
			"abort: verified>aborted",
			"apply: copied>applied",
			"build: verified>built",
			"copy: built>copied",
			"health: applied>healthy",
			"revert: applied>reverted", "revert: built>reverted", "revert: copied>reverted", "revert: verified>reverted",
			"sync: new>synced",
			"undo_apply: applied>copied", "undo_build: built>verified", "undo_copy: copied>built",
			"verify: synced>verified",
		},
		Rollback: {
			"abort: applied>aborted", "abort: copied>aborted", "abort: new>aborted", "abort: verified>aborted",
			"apply: copied>applied",
			"copy: verified>copied",
			"health: applied>healthy",
			"revert: applied>reverted", "revert: copied>reverted", "revert: verified>reverted",
			"undo_apply: applied>copied", "undo_copy: copied>verified",
			"verify: new>verified",
		},
		Adopt: {"abort: new>aborted", "adopt: new>healthy"},
	} {
		var got []string
		for _, event := range transitions(kind.Table()) {
			for _, src := range event.Src {
				got = append(got, fmt.Sprintf("%s: %s>%s", event.Name, src, event.Dst))
			}
		}
		slices.Sort(got)
		equal(t, string(kind), got, want)
	}
}

// Each of them, made for real, asks first, and is not made when it is refused.
func TestTransitionsAskFirst(t *testing.T) {
	ctx := context.Background()
	for _, kind := range Kinds {
		for _, event := range transitions(kind.Table()) {
			for _, src := range event.Src {
				name := fmt.Sprintf("%s: %s: %s>%s", kind, event.Name, src, event.Dst)
				var asked []string
				refusal := errDisk
				m := newFSM(kind.Table(), src, func(_ context.Context, e *fsm.Event) {
					asked = append(asked, e.Event+": "+e.Src+">"+e.Dst)
					if refusal != nil {
						e.Cancel(refusal)
					}
				})
				var canceled fsm.CanceledError
				if err := m.Event(ctx, event.Name); !errors.As(err, &canceled) || canceled.Err != refusal {
					t.Errorf("%s: refused, but got %v", name, err)
				}
				if m.Current() != src {
					t.Errorf("%s was refused and made: %s", name, m.Current())
				}
				refusal = nil
				if err := m.Event(ctx, event.Name); err != nil || m.Current() != event.Dst {
					t.Errorf("%s: %v, now %s", name, err, m.Current())
				}
				want := event.Name + ": " + src + ">" + event.Dst
				equal(t, name, asked, []string{want, want})
			}
		}
	}
}

// The tables are what the states, the events, the help and the diagram are made
// of: a slip in a row goes everywhere.
func TestTables(t *testing.T) {
	for _, kind := range []Kind{Forward, Rollback} {
		table := kind.Table()
		names := map[string]bool{eventAbort: true, eventRevert: true}
		states := map[string]bool{New: true, Aborted: true, Reverted: true}
		for _, phase := range table {
			for _, name := range []string{phase.Name, undo(&phase)} {
				if phase.Name == "" || names[name] {
					t.Errorf("%s: two events are named %q", kind, name)
				}
				names[name] = true
			}
			if phase.State == "" || states[phase.State] {
				t.Errorf("%s: two states are named %q", kind, phase.State)
			}
			states[phase.State] = true
			if phase.Run == nil || phase.Deadline <= 0 {
				t.Errorf("%s: %s has no func or no deadline", kind, phase.Name)
			}
			if phase.Uncut != (phase.Name == "apply") {
				t.Errorf("%s: %s: Uncut is %v", kind, phase.Name, phase.Uncut)
			}
		}
		if last := table[len(table)-1]; last.State != Healthy || last.Holds != nil {
			t.Errorf("%s ends %s", kind, last.State)
		}
	}
	if len(phases.Forward) != 6 || len(phases.Back) != 4 {
		t.Errorf("%d and %d phases: do TestTransitions and the README know?", len(phases.Forward), len(phases.Back))
	}
}

func TestKnown(t *testing.T) {
	for _, c := range []struct {
		state             string
		forward, rollback bool
	}{
		{"new", true, true},
		{"synced", true, false},
		{"verified", true, true},
		{"built", true, false},
		{"copied", true, true},
		{"applied", true, true},
		{"healthy", true, true},
		{"aborted", true, true},
		{"reverted", true, true},
		{"", false, false},
		{"canary", false, false}, // of a newer rel
		{"Healthy", false, false},
		{"health", false, false}, // the phase
		{"undo_copy", false, false},
	} {
		if got := Forward.Known(c.state); got != c.forward {
			t.Errorf("a start knows %q: %v", c.state, got)
		}
		if got := Rollback.Known(c.state); got != c.rollback {
			t.Errorf("a rollback knows %q: %v", c.state, got)
		}
	}
}

func TestEnded(t *testing.T) {
	for state, want := range map[string]bool{
		"new": false, "synced": false, "verified": false, "built": false, "copied": false, "applied": false,
		"healthy": true, "aborted": true, "reverted": true,
	} {
		if got := Ended(state); got != want {
			t.Errorf("Ended(%q) = %v", state, got)
		}
	}
}
