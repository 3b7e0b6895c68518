package show

import (
	"strings"
	"testing"
)

// TestHung: no word is broken, what goes on stands below its column, and what fits stays as
// it is.
func TestHung(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"fits  as it is\n", "fits  as it is\n"},
		{"  \x1b[31m✖ failure\x1b[0m root  nobody can become root there\n",
			"  \x1b[31m✖ failure\x1b[0m root  nobody can\n                  become root\n                  there\n"},
		{"    note: it goes back by itself if need be\n", "    note: it goes back by itself\n    if need be\n"},
		{"what is wide has no columns at all here", "what is wide has no columns\n    at all here"},
		{"one column is so far to the right  that\nx\n", "one column is so far to the\n    right  that\nx\n"},
		{"    id  " + strings.Repeat("x", 40) + " y\n", "    id  " + strings.Repeat("x", 40) + "\n        y\n"},
		{"\t\t" + strings.Repeat("x", 40) + "\t\t y\n", "\t\t" + strings.Repeat("x", 40) + "\t\t\n    y\n"},
		{"\n", "\n"},
	} {
		if got := Hung(c.text, 32); got != c.want {
			t.Errorf("%q becomes\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
}
