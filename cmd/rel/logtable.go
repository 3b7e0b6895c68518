package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
	"golang.org/x/term"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// column is one of a table. Cells that are wider than there is room for are cut down to
// least at most; a column that has none is never cut.
type column struct {
	head  string
	cells []string
	least int
	// leaves is the order in which columns are left out where there is no room for all;
	// zero, for those that stay.
	leaves int
	width  int
}

// columnsOf is how wide a table may be; zero, where nobody looks at it on a terminal.
func columnsOf(out io.Writer) (width int, isTTY bool) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 1 {
		width = 80
	}
	return width, os.Getenv("TERM") != "dumb"
}

// writeTable is the table of promotions, the newest first. It fits the width, if there
// is one: ids are never cut.
func writeTable(out io.Writer, width int, paint show.Paint, rows []logRow) {
	state := &column{head: "STATE"}
	table := []*column{
		{head: "ID"}, {head: "LOCAL TIME", leaves: 6}, {head: "WHO", leaves: 5}, {head: "COMMIT", least: 16, leaves: 7},
		{head: "KIND", leaves: 4}, {head: "TARGETS", leaves: 1}, {head: "TOOK", leaves: 3}, state, {head: "WHY", least: 10, leaves: 2},
	}
	for i := range rows {
		for n, cell := range rows[i].cells() {
			table[n].cells = append(table[n].cells, oneLine(cell))
		}
	}
	table = fit(table, width)
	writeRow(out, table, func(c *column) string { return c.head }, nil)
	for i := range rows {
		writeRow(out, table, func(c *column) string { return c.cells[i] }, func(c *column, text string) string {
			if c == state {
				return paint(rows[i].colour(), text)
			}
			return text
		})
	}
}

// cells are what the columns say of a promotion. The year is that of its id.
func (r *logRow) cells() []string {
	p := r.past
	kind := ""
	if p.Start.Kind != machine.Forward {
		kind = string(p.Start.Kind)
	}
	return []string{
		p.ID, p.Opened.Local().Format("01-02 15:04"), p.Operator.Name,
		strings.TrimSpace(phases.Short(p.Start.Plan.Commit) + " " + p.Start.Plan.Subject),
		kind, strings.Join(targetNames(&p.Start.Plan), ","), took(p.Updated.Sub(p.Opened)), r.state(), p.Start.Why,
	}
}

// state is what the promotion came to, in short: in which state it stopped follows from
// the phase.
func (r *logRow) state() string {
	p := r.past
	switch {
	case p.Ended():
		return p.State
	case r.working && p.Unsettled != nil:
		return "at work in " + p.Unsettled.Phase
	case r.working:
		return p.State + ", at work"
	}
	text := ends(p)
	if p.Unsettled != nil || p.Stopped != nil {
		_, text, _ = strings.Cut(text, ", ")
	}
	return text
}

// colour repeats what the state says.
func (r *logRow) colour() string {
	switch p := r.past; {
	case p.State == machine.Healthy:
		return show.Green
	case r.working, p.State == machine.Aborted, p.Stopped != nil && p.Stopped.Kind == journal.Interrupted:
		return show.Yellow
	}
	return show.Red
}

func targetNames(plan *phases.Plan) []string { return hostNames(plan)[1:] }

// took is a duration to the second: what is shorter than one is told as that.
func took(d time.Duration) string {
	if d < time.Second {
		return "<1s"
	}
	return d.Round(time.Second).String()
}

// gap is what stands between two columns.
const gap = 2

// fit leaves out columns that say nothing and, until the rest fit, cuts what can be cut
// and then leaves out more.
func fit(table []*column, width int) []*column {
	table = slices.DeleteFunc(table, func(c *column) bool { return strings.Join(c.cells, "") == "" })
	for _, c := range table {
		c.width = displaywidth.String(c.head)
		for _, cell := range c.cells {
			c.width = max(c.width, displaywidth.String(cell))
		}
	}
	for width > 0 && !cut(table, width) {
		first := -1
		for i, c := range table {
			if c.leaves > 0 && (first < 0 || c.leaves < table[first].leaves) {
				first = i
			}
		}
		if first < 0 {
			table[len(table)-1].least = 7 // no more columns can go
			cut(table, width)
			break
		}
		table = slices.Delete(table, first, first+1)
	}
	return table
}

// cut makes the columns fit that can be cut, the widest first. It leaves them as they
// are, if that is not enough.
func cut(table []*column, width int) bool {
	over := -gap - width
	widths := make([]int, len(table))
	for i, c := range table {
		widths[i] = c.width
		over += gap + c.width
	}
	for ; over > 0; over-- {
		widest := -1
		for i, c := range table {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
	}
	for i, c := range table {
		c.width = widths[i]
	}
	return true
}

func writeRow(out io.Writer, table []*column, text func(*column) string, paint func(*column, string) string) {
	var b strings.Builder
	pad := 0
	for _, c := range table {
		cell := displaywidth.TruncateString(text(c), c.width, "…")
		if cell != "" {
			b.WriteString(strings.Repeat(" ", pad))
			pad = 0
		}
		pad += gap + c.width - displaywidth.String(cell)
		if paint != nil && cell != "" {
			cell = paint(c, cell)
		}
		b.WriteString(cell)
	}
	fmt.Fprintln(out, b.String())
}

// ends is what a reader of the log is told a promotion came to.
func ends(p *machine.Past) string {
	switch {
	case p.Ended():
		return p.State
	case p.Unsettled != nil:
		return fmt.Sprintf("%s, cut in %s", p.State, p.Unsettled.Phase)
	case p.Stopped != nil && p.Stopped.Kind == journal.Interrupted:
		return fmt.Sprintf("%s, stopped in %s", p.State, p.Stopped.Phase)
	case p.Stopped != nil:
		return fmt.Sprintf("%s, failed in %s", p.State, p.Stopped.Phase)
	case p.Ending != nil:
		return p.State + ", stopped" // between two phases
	}
	return p.State + ", cut off"
}
