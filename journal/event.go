package journal

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Kind says what an event tells. Kinds are on disk: their spelling never changes.
type Kind string

const (
	// Opened begins a promotion; its data is what it was started with.
	Opened Kind = "opened"
	// Resumed says that an operator took a stopped promotion up again.
	Resumed Kind = "resumed"
	// Intent says that a phase is about to act. An intent that nothing follows
	// means: it is not known what was done.
	Intent Kind = "intent"
	// Note is something a phase found or did on a host, for people to read.
	Note Kind = "note"
	// Moved says that a promotion is in another state: a phase is done, was
	// found undone, or the promotion was ended by hand.
	Moved Kind = "moved"
	// Failed says that an attempt at a phase ended without reaching its state.
	Failed Kind = "failed"
	// Interrupted says that the operator stopped an attempt.
	Interrupted Kind = "interrupted"
	// Left says that the run which was at work is over, short of the promotion's
	// end; its data is how it ended. Without one after the last attempt the run was
	// cut off, or an older rel's.
	Left Kind = "left"
)

// Event is one record: the same value is stored, shown live, printed as JSON
// and read back by `rel log`, so that these cannot disagree.
type Event struct {
	// Seq numbers the journal's events from 1 without gaps.
	Seq int64 `json:"seq"`
	// At is when the event was recorded, by the operator's clock. Order is
	// Seq's business: clocks jump.
	At        time.Time `json:"at"`
	Promotion string    `json:"promotion"`
	Kind      Kind      `json:"kind"`
	Operator  Operator  `json:"operator"`
	// Phase and Attempt name the run of a phase that the event belongs to.
	Phase   string `json:"phase,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	// From and State are the states a Moved event leads from and to.
	From  string `json:"from,omitempty"`
	State string `json:"state,omitempty"`
	// Host is the alias of the host the event is about, where it is about one.
	Host string `json:"host,omitempty"`
	// Text is for people: one line, free of control characters.
	Text string `json:"text,omitempty"`
	// Millis is how long the attempt took, in milliseconds.
	Millis int64 `json:"ms,omitempty"`
	// Data is what later phases and readers need; its form belongs to Kind.
	Data json.RawMessage `json:"data,omitempty"`
	// Prev is the hash of the event before, Hash is SHA256(Prev + this record).
	Prev Hash `json:"prev"`
	Hash Hash `json:"hash,omitzero"`
}

// oneLine makes a text what Event.Text promises: whatever an error carries,
// the audit is read on a terminal, a line at a time.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// Operator is who acts: the person and machine, and the SSH key they proved
// themselves to the hosts with, the only part of it that a host can attest.
type Operator struct {
	Name string `json:"name"`
	Key  string `json:"key,omitempty"`
}

// Hash is a SHA-256 sum, written in hex.
type Hash [32]byte

// IsZero reports whether the hash is that of nothing.
func (h Hash) IsZero() bool { return h == Hash{} }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes the hash in hex; that of nothing is empty.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("%q is not a SHA-256 sum", text)
	}
	*h = Hash(b)
	return nil
}
