package show

import (
	"regexp"
	"strings"

	"github.com/clipperhouse/displaywidth"
)

var (
	// columns are what stands before the last column of a line, as far as that is seen: gaps
	// are of two spaces or more.
	columns = regexp.MustCompile(`^(?:.*[^ ])? {2,}`)
	colours = regexp.MustCompile("\x1b\\[[0-9;]*m")
)

// Hung is a text for a terminal of that width: its lines are broken between words, and go on
// below where their last column begins; below their beginning and a bit, where that is too far
// to the right, or where there are no columns.
func Hung(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, ended := strings.CutSuffix(line, "\n")
		head, indent := "", 4
		if breadth(line) > width {
			for head = columns.FindString(line); breadth(head) > width*2/3; head = columns.FindString(strings.TrimRight(head, " ")) {
			}
			if head != "" {
				indent = breadth(head)
			}
		} else {
			head = line
		}
		for i, part := range Fold(line[len(head):], width-indent) {
			if i > 0 {
				b.WriteString("\n" + strings.Repeat(" ", indent))
			} else {
				b.WriteString(head)
			}
			b.WriteString(part)
		}
		if ended {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// breadth is how many columns a text takes, without its colours.
func breadth(text string) int { return displaywidth.String(colours.ReplaceAllString(text, "")) }
