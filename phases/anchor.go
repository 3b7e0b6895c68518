package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"time"
)

//go:embed anchors.sh
var anchorsScript string

// Anchor is a place in an operator's journal. The targets' ledgers keep some, by
// which a journal that was cut short or rewritten is found out.
type Anchor struct {
	// Journal tells the journal from others; Seq and Head are the number and the
	// hash of its last event.
	Journal string `json:"journal,omitempty"`
	Seq     int64  `json:"seq,omitempty"`
	Head    string `json:"head,omitempty"`
}

// Anchored is a line of a target's ledger with an anchor in it.
type Anchored struct {
	At        time.Time `json:"at"`
	What      string    `json:"what"`
	Promotion string    `json:"promotion"`
	Operator  string    `json:"operator"`
	Anchor
}

// ReadAnchors asks a target for the lines of its ledger that have an anchor, the
// oldest first. Lines that are not whole, as a full disk leaves them, are passed
// over: they speak for nothing.
func ReadAnchors(ctx context.Context, host Host, line func(string), app string) ([]Anchored, error) {
	out, err := host.Run(ctx, Script{
		Name: "anchors.sh", Code: targetHead + anchorsScript, Root: true, Reads: true, Line: line, Env: map[string]string{"APP": app, "ID": ""},
	})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "anchors.sh", out)
	if err != nil {
		return nil, err
	}
	var list []Anchored
	for _, text := range a.all("line") {
		var l Anchored
		if json.Unmarshal([]byte(text), &l) == nil && l.Journal != "" && l.Seq > 0 {
			list = append(list, l)
		}
	}
	return list, nil
}
