package journal

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestHistories(t *testing.T) {
	j := New(filepath.Join(t.TempDir(), "journal.db"))
	for _, id := range []string{"a", "b", "a", "c", "b"} {
		if _, err := j.Append(Event{Promotion: id, Kind: Note}); err != nil {
			t.Fatal(err)
		}
	}
	for n, want := range map[int]string{0: "aa bb c", 2: "bb c", 1: "c", 9: "aa bb c"} {
		lists, err := j.Histories(n)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, events := range lists {
			ids := ""
			for _, ev := range events {
				ids += ev.Promotion
			}
			got = append(got, ids)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("the last %d are %v, want %s", n, got, want)
		}
	}
}
