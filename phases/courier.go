package phases

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// The ways of a copy.
const (
	// Direct has the build host send to the targets by itself.
	Direct = "direct"
	// Relayed has everything go through the operator, to the build host and on.
	Relayed = "relay"
	// NixCopy has Nix's own copy do it, from the build host to ssh-ng:// on the targets.
	NixCopy = "nix-copy"
	// Cached has the build host fill a binary cache, and the targets take it from there.
	Cached = "cache"
)

// courier takes a cargo from the build host to one target.
type courier struct {
	p      *Promotion
	target Host
	site   Site
	*cargo
	// prepared is an errand that waits for the cargo; nil, if none does.
	prepared *errand
	// bundle is a file on the build host that has the stream already, of so many bytes;
	// empty, if none does. data is the stream itself, where it is short.
	bundle  string
	bundled int64
	data    []byte
	// relayed says that it goes through the operator, and why says why it goes as it does;
	// empty, where the plan says how. hindered says that it was to go otherwise.
	relayed, hindered bool
	why               string
	// source is the build host's address, as far as the target sees that one; sought
	// says that it was looked for.
	source string
	sought bool
	// sent is how many bytes of it are on their way, and taken how many paths have arrived.
	sent, taken atomic.Int64
	// total is what sent will come to, and about says that it is an estimate.
	total int64
	about bool
}

// way is how it goes.
func (c *courier) way() string {
	switch via := c.p.Plan.Via; {
	case c.relayed:
		return Relayed
	case via != "":
		return via
	}
	return Direct
}

// carry takes it there, and returns what the target says of it and how many bytes that
// were.
func (c *courier) carry(ctx context.Context) (*receipt, int64, error) {
	r, sent, err := c.once(ctx)
	var patch *patchError
	if !errors.As(err, &patch) {
		return r, sent, err
	}
	// A base that is spoilt on one of the hosts, or a zstd that is too old for it.
	c.p.Note(c.target.Name(), fmt.Sprintf("a patch could not be used there (%s): what it was for goes as it is", patch.why))
	whole := *c.cargo
	whole.bases = nil
	c.cargo, c.bundle, c.data = &whole, "", nil
	r, again, err := c.once(ctx)
	return r, sent + again, err
}

// patchError says that a target could not make a path of a patch. It has taken nothing.
type patchError struct{ why string }

func (e *patchError) Error() string { return e.why }

// once is carry with what patches there are.
func (c *courier) once(ctx context.Context) (*receipt, int64, error) {
	defer c.unprepare()
	c.set()
	switch {
	case c.relayed:
		if c.prepared != nil {
			c.prepared.end()
		}
		return c.relay(ctx)
	case c.p.Plan.Via == Cached:
		return c.realise(ctx)
	}
	r, sent, err := c.send(ctx)
	var hindered *hinderedError
	if !errors.As(err, &hindered) || c.p.Plan.Via != "" {
		return r, sent, err
	}
	// What has arrived is whole, and what has not is sent again.
	c.relayed, c.hindered, c.why = true, true, fmt.Sprintf("the build host cannot send to it by itself (%v)", err)
	c.p.Note(c.target.Name(), c.why+": what it lacks goes through this machine, each byte down and up again")
	r, again, err := c.relay(ctx)
	return r, sent + again, err
}

// unprepare drops what was prepared in vain.
func (c *courier) unprepare() {
	if c.prepared != nil {
		c.prepared.drop()
		c.prepared = nil
	}
}

// choose settles how it goes, where the plan leaves that open.
func (c *courier) choose(ctx context.Context) {
	if c.p.Plan.Via != "" {
		c.relayed = c.p.Plan.Via == Relayed
		return
	}
	if c.data != nil {
		c.relayed, c.why = true, "it is no more than a script"
		return
	}
	likely, size := c.estimate(), "about "+BytesText(int64(c.estimate()))
	if c.bundled > 0 {
		likely, size = float64(c.bundled), BytesText(c.bundled)
	}
	direct, relayed := c.durations(ctx, likely, false)
	if direct <= relayed && likely <= doubted {
		direct, relayed = c.durations(ctx, likely, true)
	}
	if c.relayed = relayed < direct; c.relayed {
		c.why = size + " is there sooner than the build host could log in"
	} else {
		c.why = fmt.Sprintf("%s, for which this machine would take %s", size, relayed.Round(100*time.Millisecond))
	}
}

// Login is about how long the build host takes to log in at a target beside it. It is a
// variable for tests of what it does then.
var Login = 500 * time.Millisecond

const (
	// loginTrips is how many more round trips to the hosts it takes to have it log in: one
	// to let its key in, and four for its ssh to have a signature of that.
	loginTrips = 5
	// unmeasured is the uplink, in bytes a second, of an operator of whom nothing else is
	// known: ten megabits.
	unmeasured = 10e6 / 8
	// doubted is the most that it is worth to measure the way for, where what is known of it
	// speaks against: more than that is not to go through the operator on a guess.
	doubted = 1 << 20
)

// durations is about how long the ways take for so many bytes, as far as they differ: the
// bytes pass between the hosts in either. With probe the way is measured for it.
func (c *courier) durations(ctx context.Context, size float64, probe bool) (direct, relayed time.Duration) {
	trip, rate := c.target.Uplink(ctx, probe)
	if rate <= 0 {
		rate = unmeasured
	}
	return Login + loginTrips*trip, time.Duration(size / rate * float64(time.Second))
}
