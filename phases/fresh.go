package phases

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// connections are open to the targets, in the plan's order.
type connections []Connection

func (c connections) close() {
	for _, connection := range c {
		if connection != nil {
			connection.Close()
		}
	}
}

// redialling is the dialling of a fresh connection to each target, over which the release
// is confirmed. That the old ones still work does not prove that anyone can reach the
// targets: a release may have taken their sshd or network with it.
type redialling struct {
	cancel context.CancelFunc
	done   chan struct{}
	// Both are there when done is closed.
	list    connections
	failure error
}

// redial begins it.
func (p *Promotion) redial(ctx context.Context) *redialling {
	r := &redialling{done: make(chan struct{}), list: make(connections, len(p.Targets))}
	// It may outlive the phase that begins it.
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(r.done)
		r.failure = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
			connection, err := target.Redial(ctx)
			if err == nil {
				r.list[i] = connection
			}
			return err
		})
	}()
	return r
}

// drop ends it, and closes what it has opened.
func (r *redialling) drop() {
	if r != nil {
		r.cancel()
		<-r.done
		r.list.close()
	}
}

// wait waits until all are there, or one cannot be had.
func (r *redialling) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.failure
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// upLine is what an apply job prints once all that it restarts is up: from then on it only
// looks whether that stays so.
const upLine = "attempt %d: every unit is up; watching for %ss whether that stays so"

// early dials the fresh connections as soon as every target runs the release: what a
// login takes passes while the jobs look on.
type early struct {
	promotion *Promotion
	ctx       context.Context

	mu sync.Mutex
	// down are the targets that do not run the release yet, as far as is known.
	down     map[string]bool
	dialling *redialling
}

// expect waits for the targets that an apply makes live.
func (p *Promotion) expect(ctx context.Context) *early {
	e := &early{promotion: p, ctx: ctx, down: map[string]bool{}}
	for _, target := range p.Targets {
		e.down[target.Name()] = true
	}
	return e
}

// up says that a target runs the release. It may be said twice: who has lost a connection
// follows the job from its beginning.
func (e *early) up(target string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last := len(e.down) == 1 && e.down[target]
	if delete(e.down, target); last {
		e.dialling = e.promotion.redial(e.ctx)
	}
}

// listen is line, and hears from it when the target is up.
func (e *early) listen(target string, line func(string)) func(string) {
	if e == nil {
		return line
	}
	up := fmt.Sprintf(upLine, e.promotion.Attempt, seconds(time.Duration(e.promotion.Plan.Settle)))
	return func(text string) {
		if text == up {
			e.up(target)
		}
		line(text)
	}
}

// take is the dialling, for who ends it; nil, where none was begun.
func (e *early) take() (dialling *redialling) {
	if e == nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	dialling, e.dialling = e.dialling, nil
	return dialling
}

// redialled is the dialling that the apply has begun; a new one, where it did not or where
// that failed.
func (p *Promotion) redialled(ctx context.Context) *redialling {
	r := p.early.take()
	if r == nil {
		return p.redial(ctx)
	}
	select {
	case <-r.done:
		if r.failure != nil {
			r.drop()
			return p.redial(ctx)
		}
	default:
	}
	return r
}
