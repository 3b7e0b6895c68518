package phases

import (
	"fmt"
	"regexp"
)

// Tick is how far something is that takes a while. It is for those who look on, and never
// recorded: what came of it is a note, or a fact.
type Tick struct {
	// What it is: a host has at most one tick of each at a time.
	What string
	// Done of Total, in Unit; Total is 0 where it is not known, and only likely if About is
	// set.
	Done, Total int64
	About       bool
	Unit        Measure
	// Text says more, in one line that is safe to show; it may be empty.
	Text string
}

// Measure is what a tick counts.
type Measure int

const (
	// Derivations are built, or fetched, of those that a build needs.
	Derivations Measure = iota
	// Bytes are sent.
	Bytes
	// Successes are probes of a check that passed, one after the other.
	Successes
)

// tick tells how far something is on the host; of the operator, if that has no name.
func (p *Promotion) tick(host string, t Tick) {
	if p.Tick != nil {
		p.Tick(host, t)
	}
}

// freight is how many bytes go over the wire for the cargo, and whether that is only an
// estimate.
func (c *courier) freight() (bytes int64, about bool) {
	switch {
	case c.data != nil:
		return int64(len(c.data)), false
	case c.bundled > 0:
		return c.bundled, false
	}
	return int64(c.estimate()), true
}

// set is for a cargo that is about to be sent.
func (c *courier) set() {
	c.sent.Store(0)
	c.taken.Store(0)
	c.total, c.about = c.freight()
}

// under says that so many bytes of the cargo are on their way.
func (c *courier) under(way int64) {
	c.sent.Store(way)
	c.tell()
}

// arrived says that one path more is there.
func (c *courier) arrived() {
	c.p.Pulse.Beat()
	c.taken.Add(1)
	c.tell()
}

// tell tells how far the cargo is.
func (c *courier) tell() {
	c.p.tick(c.target.Name(), Tick{
		What: "copy", Done: c.sent.Load(), Total: c.total, About: c.about, Unit: Bytes,
		Text: fmt.Sprintf("%d of %s", c.taken.Load(), CountText(len(c.infos), "path")),
	})
}

// asked is what a probe that failed asked, where that comes before why: the check is named
// there, and the why is to be seen on a narrow terminal.
var asked = regexp.MustCompile(`^(?:Get "[^"]*": |https?://\S+ )`)

// tick tells how a check goes.
func (r *Result) tick(p *Promotion, host string, inRow, wanted int) {
	text := fmt.Sprintf("attempt %d", r.Attempts)
	if inRow == 0 && r.Last != "" {
		text += "; last: " + asked.ReplaceAllString(r.Last, "")
	}
	p.tick(host, Tick{What: fmt.Sprintf("check %q", r.Check), Done: int64(inRow), Total: int64(wanted), Unit: Successes, Text: text})
}
