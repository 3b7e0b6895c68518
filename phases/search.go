package phases

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// searchTold is how often it is told that a job is looked for still. It is a variable
// for tests.
var searchTold = time.Minute

// search is for a job whose connection was lost. Whoever waits for it is told until when
// it is looked for, and again and again that it still is.
type search struct {
	until time.Time
	over  chan struct{}
	wait  sync.WaitGroup
}

// search begins one, for as long as the job's release may wait to be confirmed.
func (p *Promotion) search(target Host, verb string) *search {
	within := time.Duration(p.Plan.Confirm) + returnTime
	s := &search{until: time.Now().Add(within), over: make(chan struct{})}
	end := s.until.Format(time.TimeOnly)
	p.Note(target.Name(), fmt.Sprintf("the connection was lost; the %s goes on there, and is looked for again for %s, until %s", verb, within, end))
	s.wait.Go(func() {
		tick := time.NewTicker(searchTold)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if !reached(target) {
					p.Note(target.Name(), fmt.Sprintf("not reached yet; the %s is looked for until %s", verb, end))
				}
			case <-s.over:
				return
			}
		}
	})
	return s
}

// within is ctx, and ends when the search does, unless the target is reached by then: a
// dial takes its time, and is not to be waited for longer than was told. A nil search has
// no end.
func (s *search) within(ctx context.Context, target Host) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if s == nil {
		return ctx, cancel
	}
	late := time.AfterFunc(time.Until(s.until), func() {
		if tells(target) && !reached(target) {
			cancel()
		}
	})
	return ctx, func() {
		late.Stop()
		cancel()
	}
}

// end ends it; nothing is told after that.
func (s *search) end() {
	close(s.over)
	s.wait.Wait()
}

// reached reports whether there is a connection to the host, where that can be told.
func reached(host Host) bool {
	h, ok := host.(reachable)
	return ok && h.Reached()
}

// reachable is a host that tells whether there is a connection to it.
type reachable interface{ Reached() bool }

func tells(host Host) bool {
	_, ok := host.(reachable)
	return ok
}
