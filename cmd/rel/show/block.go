package show

import (
	"fmt"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"
)

const (
	// liveTail is how many lines of the hosts' output the block shows.
	liveTail = 5
	// hostColumn is the most columns that a host's name takes, and phaseColumn those that a
	// phase's does; where there is less than wide, hosts' times go.
	hostColumn  = 24
	phaseColumn = 10
	wide        = 60
)

// block lays out what is to be seen of a promotion at work.
type block struct {
	paint Paint
	rows  []*row
	tail  []string
	now   time.Time
	width int
}

// live is the block in at most room lines: what is done in a line each, what is at work in
// full, and what is to come. Where there is too little room, the least urgent goes first.
func (b *block) live(room int) []string {
	at := len(b.rows)
	var work, hosts, tail []string
	for i, r := range b.rows {
		if r.atWork {
			at, work, hosts, tail = i, []string{b.line(r)}, b.hosts(r, false), b.output()
		}
	}
	before, after := b.rows[:at], b.rows[min(at+len(work), len(b.rows)):]
	head, rest := b.lines(before), b.lines(after)
	over := func() int { return len(head) + len(work) + len(hosts) + len(tail) + len(rest) - room }
	if n := over(); n > 0 {
		tail = tail[min(n, len(tail)):]
	}
	if over() > 0 {
		rest = b.inOne(after)
	}
	if over() > 0 {
		head = b.inOne(before)
	}
	if n := over(); n > 0 && len(hosts) > 1 {
		keep := max(len(hosts)-n-1, 0)
		hosts = append(hosts[:keep:keep], b.paint(Faint, fmt.Sprintf("    … %d more", len(hosts)-keep)))
	}
	if over() > 0 {
		rest = nil
	}
	if over() > 0 {
		head = nil
	}
	lines := append(append(append(append(head, work...), hosts...), tail...), rest...)
	return lines[:min(len(lines), max(room, 0))]
}

// final is what stays of it: each phase with what was noted of its hosts.
func (b *block) final() []string {
	var lines []string
	for _, r := range b.rows {
		if !r.begun() && !r.Done && !r.undone {
			lines = append(lines, b.paint(Faint, "· "+pad(r.title(), phaseColumn)+" not begun"))
			continue
		}
		lines = append(lines, b.line(r))
		for _, line := range b.hosts(r, true) {
			lines = append(lines, b.paint(Faint, line))
		}
	}
	return lines
}

func (b *block) lines(rows []*row) (lines []string) {
	for _, r := range rows {
		lines = append(lines, b.line(r))
	}
	return lines
}

// inOne has the rows in one line, by their names.
func (b *block) inOne(rows []*row) []string {
	if len(rows) == 0 {
		return nil
	}
	var names []string
	for _, r := range rows {
		mark, _ := r.mark(b.now)
		names = append(names, mark+" "+r.title())
	}
	return []string{b.paint(Faint, strings.Join(names, "  "))}
}

func (b *block) line(r *row) string {
	mark, colour := r.mark(b.now)
	text := strings.TrimRight(pad(r.title(), phaseColumn)+" "+r.timing(b.now), " ")
	switch {
	case r.atWork:
		return b.paint(Bold, mark+" "+text)
	case colour == Faint:
		return b.paint(Faint, mark+" "+text)
	}
	return b.paint(colour, mark) + " " + text
}

// hosts are the lines of a phase's hosts; all of their texts, if whole is set, in as many
// lines as that takes.
func (b *block) hosts(r *row, whole bool) (lines []string) {
	column := 0
	for _, h := range r.hosts {
		column = max(column, displaywidth.String(hostLabel(h.name)))
	}
	column = min(column, hostColumn)
	for _, h := range r.hosts {
		begin := "    " + pad(shorten(hostLabel(h.name), column), column)
		if b.width >= wide {
			after := h.after
			if len(h.doing) > 0 {
				after = b.now.Sub(r.started)
			}
			begin += fmt.Sprintf(" %7s", Millis(after.Milliseconds()))
		}
		begin += "  "
		room := b.width - 1 - displaywidth.String(begin)
		for _, text := range h.texts(b.now, room) {
			parts := []string{text}
			if whole {
				parts = Fold(text, room)
			}
			lines = append(lines, begin+parts[0])
			for _, part := range parts[1:] {
				lines = append(lines, strings.Repeat(" ", displaywidth.String(begin))+part)
			}
		}
	}
	return lines
}

// Fold breaks a text between words where it is wider than width. A word that is wider is
// left to the terminal to break: it can be copied in one.
func Fold(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Split(text, " ") {
		if line != "" && displaywidth.String(line+" "+word) > width {
			lines, line = append(lines, line), word
			continue
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

// hostLabel is what a host is called; that without a name is the operator's.
func hostLabel(name string) string {
	if name == "" {
		return "this machine"
	}
	return name
}

// output is the tail of what the hosts print.
func (b *block) output() (lines []string) {
	for _, text := range b.tail {
		lines = append(lines, b.paint(Faint, "    │ "+text))
	}
	return lines
}
