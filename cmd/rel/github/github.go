// Package github speaks to the log of a GitHub workflow, which takes some lines for commands.
package github

import (
	"io"
	"os"
	"strings"
	"sync"
)

// On reports whether what is said goes to the log of a GitHub workflow.
func On() bool { return os.Getenv("GITHUB_ACTIONS") == "true" }

// Defuse makes sure that GitHub takes a line for no command: it does if the line begins with
// "::", after blanks, or has "##[" in it anywhere.
func Defuse(line string) string {
	if strings.HasPrefix(strings.TrimSpace(line), "::") {
		line = strings.Replace(line, "::", ": :", 1)
	}
	return strings.ReplaceAll(line, "##[", "## [")
}

// defused is an output of which GitHub takes no line for a command, however it is cut into
// writes. What it holds back is nothing: a question has no end of line.
type defused struct {
	to io.Writer
	// bracket takes the place of that in "##[".
	bracket string

	mu sync.Mutex
	// begun says that the line has more to it than blanks and a colon; colon, that a colon
	// was last; hashes is how many of them were last.
	begun, colon bool
	hashes       int
}

// Defused is the output, with nothing in it that GitHub takes for a command.
func Defused(to io.Writer) io.Writer { return &defused{to: to, bracket: " ["} }

func (d *defused) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	safe := make([]byte, 0, len(b))
	for _, c := range b {
		if c == ':' && d.colon && !d.begun {
			safe = append(safe, ' ')
			d.begun = true
		}
		if c == '[' && d.hashes >= 2 {
			safe = append(safe, d.bracket...)
		} else {
			safe = append(safe, c)
		}
		d.take(c)
	}
	if _, err := d.to.Write(safe); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (d *defused) take(c byte) {
	blank := c == ' ' || c == '\t' || c == '\v' || c == '\f' || c >= 0x80 // some of Unicode's are
	switch {
	case c == '\n' || c == '\r':
		d.begun = false
	case d.colon || !blank && c != ':':
		d.begun = true
	}
	d.colon = c == ':'
	if c != '#' {
		d.hashes = -1
	}
	d.hashes++
}

// AsItIs is the output that rel's own commands to GitHub go to.
func AsItIs(out io.Writer) io.Writer {
	if d, ok := out.(*defused); ok {
		return d.to
	}
	return out
}

// ForJSON is the output that JSON goes to: it stays what it was to who reads it.
func ForJSON(out io.Writer) io.Writer {
	if d, ok := out.(*defused); ok {
		return &defused{to: d.to, bracket: `\u005b`}
	}
	return out
}

// Annotation is the command that has GitHub show an error where it is seen first.
func Annotation(title string, lines []string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", "##[", "## [")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	return "::error title=" + property.Replace(title) + "::" + data.Replace(strings.Join(lines, "\n"))
}
