package remote

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// FuzzStrip holds strip against x/ansi, whose tables it goes by.
func FuzzStrip(f *testing.F) {
	for _, text := range []string{
		"", "plain", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07after", "\x1b]8;;http://x\x1b\\link", "\x1bPq\x1b\\größer", "\x1b[1;", "日本\x1b[K語",
		"\u009b31m", "\x1b", "\x1b\x1b[A", "a\rb\bc\x7f", "\x1b_apc\x9c", "\x1bXsos\x1b", "\x1b]0;größer\x07x", "\x90q\x9c",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		if got, want := strip(text), ansi.Strip(text); got != want {
			t.Errorf("of %q is left %q, want %q", text, got, want)
		}
	})
}
