package phases

import "encoding/json"

// Facts are what the phases found and made, recorded for later phases and for
// resume. Each phase writes the field named after it, whole.
type Facts struct {
	Sync   *Synced   `json:"sync,omitempty"`
	Verify *Verified `json:"verify,omitempty"`
	Build  *Release  `json:"build,omitempty"`
	Copy   *Copied   `json:"copy,omitempty"`
	Apply  *Applied  `json:"apply,omitempty"`
	Health *Checked  `json:"health,omitempty"`
}

// Parts breaks the facts into their fields, as they are recorded.
func (f *Facts) Parts() (map[string]json.RawMessage, error) {
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	var parts map[string]json.RawMessage
	return parts, json.Unmarshal(b, &parts)
}

// Assemble is the inverse of Parts.
func Assemble(parts map[string]json.RawMessage) (Facts, error) {
	var facts Facts
	b, err := json.Marshal(parts)
	if err != nil {
		return facts, err
	}
	return facts, json.Unmarshal(b, &facts)
}

// Release is the release this promotion makes live: the one it built or, in a
// rollback, the recorded one. Nil before there is one.
func (p *Promotion) Release() *Release {
	if p.Plan.Release != nil {
		return p.Plan.Release
	}
	return p.Facts.Build
}
