package machine

import "choir.chat/rel/phases"

// Start is what an Opened event holds.
type Start struct {
	// Schema is the version of this record's form.
	Schema int         `json:"schema"`
	Kind   Kind        `json:"kind"`
	Plan   phases.Plan `json:"plan"`
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
	// Adopt takes over what the targets run already.
	Adopt Kind = "adopt"
)

// Kinds are all of them.
var Kinds = []Kind{Forward, Rollback, Adopt}

// Table is the kind's phases.
func (k Kind) Table() []phases.Phase {
	switch k {
	case Rollback:
		return phases.Back
	case Adopt:
		return phases.Adopting
	}
	return phases.Forward
}
