package phases

import (
	"context"
	"math"
	"regexp"
	"slices"
)

// guess is what the targets lack if they have what the journal says is live there. It is
// woven while they are asked; what they answer counts.
type guess struct {
	alike  string
	cancel context.CancelFunc
	done   chan struct{}
	// woven is a courier that has it, remove takes it away from the build host; both are
	// there when done is closed, where failure is nil.
	woven   *courier
	remove  func()
	failure error
}

// guessed begins it; nil, where nothing is known of the targets, it may be much, or nothing
// is woven before it is sent.
func guessed(ctx context.Context, p *Promotion) *guess {
	if p.Plan.Release != nil || p.Attempt > 1 {
		return nil
	}
	c := p.likely()
	if c == nil || len(c.infos) == 0 || c.estimate() > weighed || !worthwhile(p, slices.Repeat([]*courier{c}, len(p.Targets))) {
		return nil
	}
	g := &guess{alike: c.alike(), done: make(chan struct{}), woven: c}
	ctx, g.cancel = context.WithCancel(ctx)
	go func() {
		defer close(g.done)
		g.failure = guard(p.Build.Name(), func() (err error) {
			g.remove, err = bundle(ctx, p, []*courier{c}, "yes")
			return err
		})
	}()
	return g
}

// likely has what a new release has that is not in the one that is live on every target;
// nil, where the journal does not know that one.
func (p *Promotion) likely() *courier {
	release := p.Facts.Build
	if p.Recall == nil || p.Facts.Verify == nil || len(release.Infos) != len(release.Closure) {
		return nil
	}
	id := p.Facts.Verify.Targets[p.Targets[0].Name()].Live
	for _, target := range p.Targets {
		if id == "" || p.Facts.Verify.Targets[target.Name()].Live != id {
			return nil
		}
	}
	live := p.Recall(id)
	if live == nil {
		return nil
	}
	// As of a target that has room, and the tools that the others have.
	ready := readiness{room: math.MaxInt64, accept: "zstd gzip", bases: bases(live.Closure, release.large())}
	for i, path := range release.Closure {
		if !slices.Contains(live.Closure, path) {
			ready.missing = append(ready.missing, i)
		}
	}
	return &courier{p: p, cargo: newCargo(p, release.Infos, ready)}
}

// bundle gives the couriers what was woven, and reports whether that is what they are to
// take.
func (g *guess) bundle(list []*courier) bool {
	if g == nil || g.alike != list[0].alike() {
		return false
	}
	<-g.done
	if g.failure != nil {
		return false
	}
	for _, c := range list {
		c.data, c.bundle, c.bundled = g.woven.data, g.woven.bundle, g.woven.bundled
	}
	return true
}

// drop ends it, and takes away what was woven.
func (g *guess) drop() {
	if g == nil {
		return
	}
	g.cancel()
	if <-g.done; g.failure == nil {
		g.remove()
	}
}

// bases are the paths of a live closure, by those of the large ones that resemble them:
// which have the same name, or else the same without what looks like a version. Targets
// find them so (receive.sh).
func bases(live, large []string) map[string]string {
	exact, like, found := map[string]string{}, map[string]string{}, map[string]string{}
	for _, path := range live {
		name := pathName(path)
		exact[name], like[stemOf(name)] = path, path
	}
	for _, path := range large {
		base, same := exact[pathName(path)]
		if !same {
			base = like[stemOf(pathName(path))]
		}
		if base != "" && base != path {
			found[path] = base
		}
	}
	return found
}

// pathName is what a store path has after its hash.
func pathName(path string) string { return path[min(len(path), len(storeDir)+34):] }

var version = regexp.MustCompile(`-[0-9].*`)

func stemOf(name string) string { return version.ReplaceAllLiteralString(name, "") }
