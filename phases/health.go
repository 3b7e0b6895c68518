package phases

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
)

//go:embed confirm.sh
var confirmScript string

//go:embed keep.sh
var keepScript string

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
	// Kept says that the release was left live, as the plan has it; otherwise
	// every target is back on the previous one.
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

// UnconfirmedError says that a healthy release could not be confirmed.
type UnconfirmedError struct {
	// Reason names the target and says why.
	Reason string
	// Back says that every target is back on the release before.
	Back bool
}

func (e *UnconfirmedError) Error() string { return "cannot be confirmed: " + e.Reason }

// Health asks all checks, of every target and of the operator, and confirms
// the release where all passed. A failed check sends every target back to the
// previous release unless the plan says to keep it. A check that could not be
// asked is no verdict on the release: then the targets wait out their confirm
// window.
func Health(ctx context.Context, p *Promotion) error {
	results := p.check(ctx)
	p.Facts.Health = &Checked{Results: results}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	verdict := Passed
	for _, r := range results {
		verdict = max(verdict, r.Verdict)
		p.Note(r.Host, r.note())
	}
	switch verdict {
	case Passed:
		return confirmAll(ctx, p)
	case Inconclusive:
		return &UnhealthyError{Results: results, Kept: true}
	}
	showUnits(ctx, p)
	if p.Plan.OnUnhealthy == "keep" {
		return join([]error{&UnhealthyError{Results: results, Kept: true}, keep(ctx, p)})
	}
	// Going back must not be stopped by the interrupt that ends the checks.
	if err := Revert(context.WithoutCancel(ctx), p, "unhealthy"); err != nil {
		return HostErrors{&UnhealthyError{Results: results, Kept: true}, err}
	}
	return &UnhealthyError{Results: results}
}

// confirmAll confirms on every target, or on none: one that went back by itself
// while the checks ran takes the others with it.
func confirmAll(ctx context.Context, p *Promotion) error {
	lost, err := applied(ctx, p)
	if err != nil {
		return err
	}
	if lost == "" {
		return confirm(ctx, p)
	}
	if err := Revert(context.WithoutCancel(ctx), p, "another target went back"); err != nil {
		return HostErrors{&UnconfirmedError{Reason: lost}, err}
	}
	return &UnconfirmedError{Reason: lost, Back: true}
}

// keep lets an unhealthy release stay: the targets no longer go back by themselves.
func keep(ctx context.Context, p *Promotion) error {
	return each(context.WithoutCancel(ctx), p.Targets, func(ctx context.Context, _ int, target Host) error {
		_, err := ask(ctx, p, target, Script{Name: "keep.sh", Code: keepScript,
			Env: map[string]string{"APP": p.Plan.App, "ID": p.ID}})
		return err
	})
}

func confirm(ctx context.Context, p *Promotion) error {
	return each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		a, err := ask(ctx, p, target, Script{
			Name: "confirm.sh", Code: confirmScript, Stdin: p.jobRows(target),
			Env: map[string]string{"APP": p.Plan.App, "ID": p.ID, "KEEP": strconv.Itoa(p.Plan.Keep)},
		})
		if err != nil {
			return err
		}
		if a.get("confirmed") != "yes" {
			return &UnconfirmedError{Reason: target.Name() + ": " + a.get("refused")}
		}
		p.Note(target.Name(), "confirmed")
		return nil
	})
}

// showUnits sends the last lines of the units' journals to the attempt's log:
// why a check failed is mostly there.
func showUnits(ctx context.Context, p *Promotion) {
	_ = each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		_, err := ask(ctx, p, target, Script{
			Name: "journal.sh", Code: journalScript, Stdin: lines(p.Plan.Restart),
			Env: map[string]string{"DIR": releaseDir(&p.Plan, p.ID)},
		})
		return err
	})
}
