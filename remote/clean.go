package remote

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi/parser"
)

// LineCap is the most of one line that is kept.
const LineCap = 4 << 10

// Clean makes text from a host safe to show and to record: escape sequences
// are taken out whole, then every control character that is left (C0 but for
// newline and tab, DEL, C1, and the marks that reorder or hide text), and what
// is not UTF-8 shows as U+FFFD.
func Clean(text string) string {
	text = strip(strings.ToValidUTF8(text, "\uFFFD"))
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		// Cf are the format characters: bidi overrides, zero-width marks.
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text)
}

// strip takes escape sequences out of valid UTF-8, as a terminal would take them in.
// It is what x/ansi's Strip does; that package itself would bring along tables of
// widths that take longer to make than all else at the start of a command.
func strip(text string) string {
	var b strings.Builder
	state := parser.GroundState
	for i := 0; i < len(text); i++ {
		next, action := parser.Table.Transition(state, text[i])
		switch {
		case next == parser.Utf8State:
			_, size := utf8.DecodeRuneInString(text[i:])
			b.WriteString(text[i : i+size])
			i += size - 1
			next = parser.GroundState
		case action == parser.PrintAction || action == parser.ExecuteAction:
			b.WriteByte(text[i])
		}
		state = next
	}
	return b.String()
}

// oneLine is clean text in one line, for the words of an error.
func oneLine(text string) string { return strings.Join(strings.Fields(Clean(text)), " ") }

// clip shortens what a host has to say in an error.
func clip(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// lineWriter cuts what is written to it into clean lines. A carriage return
// ends a line too: it is how progress is drawn over what stood there.
type lineWriter struct {
	emit func(string)
	rest []byte
	// tail are the last lines, for the error if there is one.
	tail []string
}

// tailLines is how many lines a failure repeats.
const tailLines = 30

func (w *lineWriter) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n' || c == '\r':
			w.flush()
		case len(w.rest) < LineCap:
			w.rest = append(w.rest, c)
		}
	}
	return len(b), nil
}

func (w *lineWriter) flush() {
	line := Clean(string(w.rest))
	w.rest = w.rest[:0]
	if strings.TrimSpace(line) == "" {
		return
	}
	if w.tail = append(w.tail, line); len(w.tail) > tailLines {
		w.tail = w.tail[1:]
	}
	if w.emit != nil {
		w.emit(line)
	}
}
