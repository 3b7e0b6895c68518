package phases

import (
	"context"
	_ "embed"
)

//go:embed fill.sh
var fillScript string

//go:embed realise.sh
var realiseScript string

// fill puts the release into the plan's binary cache, where the build host may.
func fill(ctx context.Context, p *Promotion) error {
	// What the cache has already is not known.
	filling := newNixfreight(func(t Tick) { p.tick(p.Build.Name(), t) })
	release := p.Release()
	for i, info := range release.Infos {
		filling.sizes[release.Closure[i]] = info.Size
	}
	s := Script{Name: "fill.sh", Code: sparsePart + fillScript, Env: map[string]string{"CACHE": p.Plan.Cache}, Stdin: lines(p.roots()),
		Line: p.lineOf(p.Build), Decode: filling.hear(p)}
	_, err := ask(ctx, p, p.Build, s)
	return err
}

// realise has the target take what it lacks from the cache. That one has to be signed by a
// key that the target trusts.
func (c *courier) realise(ctx context.Context) (*receipt, int64, error) {
	s := c.p.onTarget(c.target, "realise.sh", sparsePart+realiseScript, map[string]string{"CACHE": c.p.Plan.Cache})
	s.Stdin, s.Line, s.Decode = lines(c.roots), c.p.lineOf(c.target), c.freighted().hear(c.p)
	if _, err := ask(ctx, c.p, c.target, s); err != nil {
		return nil, 0, err
	}
	got, err := c.settled(ctx)
	return got, 0, err
}

// roots are the store paths of the release's artifacts.
func (p *Promotion) roots() (paths []string) {
	release := p.Release()
	for i := range release.Outputs {
		paths = append(paths, release.Outputs[i].Path)
	}
	return paths
}
