package phases

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Limit bounds one attempt at a phase.
type Limit struct {
	// Deadline is the most that the attempt may take; Silence the longest that no
	// host may be heard of meanwhile, zero for no limit.
	Deadline Duration `json:"deadline,omitempty"`
	Silence  Duration `json:"silence,omitempty"`
}

// Limit is the phase's, unless the plan has another.
func (p *Promotion) Limit(phase *Phase) Limit {
	limit := Limit{Deadline: Duration(phase.Deadline), Silence: Duration(phase.Silence)}
	if set := p.Plan.Limits[phase.Name]; set.Deadline > 0 {
		limit.Deadline = set.Deadline
	}
	if set := p.Plan.Limits[phase.Name]; set.Silence > 0 {
		limit.Silence = set.Silence
	}
	return limit
}

// SilenceError says that no host was heard of for too long.
type SilenceError struct {
	Phase   string
	Silence time.Duration
}

func (e *SilenceError) Error() string {
	return fmt.Sprintf("nothing was heard of the hosts for %s in %s", e.Silence, e.Phase)
}

// Pulse is when a host was last heard of. A nil Pulse takes note of nothing.
type Pulse struct{ last atomic.Int64 }

// Beat says that a host was heard of.
func (p *Pulse) Beat() {
	if p != nil {
		p.last.Store(time.Now().UnixNano())
	}
}

// Watch ends the returned context, with a *[SilenceError] as its cause, when
// nothing was heard for as long as the limit says. stop ends the watch.
func (p *Pulse) Watch(ctx context.Context, phase string, silence time.Duration) (watched context.Context, stop func()) {
	p.Beat()
	watched, cancel := context.WithCancelCause(ctx)
	if silence <= 0 {
		return watched, func() { cancel(nil) }
	}
	go func() {
		for {
			quiet := time.Since(time.Unix(0, p.last.Load()))
			if quiet >= silence {
				cancel(&SilenceError{Phase: phase, Silence: silence})
				return
			}
			select {
			case <-time.After(silence - quiet):
			case <-watched.Done():
				return
			}
		}
	}()
	return watched, func() { cancel(nil) }
}
