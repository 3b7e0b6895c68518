package show

import (
	"slices"
	"testing"
)

// Of several hosts each line says whose it is, also where all that are left are of one; of
// one that is known.
func TestLastLines(t *testing.T) {
	var l LastLines
	l.Add("web1", "a", 2)
	l.Add("web1", "b", 2)
	if got, want := l.Texts(), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("of one host: %q, want %q", got, want)
	}
	l.Add("web2", "c", 2)
	l.Add("web2", "d", 2)
	if got, want := l.Texts(), []string{"web2: c", "web2: d"}; !slices.Equal(got, want) {
		t.Errorf("of two hosts: %q, want %q", got, want)
	}
}
