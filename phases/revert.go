package phases

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// RevertError says that it is not known, or known not to be so, that a target
// is back on the release before.
type RevertError struct {
	Host string
	Err  error
}

func (e *RevertError) Error() string {
	return fmt.Sprintf("%s: the previous release is not back: %v", e.Host, e.Err)
}

func (e *RevertError) Unwrap() error { return e.Err }

// Revert puts the previous release back on every target where this promotion
// changed anything. A target that has gone back already is left as it is, and so
// is one where another release went live since: then back is false.
func Revert(ctx context.Context, p *Promotion, reason string) (back bool, err error) {
	return revertAll(ctx, p, p.Targets, reason)
}

func revertAll(ctx context.Context, p *Promotion, targets []Host, reason string) (back bool, err error) {
	var foreign atomic.Bool
	err = each(ctx, targets, func(ctx context.Context, _ int, target Host) error {
		o, err := p.job(ctx, target, "revert", reason)
		if err != nil {
			return &RevertError{Host: target.Name(), Err: err}
		}
		switch o.Result {
		case "reverted":
			p.Note(target.Name(), "back on the previous release: "+o.Text)
		case "untouched":
			p.Note(target.Name(), "was not changed by this promotion")
		case "foreign":
			foreign.Store(true)
			p.Note(target.Name(), "left as it is: "+o.Text)
		default: // stuck
			return &RevertError{Host: target.Name(), Err: errors.New(o.Text)}
		}
		return nil
	})
	return err == nil && !foreign.Load(), err
}
