package phases

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// lifetime is how long a hold stands without a heartbeat; hold.sh says the same.
const lifetime = 15 * time.Second

// Holder is who may change a target, as the target has it.
type Holder struct {
	// Epoch numbers the holds of a target. It only grows: what comes with an
	// older one is refused there.
	Epoch     int64  `json:"epoch"`
	Promotion string `json:"promotion"`
	// Phase is the one that it was in at the last heartbeat; empty before the
	// first.
	Phase string `json:"phase,omitempty"`
	// Silent is how long ago that was, by the target's clock.
	Silent Duration  `json:"silent"`
	Since  time.Time `json:"since"`
	// Key is the fingerprint of the operator's SSH key.
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator"`
}

// parseHolder reads what target.sh says of a hold; nil, if no one has it.
func parseHolder(text string) *Holder {
	f := strings.SplitN(text, "|", 7)
	if len(f) != 7 {
		return nil
	}
	h := &Holder{Promotion: f[1], Phase: f[2], Key: f[5], Operator: f[6]}
	h.Epoch, _ = strconv.ParseInt(f[0], 10, 64)
	silent, _ := strconv.Atoi(f[3])
	h.Silent = Duration(time.Duration(silent) * time.Second)
	h.Since, _ = time.Parse(time.RFC3339, f[4])
	return h
}

// Alive reports whether the holder has given a sign of life of late.
func (h *Holder) Alive() bool { return h != nil && time.Duration(h.Silent) < lifetime }

func (h *Holder) String() string {
	text := fmt.Sprintf("promotion %s of %s", h.Promotion, h.Operator)
	if h.Key != "" {
		text += " (" + h.Key + ")"
	}
	if h.Phase != "" {
		text += ", in " + h.Phase
	}
	return fmt.Sprintf("%s, since %s, last heartbeat %s ago", text, h.Since.Local().Format(time.DateTime), time.Duration(h.Silent))
}

// HeldError says that someone else holds a target.
type HeldError struct {
	Host   string
	Holder Holder
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s: held by %s", e.Host, &e.Holder) }

// HoldLostError says that the hold of a target was taken from this run, and that
// the target takes nothing more from it.
type HoldLostError struct {
	Host string
	// Holder is who has it now; nil, if no one does.
	Holder *Holder
}

func (e *HoldLostError) Error() string {
	if e.Holder == nil {
		return e.Host + ": the hold of this promotion was taken away"
	}
	return fmt.Sprintf("%s: taken over by %s", e.Host, e.Holder)
}
