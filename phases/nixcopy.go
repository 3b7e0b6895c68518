package phases

import (
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"io"
	"strings"
)

//go:embed nixcopy.sh
var nixcopyScript string

//go:embed daemon.sh
var daemonScript string

// nixCopy has Nix's own copy take the closures from the build host to the target. How many
// bytes that are it does not say.
func (c *courier) nixCopy(ctx context.Context, e *errand) (*receipt, int64, error) {
	said := saying{mark: "rel-" + rand.Text()}
	tail := "it did not say why"
	s := c.lent("nixcopy.sh", sparsePart+nixcopyScript, e.loan, &said, func(line string) { tail = line })
	s.Decode = c.freighted().hear(c.p)
	wanted, unwanted := io.Pipe()
	defer unwanted.Close()
	s.Stdin = io.MultiReader(e.gate, wanted)
	if _, err := ask(ctx, c.p, c.p.Build, s); err != nil {
		if isLost(err) || ctx.Err() != nil {
			return nil, 0, err
		}
		return nil, 0, &hinderedError{err.Error()}
	}
	switch {
	case said.marked.get("ssh") == "0":
		got, err := c.settled(ctx)
		return got, 0, err
	case !e.loan.Spent():
		return nil, 0, &hinderedError{fmt.Sprintf("%s could not log in there: %s", c.p.Build.Name(), orTail(strings.Join(said.marked.all("said"), "; "), tail))}
	}
	return nil, 0, fmt.Errorf("%s: nix copy failed: %s", c.p.Build.Name(), tail)
}

// settled asks the target what came of a copy that did not say so itself.
func (c *courier) settled(ctx context.Context) (*receipt, error) {
	lacks, err := invalid(ctx, c.p, c.target, c.closure)
	return &receipt{added: len(c.infos) - len(lacks), lacks: lacks}, err
}
