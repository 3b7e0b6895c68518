package machine

import "choir.chat/rel/phases"

// Start is what an Opened event holds.
type Start struct {
	// Schema is the version of this record's form.
	Schema int         `json:"schema"`
	Kind   Kind        `json:"kind"`
	Plan   phases.Plan `json:"plan"`
	// Of is the release that a rollback makes live again, From the promotion
	// that it takes off the targets.
	Of   string `json:"of,omitempty"`
	From string `json:"from,omitempty"`
	// Why is the operator's reason.
	Why string `json:"why,omitempty"`
	// Rel is the version of rel.
	Rel string `json:"rel"`
}

// schema is what this package writes into Start.
const schema = 1

// Kind says which table a promotion goes by.
type Kind string

// The kinds of promotion.
const (
	Forward  Kind = "start"
	Rollback Kind = "rollback"
)

// Table is the kind's phases.
func (k Kind) Table() []phases.Phase {
	if k == Rollback {
		return phases.Back
	}
	return phases.Forward
}
