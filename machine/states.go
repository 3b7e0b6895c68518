package machine

import (
	"github.com/looplab/fsm"

	"choir.chat/rel/phases"
)

// The states beside those of the phase tables. They are on disk: their
// spelling never changes.
const (
	// New: the promotion is opened, and nothing is done yet.
	New = "new"
	// Healthy: the release is live, checked and confirmed. An end.
	Healthy = "healthy"
	// Aborted: given up before anything changed on a target. An end.
	Aborted = "aborted"
	// Reverted: given up, and the targets are back on what they ran. An end.
	Reverted = "reverted"
)

// The events beside the phases' names.
const (
	eventAbort  = "abort"
	eventRevert = "revert"
)

// undo names the event of a state that was found to be no longer true.
func undo(phase *phases.Phase) string { return "undo_" + phase.Name }

// newFSM derives the state machine from a table. before is called for every
// transition and may cancel it. Only the generic before_event is used: the
// library drops a misspelt callback name in silence.
func newFSM(table []phases.Phase, state string, before fsm.Callback) *fsm.FSM {
	return fsm.NewFSM(state, transitions(table), fsm.Callbacks{"before_event": before})
}

func transitions(table []phases.Phase) fsm.Events {
	var events fsm.Events
	open := []string{New}
	// From these a release may have been on the targets: the states that an
	// apply leads to, or a step back from one.
	var touched []string
	for i := range table {
		phase := &table[i]
		previous := open[len(open)-1]
		events = append(events, fsm.EventDesc{Name: phase.Name, Src: []string{previous}, Dst: phase.State})
		if phase.Holds != nil {
			events = append(events, fsm.EventDesc{Name: undo(phase), Src: []string{phase.State}, Dst: previous})
			if len(touched) == 0 {
				touched = append(touched, previous)
			}
			touched = append(touched, phase.State)
		}
		open = append(open, phase.State)
	}
	// What is healthy is ended by the next promotion, not by giving it up.
	open = open[:len(open)-1]
	return append(events,
		fsm.EventDesc{Name: eventAbort, Src: open, Dst: Aborted},
		fsm.EventDesc{Name: eventRevert, Src: touched, Dst: Reverted})
}

// Ended reports whether a promotion in this state is over.
func Ended(state string) bool {
	return state == Healthy || state == Aborted || state == Reverted
}

// Known reports whether the state is one of the kind's states. The library
// accepts any: a journal from a newer rel must be refused, not guessed at.
func (k Kind) Known(state string) bool {
	if state == New || Ended(state) {
		return true
	}
	for _, phase := range k.Table() {
		if phase.State == state {
			return true
		}
	}
	return false
}

// Diagram draws the states and transitions of a kind in Mermaid's language.
func (k Kind) Diagram() (string, error) {
	m := newFSM(k.Table(), New, nil)
	return fsm.VisualizeForMermaidWithGraphType(m, fsm.StateDiagram)
}
