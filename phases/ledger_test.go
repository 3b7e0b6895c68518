package phases

import (
	"slices"
	"strings"
	"testing"
)

// chronicle is a target's ledger written as a line per promotion:
//
//	"2 b"            promotion 2, whose links lead to content b
//	"2 b left 3"     the same, taken off by the rollback 3
//	"3 a back to 1"  a rollback
func chronicle(lines ...string) *Ledger {
	l := new(Ledger)
	for _, line := range lines {
		words := strings.Fields(line)
		r := Recorded{ID: words[0], Origin: words[0], Content: words[1], Kind: "start", Usable: true}
		if len(words) > 3 && words[2] == "back" {
			r.Kind, r.Origin = "rollback", words[4]
		} else if len(words) > 3 {
			r.Left = words[3]
		}
		l.Live = r.ID
		l.Releases = append(l.Releases, r)
	}
	return l
}

func TestCandidates(t *testing.T) {
	for name, c := range map[string]struct {
		ledger []string
		want   string // ids, nearest first
	}{
		"nothing":        {},
		"only one":       {ledger: []string{"1 a"}},
		"two":            {ledger: []string{"1 a", "2 b"}, want: "1"},
		"the nearest":    {ledger: []string{"1 a", "2 b", "3 c"}, want: "2 1"},
		"the same twice": {ledger: []string{"1 a", "2 a", "3 b", "4 b"}, want: "2"},
		"rolled back":    {ledger: []string{"1 a", "2 b left 3", "3 a back to 1"}},
		"rolled back, with one more before": {
			ledger: []string{"1 a", "2 b", "3 c left 4", "4 b back to 2"}, want: "1",
		},
		"what was rolled back is no candidate": {
			ledger: []string{"1 a", "2 b left 3", "3 a back to 1", "4 d"}, want: "1",
		},
		"what a rollback skipped is one": {
			ledger: []string{"1 a", "2 b", "3 c left 4", "4 a back to 1", "5 d"}, want: "2 1",
		},
		"what was rolled back, under its other name": {
			ledger: []string{"1 a", "2 b", "3 b left 4", "4 a back to 1", "5 c"}, want: "1",
		},
		"the order is that of the target": {
			ledger: []string{"2 a", "1 b", "0 c"}, want: "1 2",
		},
		"what is live again is left no more": {
			ledger: []string{"1 a left 4", "2 b", "3 a back to 1", "4 b back to 2", "5 c"}, want: "2",
		},
	} {
		var got []string
		for _, r := range chronicle(c.ledger...).Candidates() {
			got = append(got, r.ID)
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			t.Errorf("%s: the candidates are %v, want %s", name, got, c.want)
		}
	}
	l := chronicle("1 a", "2 b")
	l.Astray = true
	if got := l.Candidates(); len(got) != 2 || got[0].ID != "2" {
		t.Errorf("the links have left what is live, and the candidates are %v", got)
	}
	l.Live = "3"
	if got := l.Candidates(); got != nil {
		t.Errorf("what is live is not on record, and there are candidates: %v", got)
	}
}
