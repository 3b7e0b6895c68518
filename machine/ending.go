package machine

import (
	"encoding/json"
	"fmt"

	"choir.chat/rel/journal"
)

// Ending is what a Left event holds: how a run ended that did not take its promotion
// to its end. Whoever watches it from elsewhere is told the same by it.
type Ending struct {
	// Exit is the run's exit status.
	Exit int `json:"exit"`
	// Targets says of each target what it ran then, Next what to type.
	Targets []string `json:"targets,omitempty"`
	Next    string   `json:"next,omitempty"`
}

// Leave is the Left event of a promotion's run. What says what went wrong.
func Leave(promotion, what string, e Ending) (journal.Event, error) {
	data, err := json.Marshal(e)
	return journal.Event{Promotion: promotion, Kind: journal.Left, Text: what, Data: data}, err
}

func (p *Past) leave(ev *journal.Event) error {
	p.Ending = new(Ending)
	if err := json.Unmarshal(ev.Data, p.Ending); err != nil {
		return fmt.Errorf("read how the run ended: %w", err)
	}
	return nil
}
