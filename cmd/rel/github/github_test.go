package github

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// Of what is not rel's own GitHub takes nothing for a command, wherever it is cut, and JSON
// still says the same.
func TestDefused(t *testing.T) {
	for text, want := range map[string]string{
		"::error::x\n":           ": :error::x\n",
		" \t::a\r::b\n\u00a0::c": " \t: :a\r: :b\n\u00a0: :c",
		":a\na::b :::\n:\n::":    ":a\na::b :::\n:\n: :",
		"#[a] x##[b]###[c]":      "#[a] x## [b]### [c]",
	} {
		for _, size := range []int{1, 2, 3, 100} {
			var out bytes.Buffer
			d := Defused(&out)
			for part := range slices.Chunk([]byte(text), size) {
				_, _ = d.Write(part)
			}
			if out.String() != want {
				t.Errorf("%q by %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
	var out bytes.Buffer
	if err := json.NewEncoder(ForJSON(Defused(&out))).Encode("##[error]::x"); err != nil || out.String() != `"##\u005berror]::x"`+"\n" {
		t.Errorf("as JSON: %s, %v", out.String(), err)
	}
	if AsItIs(Defused(&out)) != &out || AsItIs(&out) != &out {
		t.Error("rel's own commands do not pass")
	}
}

func TestAnnotation(t *testing.T) {
	got := Annotation("a:b,c", []string{"100%\r", "::x"})
	if want := "::error title=a%3Ab%2Cc::100%25%0D%0A::x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
