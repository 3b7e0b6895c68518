package main

import (
	"encoding/json"
	"io"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// jsonSchema is the version of what is printed as JSON: doc/json.md. Fields are only ever
// added; what would change or take one away makes it another.
const jsonSchema = 1

// eventJSON is an event as it is printed.
type eventJSON struct {
	Schema int `json:"schema"`
	journal.Event
}

func writeEvents(out io.Writer, events []journal.Event) error {
	encoder := json.NewEncoder(out)
	for _, ev := range events {
		if err := encoder.Encode(eventJSON{jsonSchema, ev}); err != nil {
			return err
		}
	}
	return nil
}

// promotionJSON is a promotion as `rel log --json` prints it.
type promotionJSON struct {
	Schema  int    `json:"schema"`
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Commit  string `json:"commit,omitempty"`
	Subject string `json:"subject,omitempty"`
	Why     string `json:"why,omitempty"`
	// Operator is who opened it.
	Operator journal.Operator `json:"operator"`
	Build    string           `json:"build"`
	Targets  []string         `json:"targets"`
	// Release is the promotion that built what it makes live, From the one that a
	// rollback takes off the targets.
	Release string    `json:"release,omitempty"`
	From    string    `json:"from,omitempty"`
	Opened  time.Time `json:"opened"`
	Updated time.Time `json:"updated"`
	Millis  int64     `json:"ms"`
	State   string    `json:"state"`
	Ended   bool      `json:"ended"`
	Working bool      `json:"working"`
	// Stopped is the attempt that it stopped in, if nothing has succeeded since.
	Stopped *stoppedJSON `json:"stopped,omitempty"`
	// Exit is the exit status that `rel watch` ends with; nil while it is at work.
	Exit *int `json:"exit,omitempty"`
}

// stoppedJSON is an attempt that did not reach its state.
type stoppedJSON struct {
	Phase   string `json:"phase"`
	Attempt int    `json:"attempt"`
	// How is "failed", "interrupted" or "cut".
	How  string `json:"how"`
	Text string `json:"text,omitempty"`
}

func promotionOf(r logRow) promotionJSON {
	p := r.past
	plan := &p.Start.Plan
	j := promotionJSON{
		Schema: jsonSchema, ID: p.ID, Kind: string(p.Start.Kind), Commit: plan.Commit, Subject: plan.Subject, Why: p.Start.Why,
		Operator: p.Operator, Build: plan.Build.Host, Targets: targetNames(plan), From: plan.From,
		Opened: p.Opened, Updated: p.Updated, Millis: p.Updated.Sub(p.Opened).Milliseconds(),
		State: p.State, Ended: p.Ended(), Working: r.working, Stopped: stoppedOf(r),
	}
	if release := p.Release(); release != nil {
		j.Release = release.ID
	}
	if !r.working {
		exit := exitStatus(p, r.events)
		j.Exit = &exit
	}
	return j
}

func stoppedOf(r logRow) *stoppedJSON {
	p := r.past
	switch {
	case p.Ended():
		return nil
	case p.Unsettled != nil && r.working:
		return nil
	case p.Unsettled != nil:
		return &stoppedJSON{Phase: p.Unsettled.Phase, Attempt: p.Unsettled.Attempt, How: "cut"}
	case p.Stopped != nil:
		return &stoppedJSON{Phase: p.Stopped.Phase, Attempt: p.Stopped.Attempt, How: string(p.Stopped.Kind), Text: p.Stopped.Text}
	}
	return nil
}

// exitStatus is that of the promotion's last run. An older rel's did not record it: it
// is told as far as the events do.
func exitStatus(p *machine.Past, events []journal.Event) int {
	switch {
	case p.State == machine.Healthy:
		return exitOK
	case p.State == machine.Aborted:
		return exitFailed
	case p.State == machine.Reverted:
		return exitReverted
	case p.Ending != nil:
		return p.Ending.Exit
	}
	stopped := lastStop(events)
	switch {
	case stopped == nil || stopped.Kind == journal.Interrupted:
		return exitInterrupted
	case stopped.Phase == "health" && p.State != "applied":
		return exitReverted // the look after it has found the targets back
	case stopped.Phase == "health" || stopped.Phase == "apply":
		return exitPerson
	}
	return exitFailed
}

// lastStop is the failed or interrupted attempt that the last run ended with; nil, if
// that was cut off.
func lastStop(events []journal.Event) (stopped *journal.Event) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case journal.Failed, journal.Interrupted:
			stopped = ev
		case journal.Opened, journal.Resumed, journal.Intent:
			stopped = nil
		}
	}
	return stopped
}
