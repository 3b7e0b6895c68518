package show

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

// screen is where lines stand that stay, and under them a block that is drawn over
// itself.
type screen struct {
	out io.Writer
	// size is the terminal's; without ok nothing is drawn there that does not stay.
	size func() (width, height int, ok bool)
	// reflows says that the terminal, as it gets narrower, lays lines that do not fit
	// into several.
	reflows bool
	// drawn are the lines of the block that stands there.
	drawn []string
}

// escapes are widths of what is shown: escape sequences have none.
var escapes = displaywidth.Options{ControlSequences: true}

// reflows reports whether the terminal is one that does. Most do; those that do not
// are told by what they set.
func reflows() bool {
	for _, name := range []string{"XTERM_VERSION", "STY"} {
		if os.Getenv(name) != "" && os.Getenv("TMUX") == "" {
			return false
		}
	}
	return os.Getenv("TERM") != "linux"
}

// show prints lines that stay, and the block below them, in one write: a terminal that
// shows half of it would flicker.
func (s *screen) show(above, block []string) {
	var b strings.Builder
	b.WriteString(s.eraser())
	for _, line := range above {
		b.WriteString(line + "\n")
	}
	s.drawn = nil
	if width, _, ok := s.size(); ok && len(block) > 0 {
		// A line that wrapped would make the block taller than what the eraser goes up
		// by, and terminals do not agree on the width of everything.
		b.WriteString("\x1b[?7l")
		for _, line := range block {
			line = shorten(line, width-1)
			b.WriteString(line + "\n")
			s.drawn = append(s.drawn, line)
		}
		b.WriteString("\x1b[?7h")
	}
	if b.Len() > 0 {
		_, _ = io.WriteString(s.out, b.String())
	}
}

// forget takes what stands there for something that stays: others have written below it.
func (s *screen) forget() { s.drawn = nil }

// eraser goes up to the block's first line and clears from there to the end.
func (s *screen) eraser() string {
	if len(s.drawn) == 0 {
		return ""
	}
	rows := len(s.drawn)
	if width, height, ok := s.size(); ok {
		if s.reflows {
			rows = 0
			for _, line := range s.drawn {
				rows += rowsOf(line, width)
			}
		}
		// What has left the screen at its top cannot be reached.
		rows = min(rows, height-1)
	}
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", max(rows, 1))
}

// rowsOf is how many rows a line takes.
func rowsOf(line string, width int) int {
	rows, column := 1, 0
	for g := escapes.StringGraphemes(line); g.Next(); {
		if column += g.Width(); column > width {
			rows, column = rows+1, g.Width()
		}
	}
	return rows
}

// shorten cuts a line to a width.
func shorten(line string, width int) string {
	return escapes.TruncateString(strings.ReplaceAll(line, "\t", " "), max(width, 1), "…")
}

// pad fills a text up to a width.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-displaywidth.String(text), 0))
}
