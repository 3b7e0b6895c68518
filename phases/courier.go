package phases

import (
	"context"
	"errors"
	"fmt"
)

// The ways of a copy.
const (
	// Direct has the build host send to the targets by itself.
	Direct = "direct"
	// Relayed has everything go through the operator, to the build host and on.
	Relayed = "relay"
)

// batchBytes is how many bytes of paths go in one export. All of them are
// arguments of one nix-store, since an import ends with the first export that
// it reads: with more than xargs takes at once (GNU's: 128 KiB) it would start
// a second one, and what that writes would be lost.
const batchBytes = 64 << 10

// courier takes store paths from the build host to one target.
type courier struct {
	p      *Promotion
	target Host
	site   Site
	// accept names the compressions that the target can undo, best first.
	accept string
	// relayed says that they go through the operator.
	relayed bool
	// source is the build host's address, as far as the target sees that one; sought
	// says that it was looked for.
	source string
	sought bool
}

// way is how they go, in words.
func (c *courier) way() string {
	if c.relayed {
		return "through this machine"
	}
	return "by the build host"
}

// carry takes the paths there, and returns how many bytes that were.
func (c *courier) carry(ctx context.Context, paths []string) (int64, error) {
	if c.relayed {
		return relay(ctx, c.p, c.target, c.accept, paths)
	}
	sent, err := c.send(ctx, paths)
	var hindered *hinderedError
	if !errors.As(err, &hindered) || c.p.Plan.Via == Direct {
		return sent, err
	}
	// What has arrived is whole, and what has not is sent again.
	c.relayed = true
	c.p.Note(c.target.Name(), fmt.Sprintf("the build host cannot send to it by itself (%v): what it lacks goes through this machine, "+
		"each byte down and up again", err))
	again, err := c.carry(ctx, paths)
	return sent + again, err
}

// batch is how many of the paths go in one export.
func batch(paths []string) int {
	size := 0
	for i, path := range paths {
		if size += len(path) + 1; size > batchBytes && i > 0 {
			return i
		}
	}
	return len(paths)
}
