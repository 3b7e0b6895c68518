package config

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// TOMLString is the text as a basic string of TOML 1.0: whatever it holds, it neither
// ends the string nor the line, and shows as what it is. What is no UTF-8 cannot be
// said in TOML, and stands as U+FFFD.
func TOMLString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		// The invisible, and what reorders a line: an editor would show another text.
		case r != utf8.RuneError && !unicode.IsPrint(r):
			b.WriteString(tomlEscape(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func tomlEscape(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// TOMLValue is a value of the configuration as TOML has it.
func TOMLValue(value any) string {
	switch v := value.(type) {
	case string:
		return TOMLString(v)
	case phases.Duration:
		return TOMLString(shortDuration(time.Duration(v)))
	case []string:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = TOMLString(word)
		}
		return "[" + strings.Join(words, ", ") + "]"
	default:
		return fmt.Sprint(v) // numbers and truth values
	}
}

// shortDuration is as people write it: 2m, not 2m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// TOMLComment is a text, which may come from a host, as one comment.
func TOMLComment(text string) string {
	return "# " + strings.Join(strings.Fields(remote.Clean(text)), " ")
}
