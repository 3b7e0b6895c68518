package phases

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"time"
)

//go:embed confirm.sh
var confirmScript string

//go:embed keep.sh
var keepScript string

// confirmTimeout bounds a confirmation, which an interrupt does not: it would
// leave some targets confirmed, and others not. A job may have the lock.
const confirmTimeout = 2 * time.Minute

// UnconfirmedError says that a release could not be confirmed.
type UnconfirmedError struct {
	// Reason says why, and names the target.
	Reason string
	// Back says that every target is back on the release before.
	Back bool
}

func (e *UnconfirmedError) Error() string { return "cannot be confirmed: " + e.Reason }

// confirmAll confirms on every target, or on none: one that went back by itself
// while the checks ran, or that refuses, takes the others with it. A target looks by
// itself before it confirms; of several, none is asked to before all were looked at.
func confirmAll(ctx context.Context, p *Promotion, fresh connections) error {
	over := *p
	over.Targets = make([]Host, len(fresh))
	for i, connection := range fresh {
		over.Targets[i] = connection
	}
	var lost string
	var err error
	if len(over.Targets) > 1 {
		lost, err = applied(ctx, &over)
	}
	ctx = context.WithoutCancel(ctx)
	if err == nil && lost == "" {
		lost, err = confirm(ctx, &over)
	}
	switch {
	case err != nil:
		return &undecidedError{&UnconfirmedError{Reason: err.Error()}}
	case lost == "":
		return nil
	}
	return withdraw(ctx, p, lost)
}

// withdraw takes back a release that one of the targets no longer has.
func withdraw(ctx context.Context, p *Promotion, lost string) error {
	back, err := Revert(ctx, p, lost)
	if err != nil {
		return HostErrors{&UnconfirmedError{Reason: lost}, err}
	}
	return &UnconfirmedError{Reason: lost, Back: back}
}

// confirm says why a target refused; the error is that of one that could not be
// asked.
func confirm(ctx context.Context, p *Promotion) (refused string, err error) {
	reasons := make([]string, len(p.Targets))
	err = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		ctx, cancel := context.WithTimeoutCause(ctx, confirmTimeout,
			fmt.Errorf("%s: the confirmation took longer than %s", target.Name(), confirmTimeout))
		defer cancel()
		s := p.onTarget(target, "confirm.sh", timersPart+confirmScript,
			map[string]string{"BY": p.Operator, "MANIFEST": p.Plan.Manifest})
		s.Stdin = io.MultiReader(p.jobRows(target), strings.NewReader(lastLine))
		a, err := ask(ctx, p, target, s)
		switch {
		case err != nil:
			return err
		case a.get("confirmed") != "yes":
			reasons[i] = target.Name() + ": " + a.get("refused")
		default:
			p.Note(target.Name(), "confirmed")
		}
		return nil
	})
	return allOf(reasons), err
}

// keep lets an unhealthy release stay: the targets no longer go back by
// themselves.
func keep(ctx context.Context, p *Promotion) error {
	return each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		_, err := ask(ctx, p, target, p.onTarget(target, "keep.sh", timersPart+keepScript, nil))
		if err == nil {
			p.Note(target.Name(), "stays on the unhealthy release, and does not go back by itself")
		}
		return err
	})
}
