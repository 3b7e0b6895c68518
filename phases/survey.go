package phases

import (
	"context"
	"sync"
	"time"
)

// Survey asks all hosts, side by side, what a start has to know before it can begin:
// the build host which commit it is about ([Pin]), each target what it is like, and
// what their checkouts are. It changes nothing but what a fetch does. What was answered
// is kept, so that the first phases need not ask again.
//
// A checkout that is not as it should be is for sync to tell of, which asks again.
func Survey(ctx context.Context, p *Promotion, want, config string) (pinned Pinned, looks []*Look, err error) {
	p.Seen = new(Seen)
	hosts, repos := p.checkouts()
	looks = make([]*Look, len(p.Targets))
	err = abreast("survey", func() (err error) {
		pinned, err = Pin(ctx, p, want, config)
		return err
	}, func() error {
		return each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
			began := time.Now()
			// It has no name yet, and nothing there is of it.
			looks[i], err = lookAt(ctx, target, p.lineOf(target), &p.Plan, "", true)
			if err == nil {
				p.Seen.keepLook(target.Name(), began, looks[i])
			}
			return err
		})
	}, func() error {
		_ = each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
			// That of the build host is in its answer already.
			if host.Name() != p.Build.Name() || repos[i] != repos[0] {
				p.glimpse(ctx, i, host, repos[i], want)
			}
			return nil
		})
		return nil
	})
	return pinned, looks, err
}

// glimpse looks at a checkout before it is known which commit it is to be moved to:
// mostly it is the one that it would be asked for then.
func (p *Promotion) glimpse(ctx context.Context, i int, host Host, repo, want string) {
	step := syncStep(p, i, repo, "look")
	step.Env["COMMIT"] = want
	began := time.Now()
	if a, err := ask(ctx, p, host, step); err == nil && !a.has("refused") {
		p.Seen.keepCheckout(i, began, a)
	}
}

// Foresee begins to ask what sync will want to know of the live commits, beside what is
// done meanwhile. Who wants to know waits for the answer.
func (p *Promotion) Foresee(ctx context.Context) (wait func()) {
	// A copy: the promotion gets its hold and its notes meanwhile.
	own := *p
	var asking sync.WaitGroup
	asked := map[string]bool{}
	for _, target := range p.Targets {
		look := p.Seen.look(target.Name())
		if look == nil || !p.mayGoDown(look) || asked[look.LiveCommit] {
			continue
		}
		asked[look.LiveCommit] = true
		asking.Go(func() {
			_ = guard(own.Build.Name(), func() error {
				_, err := own.leads(ctx, look.LiveCommit)
				return err
			})
		})
	}
	return asking.Wait
}
