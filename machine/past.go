package machine

import (
	"encoding/json"
	"fmt"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// Past is a promotion as the journal tells it.
type Past struct {
	ID    string
	Start Start
	State string
	Facts phases.Facts
	// Opened and Updated are when its first and its last event were recorded.
	Opened, Updated time.Time
	Operator        journal.Operator
	// Stopped is the last failed or interrupted attempt, if nothing has
	// succeeded since.
	Stopped *journal.Event
	// Unsettled is an intent that no outcome follows: what it did is unknown.
	Unsettled *journal.Event
	// Ending is how the last run left it, short of its end; nil while one is at work,
	// of one that was cut off, and of an older rel's.
	Ending *Ending

	attempts map[string]int
	// moves is how many Moved events there are.
	moves   int
	parts   map[string]json.RawMessage
	lastSeq int64
}

// Replay reads a promotion out of its events.
func Replay(events []journal.Event) (*Past, error) {
	if len(events) == 0 || events[0].Kind != journal.Opened {
		return nil, fmt.Errorf("promotion without an opening event")
	}
	first := events[0]
	past := &Past{
		ID: first.Promotion, State: New, Opened: first.At, Operator: first.Operator,
		attempts: map[string]int{}, parts: map[string]json.RawMessage{},
	}
	if err := json.Unmarshal(first.Data, &past.Start); err != nil {
		return nil, fmt.Errorf("promotion %s: read its plan: %w", past.ID, err)
	}
	if past.Start.Schema > schema {
		return nil, fmt.Errorf("promotion %s was started by a newer rel (%s)", past.ID, past.Start.Rel)
	}
	for i := range events {
		if err := past.take(&events[i]); err != nil {
			return nil, fmt.Errorf("promotion %s: event %d: %w", past.ID, events[i].Seq, err)
		}
	}
	var err error
	past.Facts, err = phases.Assemble(past.parts)
	return past, err
}

func (p *Past) take(ev *journal.Event) error {
	p.Updated, p.lastSeq = ev.At, ev.Seq
	switch ev.Kind {
	case journal.Intent:
		p.attempts[ev.Phase] = max(p.attempts[ev.Phase], ev.Attempt)
		p.Unsettled = ev
	case journal.Moved:
		if !p.Start.Kind.Known(ev.State) {
			return fmt.Errorf("unknown state %q", ev.State)
		}
		p.State, p.Unsettled = ev.State, nil
		p.moves++
		if ev.Phase != "" || Ended(ev.State) {
			p.Stopped = nil
		}
	case journal.Failed, journal.Interrupted:
		p.Stopped, p.Unsettled = ev, nil
	case journal.Resumed:
		p.Ending = nil
	case journal.Left:
		return p.leave(ev) // its data are no facts
	}
	if ev.Data == nil || ev.Kind == journal.Opened {
		return nil
	}
	var changed map[string]json.RawMessage
	if err := json.Unmarshal(ev.Data, &changed); err != nil {
		return fmt.Errorf("read its facts: %w", err)
	}
	for name, part := range changed {
		p.parts[name] = part
	}
	return nil
}

// Ended reports whether the promotion is over.
func (p *Past) Ended() bool { return Ended(p.State) }

// Attempts is how often a phase has been begun.
func (p *Past) Attempts(phase string) int { return p.attempts[phase] }

// Touched reports whether the promotion may have changed a target: an apply
// was begun. The state alone does not tell, since an apply that was cut
// half-way leaves it at copied.
func (p *Past) Touched() bool { return p.attempts["apply"] > 0 }

// Release is the release it makes live; nil before there is one.
func (p *Past) Release() *phases.Release {
	if p.Start.Plan.Release != nil {
		return p.Start.Plan.Release
	}
	return p.Facts.Build
}
