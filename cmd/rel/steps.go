package main

import (
	"slices"
	"time"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

const (
	// usualOf is of how many promotions the usual is made, and usualAmong among how many
	// of the last ones they are looked for: it is no more than a hint.
	usualOf    = 5
	usualAmong = 20
)

// foretell tells the printer what is to come of a promotion that is in this state.
func (h *house) foretell(kind machine.Kind, state string) {
	tty, ok := h.printer.(*show.TTY)
	if !ok {
		return
	}
	usual, table := h.usual(kind), kind.Table()
	steps := make([]show.Step, len(table))
	reached := -1
	for i := range table {
		steps[i] = show.Step{Phase: table[i].Name, State: table[i].State, Usual: usual[table[i].Name]}
		if table[i].State == state {
			reached = i
		}
	}
	for i := range steps[:reached+1] {
		steps[i].Done = true
	}
	tty.Expect(steps)
}

// usual is how long the phases of the last healthy promotions of that kind took, as a rule.
// A journal that cannot be read has none.
func (h *house) usual(kind machine.Kind) map[string]time.Duration {
	ids, err := h.journal.Last(usualAmong)
	if err != nil {
		return nil
	}
	took, found := map[string][]time.Duration{}, 0
	for _, id := range slices.Backward(ids) {
		events, err := h.journal.Events(id)
		if err != nil || found == usualOf {
			break
		}
		past, err := machine.Replay(events)
		if err != nil || past.State != machine.Healthy || past.Start.Kind != kind {
			continue
		}
		found++
		for phase, d := range durations(events) {
			took[phase] = append(took[phase], d)
		}
	}
	usual := map[string]time.Duration{}
	for phase, list := range took {
		slices.Sort(list)
		usual[phase] = list[len(list)/2]
	}
	return usual
}

// durations is how long the phases took that came to their end.
func durations(events []journal.Event) map[string]time.Duration {
	took := map[string]time.Duration{}
	for _, ev := range events {
		if ev.Kind == journal.Moved && ev.Phase != "" {
			took[ev.Phase] = time.Duration(ev.Millis) * time.Millisecond
		}
	}
	return took
}
