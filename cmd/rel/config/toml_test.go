package config

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"choir.chat/rel/phases"
)

// FuzzTOMLString: whatever a text holds, it is the same once it was written and read,
// but for what is no UTF-8; and neither it nor a comment ends its line.
func FuzzTOMLString(f *testing.F) {
	for _, text := range []string{"", "plain", `a"b`, `a\b`, "a\nb = 1", "a\tb", "a\rb", "\x00\x1b[2J\x7f", "\u0085\u009b\u2028\u202e", "\xff\xfe", "'''", `"""`, "𝄞\U000e0001", "# x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		line := "x = " + TOMLString(text) + "  " + TOMLComment(text)
		if strings.ContainsFunc(line, unicode.IsControl) {
			t.Fatalf("%q has control characters", line)
		}
		var back struct{ X string }
		if err := toml.Unmarshal([]byte(line+"\ny = 1\n"), &back); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if want := strings.ToValidUTF8(text, "\uFFFD"); strings.ReplaceAll(back.X, "\uFFFD", "") != strings.ReplaceAll(want, "\uFFFD", "") {
			t.Errorf("%q is %q", text, back.X)
		}
	})
}

func TestTOMLValue(t *testing.T) {
	for want, value := range map[string]any{
		`"2m"`: phases.Duration(2 * time.Minute), `"1h30m"`: phases.Duration(90 * time.Minute), `"3h"`: phases.Duration(3 * time.Hour),
		`"0s"`: phases.Duration(0), `"200ms"`: phases.Duration(200 * time.Millisecond), `"1m30s"`: phases.Duration(90 * time.Second),
		`"10m"`: phases.Duration(10 * time.Minute), `"20s"`: phases.Duration(20 * time.Second),
		`["a", "b\"c"]`: []string{"a", `b"c`}, `[]`: []string(nil), `5`: 5, `true`: true,
	} {
		if got := TOMLValue(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
}
