package phases

import (
	"context"
	_ "embed"
	"slices"
	"strconv"
	"time"
)

//go:embed extend.sh
var extendScript string

// returnTime is how long after the end of its confirm window a target may take
// to be back on the release before: the timer's accuracy, and the restart of
// its units.
const returnTime = 2 * time.Minute

// extend lets the confirm window of a target begin anew. It returns how long
// that is; zero, if the target does not wait to be confirmed.
func (p *Promotion) extend(ctx context.Context, target Host) (time.Duration, error) {
	a, err := ask(ctx, p, target, p.onTarget(target, "extend.sh", timersPart+extendScript,
		map[string]string{"CONFIRM": seconds(time.Duration(p.Plan.Confirm))}))
	if err != nil {
		return 0, err
	}
	left, _ := strconv.Atoi(a.get("left"))
	return time.Duration(left) * time.Second, nil
}

// openWindow lets the windows of all targets begin together, however long each
// took to be applied, and returns when the first will end; zero, if no target
// waits to be confirmed.
func (p *Promotion) openWindow(ctx context.Context) (time.Time, error) {
	ends := make([]time.Time, len(p.Targets))
	err := each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		began := time.Now()
		left, err := p.extend(ctx, target)
		if left > 0 {
			ends[i] = began.Add(left)
		}
		return err
	})
	var first time.Time
	for _, end := range ends {
		if !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first, err
}

// opening is the beginning of the confirm windows, while the checks run.
type opening struct {
	// checks is the context of what runs beside it; it ends with the error of a window
	// that does not begin.
	checks context.Context
	done   chan struct{}
	err    error
}

// beginWindow opens the windows beside what is done under the opening's context. first
// is set once that has been waited for.
func (p *Promotion) beginWindow(ctx context.Context, first *time.Time) *opening {
	checks, cut := context.WithCancelCause(ctx)
	o := &opening{checks: checks, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		o.err = guard("confirm window", func() (err error) {
			*first, err = p.openWindow(ctx)
			return err
		})
		if o.err != nil {
			cut(o.err)
		}
	}()
	return o
}

// wait is the error of a window that did not begin.
func (o *opening) wait() error {
	<-o.done
	return o.err
}

// awaitReturn waits until the targets have gone back by themselves, so that
// what is said of them in the end is true. If some have, the others are taken
// back: the targets are one production.
func (p *Promotion) awaitReturn(ctx context.Context, cause error) error {
	p.Note("", "waiting for the targets to go back by themselves")
	back, confirmed := make([]bool, len(p.Targets)), make([]bool, len(p.Targets))
	limit, cancel := context.WithTimeout(ctx, time.Duration(p.Plan.Confirm)+returnTime)
	defer cancel()
	_ = each(limit, p.Targets, func(ctx context.Context, i int, target Host) error {
		// One that ran the release before has nothing to go back to.
		back[i] = p.Facts.Apply.Targets[target.Name()].Result == "live"
		for ctx.Err() == nil && !back[i] && !confirmed[i] {
			// One that cannot be asked now may be, in a moment; and one may have been
			// confirmed, and only its answer been lost.
			if look, err := p.look(ctx, target); err == nil {
				back[i] = look.Reverted != "" && look.Stuck == ""
				confirmed[i] = look.Live == p.ID
			}
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !slices.Contains(confirmed, false) {
		return nil
	}
	for i, target := range p.Targets {
		if back[i] {
			p.Note(target.Name(), "went back by itself: it was not confirmed in time")
		}
	}
	if !slices.Contains(back, true) {
		return &UnconfirmedError{Reason: cause.Error()}
	}
	all, err := Revert(ctx, p, "another target went back")
	if err != nil {
		return HostErrors{&UnconfirmedError{Reason: cause.Error()}, err}
	}
	return &UnconfirmedError{Reason: cause.Error(), Back: all}
}
