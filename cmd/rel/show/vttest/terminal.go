// Package vttest has a terminal to look at in tests.
package vttest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// Terminal is a terminal that knows what rel writes to one, and what a terminal does of its own:
// it wraps, scrolls, and may lay its lines anew when it is resized.
type Terminal struct {
	Width, Height int
	// rows are all that there were, the last height of them on the screen; x and y is
	// where the next character goes.
	rows []row
	x, y int
	// noWrap is as DECAWM has it, and reflows what happens to long lines.
	noWrap  bool
	Reflows bool
	rest    string
}

// row is a row, and whether it goes on in the next one.
type row struct {
	text string
	goes bool
}

func New(width, height int) *Terminal {
	return &Terminal{Width: width, Height: height, rows: make([]row, 1), Reflows: true}
}

// top is the first row on the screen.
func (v *Terminal) top() int { return max(len(v.rows)-v.Height, 0) }

func (v *Terminal) Write(b []byte) (int, error) {
	v.rest += string(b)
	for v.rest != "" && wholeFirst(v.rest) {
		n := v.step(v.rest)
		v.rest = v.rest[n:]
	}
	return len(b), nil
}

// wholeFirst reports whether what is first in the text has come to its end.
func wholeFirst(text string) bool {
	if text[0] == 0x1b {
		return len(text) > 2 && strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' }) >= 0
	}
	return utf8.FullRuneInString(text)
}

// step takes what is first in the text, and returns how long that was.
func (v *Terminal) step(text string) int {
	switch text[0] {
	case '\n':
		v.x = 0 // as a terminal's driver has it
		v.down()
		return 1
	case '\r':
		v.x = 0
		return 1
	case 0x1b:
		end := 2 + strings.IndexFunc(text[2:], func(r rune) bool { return r >= '@' })
		v.control(text[2:end], text[end])
		return end + 1
	}
	g := displaywidth.StringGraphemes(text[:chunk(text)])
	g.Next()
	v.put(g.Value(), g.Width())
	return len(g.Value())
}

// chunk is how much of the text is no control.
func chunk(text string) int {
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' }); i >= 0 {
		return i
	}
	return len(text)
}

func (v *Terminal) control(parameters string, end byte) {
	switch n := 0; {
	case end == 'm':
	case end == 'A':
		_, _ = fmt.Sscan(parameters, &n)
		v.y = max(v.y-n, v.top())
	case end == 'J' && parameters == "":
		v.rows = v.rows[:v.y+1]
		v.rows[v.y] = row{text: chop(v.rows[v.y].text, v.x)}
		for len(v.rows) < v.y+1 {
			v.rows = append(v.rows, row{})
		}
	case end == 'l' && parameters == "?7":
		v.noWrap = true
	case end == 'h' && parameters == "?7":
		v.noWrap = false
	default:
		panic(fmt.Sprintf("a terminal that does not know %q%c", parameters, end))
	}
}

func chop(text string, width int) string { return displaywidth.TruncateString(text, width, "") }

func (v *Terminal) down() {
	if v.y++; v.y == len(v.rows) {
		v.rows = append(v.rows, row{})
	}
}

func (v *Terminal) put(g string, width int) {
	if v.x+width > v.Width {
		if v.noWrap {
			return
		}
		v.rows[v.y].goes = true
		v.x = 0
		v.down()
	}
	before := chop(v.rows[v.y].text, v.x)
	v.rows[v.y] = row{text: before + strings.Repeat(" ", v.x-displaywidth.String(before)) + g}
	v.x += width
}

// Resize is what a terminal does when its window changes. One that does not lay lines anew
// cuts them.
func (v *Terminal) Resize(width, height int) {
	var lines []string
	long := false
	for _, r := range v.rows {
		if long {
			lines[len(lines)-1] += r.text
		} else {
			lines = append(lines, r.text)
		}
		long = r.goes
	}
	v.Width, v.Height, v.rows = width, height, nil
	for _, line := range lines {
		if !v.Reflows {
			v.rows = append(v.rows, row{text: chop(line, width)})
			continue
		}
		v.rows = append(v.rows, row{})
		for column := 0; line != ""; {
			g := displaywidth.StringGraphemes(line)
			g.Next()
			if column += g.Width(); column > width {
				v.rows[len(v.rows)-1].goes = true
				v.rows = append(v.rows, row{})
				column = g.Width()
			}
			v.rows[len(v.rows)-1].text += g.Value()
			line = line[len(g.Value()):]
		}
	}
	v.x, v.y = 0, len(v.rows)-1
	if !utf8.ValidString(v.String()) {
		panic("a character is in pieces")
	}
}

// String is all that there is, with what has left the screen at its top.
func (v *Terminal) String() string {
	var lines []string
	for _, r := range v.rows {
		lines = append(lines, strings.TrimRight(r.text, " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
