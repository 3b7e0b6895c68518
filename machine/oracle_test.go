package machine

import (
	"fmt"
	"slices"

	"choir.chat/rel/journal"
)

// What a promotion may do, once more and by hand: were it derived from the
// phases' tables as the machine's is, a slip in them would be right in both.
var (
	// moves are all transitions, as "from>to" and the phase that makes them.
	moves = map[Kind][]string{
		Forward: {
			"new>synced sync", "synced>verified verify", "verified>built build", "built>copied copy", "copied>applied apply", "applied>healthy health",
			"built>verified", "copied>built", "applied>copied",
			"new>aborted", "synced>aborted", "verified>aborted", "built>aborted", "copied>aborted", "applied>aborted",
			"verified>reverted", "built>reverted", "copied>reverted", "applied>reverted",
		},
		Rollback: {
			"new>verified verify", "verified>copied copy", "copied>applied apply", "applied>healthy health",
			"copied>verified", "applied>copied",
			"new>aborted", "verified>aborted", "copied>aborted", "applied>aborted",
			"verified>reverted", "copied>reverted", "applied>reverted",
		},
		Adopt: {"new>healthy adopt", "new>aborted"},
	}
	// ways are the states and phases in turn, from the beginning to the end.
	ways = map[Kind][]string{
		Forward:  {"new", "sync", "synced", "verify", "verified", "build", "built", "copy", "copied", "apply", "applied", "health", "healthy"},
		Rollback: {"new", "verify", "verified", "copy", "copied", "apply", "applied", "health", "healthy"},
		Adopt:    {"new", "adopt", "healthy"},
	}
	ends = []string{"healthy", "aborted", "reverted"}
)

// deed is what a phase does.
type deed string

const (
	succeeds deed = "succeeds"
	fails    deed = "fails"
	panics   deed = "panics"
	// isCut: the operator interrupts, and the phase obeys where it may.
	isCut deed = "is cut"
	// isLate: the operator interrupts, and the phase gets done all the same.
	isLate deed = "is late"
	// failsCut: the operator interrupts, and the phase fails by itself.
	failsCut deed = "fails while it is cut"
)

// sight is what looking at a reached state finds.
type sight string

const (
	isThere    sight = "there"
	isLost     sight = "lost"
	isUnknown  sight = "unknown"
	looksPanic sight = "panic"
)

// script is what happens in one step: what each phase does, what is seen of
// what each has reached, and which appends fail.
type script struct {
	deeds  map[string]deed
	sights map[string]sight
	// refuse is the first append that fails, from 1; onwards says that all later
	// ones do.
	refuse  int
	onwards bool
}

// oracle is a promotion as it should be: it foretells what a step records.
type oracle struct {
	kind     Kind
	state    string
	attempts map[string]int
	moves    int
	// open is the attempt that has an intent and no outcome, as "copy#2".
	open string

	script script
	// lines are what is foretold to be recorded in this step, and appends how
	// many appends there have been in it.
	lines   []string
	appends int
	cut     bool
}

func newOracle(kind Kind) *oracle {
	return &oracle{kind: kind, state: "new", attempts: map[string]int{}}
}

// begin begins a step.
func (o *oracle) begin(s script) { o.script, o.lines, o.appends, o.cut = s, nil, 0, false }

// append says whether the line gets recorded.
func (o *oracle) append(format string, args ...any) bool {
	o.appends++
	if o.script.refuse > 0 && (o.appends == o.script.refuse || o.script.onwards && o.appends > o.script.refuse) {
		return false
	}
	o.lines = append(o.lines, fmt.Sprintf(format, args...))
	return true
}

func (o *oracle) ended() bool { return slices.Contains(ends, o.state) }

// move is a transition by a phase, or without one.
func (o *oracle) move(to, attempt string) bool {
	line := "moved " + o.state + ">" + to
	if attempt != "" {
		line += " " + attempt
	}
	if !o.append("%s", line) {
		return false
	}
	o.state, o.open = to, ""
	o.moves++
	return true
}

func (o *oracle) resume() { o.append("resumed %s", o.state) }

// run takes the promotion as far as it gets.
func (o *oracle) run() {
	way := ways[o.kind]
	for {
		at := slices.Index(way, o.state)
		if o.ended() || o.cut {
			return
		}
		phase, to := way[at+1], way[at+2]
		if o.moves >= 64 || phase == "apply" && o.moves >= 63 {
			return
		}
		attempt := fmt.Sprintf("%s#%d", phase, o.attempts[phase]+1)
		if !o.append("intent %s", attempt) {
			return
		}
		o.attempts[phase]++
		o.open = attempt
		o.append("note %s", attempt)
		outcome := o.outcome(phase)
		if outcome == "moved" {
			if !o.move(to, attempt) {
				return
			}
			continue
		}
		if o.append("%s %s", outcome, attempt) {
			o.open = ""
			if phase == "health" {
				o.look()
			}
		}
		return
	}
}

func (o *oracle) outcome(phase string) string {
	d := o.script.deeds[phase]
	switch d {
	case isCut, isLate, failsCut:
		o.cut = true
	}
	switch {
	case d == fails || d == panics || d == failsCut:
		return "failed"
	case d == isCut && phase != "apply":
		return "interrupted"
	}
	return "moved"
}

// look goes back over what is lost.
func (o *oracle) look() {
	way := ways[o.kind]
	for {
		at := slices.Index(way, o.state)
		if at < 2 || o.script.sights[way[at-1]] != isLost || o.moves >= 64 {
			return
		}
		switch way[at-1] {
		case "build", "copy", "apply":
		default: // nothing takes these away again
			return
		}
		if !o.move(way[at-2], "") {
			return
		}
	}
}

// abort ends the promotion by hand, if it may be.
func (o *oracle) abort(to string) {
	if slices.Contains(moves[o.kind], o.state+">"+to) {
		o.move(to, "")
	}
}

// line is a recorded event as the oracle puts it.
func line(ev journal.Event) string {
	s := string(ev.Kind)
	if ev.From != "" {
		s += " " + ev.From + ">" + ev.State
	} else if ev.State != "" {
		s += " " + ev.State
	}
	if ev.Phase != "" {
		s += fmt.Sprintf(" %s#%d", ev.Phase, ev.Attempt)
	}
	return s
}
