package phases

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed journal.sh
var journalScript string

// Checked is what the checks of a healthy release said.
type Checked struct {
	Results []Result `json:"results"`
}

// UnhealthyError says which checks did not pass, and what became of the
// release.
type UnhealthyError struct {
	Results []Result
	// Kept says that the release was left live; otherwise every target is back
	// on the previous one.
	Kept bool
}

func (e *UnhealthyError) Error() string {
	var failed []string
	for _, r := range e.Results {
		if r.Verdict != Passed {
			failed = append(failed, r.String())
		}
	}
	return strings.Join(failed, "; ")
}

// undecidedError says that it cannot be told, or cannot be told to the targets,
// whether the release is healthy. That says nothing of the release: as long as
// the targets wait, it is tried again.
type undecidedError struct{ error }

func (e *undecidedError) Unwrap() error { return e.error }

// Again is the pause before what was undecided, or lost on the way, is tried once
// more. It is a variable for tests that cut connections thousands of times.
var Again = 2 * time.Second

// Health asks all checks, of every target and of the operator, and confirms
// the release where all passed. A failed check sends every target back to the
// previous release, unless the plan says to keep it. What is undecided is tried
// again until the confirm windows end, and the targets have gone back.
func Health(ctx context.Context, p *Promotion) error {
	var window time.Time
	opened := p.beginWindow(ctx, &window)
	for told := false; ; told = true {
		err := healthOnce(ctx, p, told, opened)
		var undecided *undecidedError
		switch {
		case !errors.As(err, &undecided):
			return err
		case window.IsZero():
			return undecided.error
		case time.Until(window) < Again:
			return p.awaitReturn(ctx, undecided.error)
		case !told:
			p.Note("", fmt.Sprintf("undecided; trying again for %s, until the targets go back: %v",
				time.Until(window).Round(time.Second), undecided.error))
		}
		select {
		case <-time.After(Again):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// healthOnce is one round: the checks and, if they pass, the confirmation, over
// connections that are dialled meanwhile, or were at the end of the apply. What is noted in the first round is
// not noted again as long as nothing is decided. Nothing is, before the confirm windows
// have begun.
func healthOnce(ctx context.Context, p *Promotion, told bool, opened *opening) error {
	fresh := p.redialled(ctx)
	defer fresh.drop()
	results := p.check(opened.checks)
	unreached := fresh.wait(ctx)
	if err := opened.wait(); err != nil {
		return err
	}
	p.Facts.Health = &Checked{Results: results}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	verdict := Passed
	for _, r := range results {
		verdict = max(verdict, r.Verdict)
	}
	for _, r := range results {
		if !told || verdict != Inconclusive {
			p.Note(r.Host, r.note())
		}
	}
	switch {
	case verdict == Failed:
		return unhealthy(ctx, p, results)
	case verdict == Inconclusive:
		return &undecidedError{&UnhealthyError{Results: results, Kept: true}}
	case unreached != nil:
		return &undecidedError{&UnconfirmedError{Reason: "no new connection: " + unreached.Error()}}
	}
	return confirmAll(ctx, p, fresh.list)
}

// unhealthy deals with a release that failed its checks.
func unhealthy(ctx context.Context, p *Promotion, results []Result) error {
	showUnits(ctx, p)
	failed := &UnhealthyError{Results: results, Kept: true}
	// Going back must not be stopped by the interrupt that ends the checks.
	ctx = context.WithoutCancel(ctx)
	if gone := returned(ctx, p); gone != "" {
		return withdraw(ctx, p, gone)
	}
	if p.Plan.OnUnhealthy == "keep" {
		return Join([]error{failed, keep(ctx, p)})
	}
	back, err := Revert(ctx, p, "unhealthy")
	if err != nil {
		return HostErrors{failed, err}
	}
	return &UnhealthyError{Results: results, Kept: !back}
}

// returned says which target went back by itself, and why: its checks were answered
// by the release before, and say nothing of this one.
func returned(ctx context.Context, p *Promotion) string {
	reasons := make([]string, len(p.Targets))
	_ = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		look, err := p.look(ctx, target)
		if err == nil && look.Reverted != "" {
			reasons[i] = fmt.Sprintf("%s went back: %s", target.Name(), look.Reverted)
		}
		return err
	})
	return allOf(reasons)
}

// unitLines is how many lines of the units' journal are shown when a check
// fails, of all units of a target together.
const unitLines = 30

// showUnits sends the last lines of the units' journals to the attempt's log:
// why a check failed is mostly there.
func showUnits(ctx context.Context, p *Promotion) {
	_ = each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		s := p.onTarget(target, "journal.sh", journalScript, map[string]string{"COUNT": strconv.Itoa(unitLines)})
		s.Stdin = lines(p.units(target))
		_, err := ask(ctx, p, target, s)
		return err
	})
}
