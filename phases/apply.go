package phases

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Applied is how the apply ended on each target.
type Applied struct {
	Targets map[string]Outcome `json:"targets"`
}

// Nothing reports whether there was nothing to do: every target ran the
// release already.
func (a *Applied) Nothing() bool {
	for _, o := range a.Targets {
		if o.Result != "live" {
			return false
		}
	}
	return len(a.Targets) > 0
}

// ApplyError says that a release could not be made live on a target.
type ApplyError struct {
	Host    string
	Outcome Outcome
}

func (e *ApplyError) Error() string { return e.Host + ": " + e.Outcome.Text }

// BackError says that an apply failed on some targets, and that those that it
// had changed are back on the release before.
type BackError struct{ Err error }

func (e *BackError) Error() string { return e.Err.Error() }

func (e *BackError) Unwrap() error { return e.Err }

// Apply makes the release live on every target, as one detached job on each.
// A job that an earlier attempt started is found and followed, or its result
// read; a target that runs the release already is left alone. If one target
// fails, those that did not go back too: the targets are one production.
func Apply(ctx context.Context, p *Promotion) error {
	live, looks, err := p.alreadyLive(ctx)
	if err != nil {
		return err
	}
	outcomes := make([]Outcome, len(p.Targets))
	p.early = p.expect(ctx)
	all, done := context.WithCancel(ctx)
	defer done()
	err = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
		if live[i] {
			outcomes[i] = Outcome{Attempt: p.Attempt, Result: "live"}
			p.Note(target.Name(), "already live; nothing was restarted")
			p.early.up(target.Name())
			return nil
		}
		if outcomes[i], err = applyTo(ctx, p, target, looks[i]); err == nil {
			// Its window must not end while others are still at it.
			go p.putOff(all, target)
		}
		return err
	})
	done()
	p.Facts.Apply = &Applied{Targets: map[string]Outcome{}}
	for i, target := range p.Targets {
		p.Facts.Apply.Targets[target.Name()] = outcomes[i]
	}
	if err == nil || len(p.Targets) == 1 {
		return err
	}
	// Also where it is not known how the apply ended, as after a lost connection.
	var changed []Host
	for i, target := range p.Targets {
		if r := outcomes[i].Result; r != "live" && r != "refused" && r != "reverted" && r != "stuck" {
			changed = append(changed, target)
		}
	}
	if len(changed) == 0 {
		return err
	}
	back, reverted := revertAll(ctx, p, changed, "another target failed")
	if !back {
		return Join([]error{err, reverted})
	}
	return &BackError{Err: err}
}

// applyTo starts the job, or finds what an earlier attempt has left: look is nil where
// that was not asked for.
func applyTo(ctx context.Context, p *Promotion, target Host, look *Look) (o Outcome, err error) {
	if look == nil && p.Attempt > 1 {
		if look, err = p.look(ctx, target); err != nil {
			return Outcome{}, err
		}
	}
	if look != nil && look.Outcome != nil && look.Outcome.Result == "applied" && look.Reverted == "" && look.Runs(p.Release()) {
		p.Note(target.Name(), "applied by attempt "+strconv.Itoa(look.Outcome.Attempt))
		return *look.Outcome, nil
	}
	o, err = p.job(ctx, target, "apply", "")
	if err != nil {
		return Outcome{}, err
	}
	if o.Result != "applied" {
		return o, &ApplyError{Host: target.Name(), Outcome: o}
	}
	p.Note(target.Name(), fmt.Sprintf("%s repointed, %s restarted", CountText(len(p.Release().Outputs), "link"), CountText(len(p.units(target)), "unit")))
	if p.Plan.Confirm == 0 {
		p.Note(target.Name(), "there is no confirm window: it does not go back by itself")
	}
	return o, nil
}

// alreadyLive tells which targets run the release as it should be: every link,
// every unit, no process of another release, and every check. A release that
// lacks any of it is applied, which restarts it. What it had to ask is returned too.
func (p *Promotion) alreadyLive(ctx context.Context) (live []bool, looks []*Look, err error) {
	live, looks = make([]bool, len(p.Targets)), make([]*Look, len(p.Targets))
	if p.Plan.Force {
		return live, looks, nil
	}
	err = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		// Where this run has verified that the links lead elsewhere, they do still: it
		// has the hold. Whoever resumes may come after another's promotion.
		before := Look{Links: p.Facts.Verify.Targets[target.Name()].Links}
		if p.Seen.settled() && !before.Runs(p.Release()) {
			return nil
		}
		look, err := p.look(ctx, target)
		if err == nil {
			looks[i] = look
			live[i] = look.Runs(p.Release()) && look.Sound(p.units(target)) && !look.Begun && look.Pending == ""
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for i, result := range p.glance(ctx, live) {
		live[i] = live[i] && result
	}
	return live, looks, nil
}

// glance asks the checks of those targets whose release is live, without the
// patience that a restart needs, and tells which pass all of them.
func (p *Promotion) glance(ctx context.Context, live []bool) []bool {
	q := *p
	q.Targets, q.Plan.Checks = nil, nil
	for i, target := range p.Targets {
		if live[i] {
			q.Targets = append(q.Targets, target)
		}
	}
	if len(q.Targets) == 0 {
		return live
	}
	for _, c := range p.Plan.Checks {
		c.StartPeriod = 0
		c.Deadline = min(c.Deadline, c.Timeout+Duration(c.Successes)*c.Interval)
		q.Plan.Checks = append(q.Plan.Checks, c)
	}
	failed := map[string]bool{}
	for _, r := range q.check(ctx) {
		if r.Verdict != Passed {
			failed[r.Host] = true
			p.Note(r.Host, "is live, but not as it should be: "+r.note())
		}
	}
	pass := make([]bool, len(p.Targets))
	for i, target := range p.Targets {
		// A check of the operator's is of all targets.
		pass[i] = !failed[target.Name()] && !failed[""]
	}
	return pass
}

// applied holds while every target runs the release.
func applied(ctx context.Context, p *Promotion) (lost string, err error) {
	reasons := make([]string, len(p.Targets))
	err = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		look, err := p.look(ctx, target)
		switch {
		case err != nil:
			return err
		case look.Reverted != "":
			reasons[i] = fmt.Sprintf("%s went back: %s", target.Name(), look.Reverted)
		case !look.Runs(p.Release()):
			reasons[i] = target.Name() + ": the links point elsewhere"
		}
		return nil
	})
	return allOf(reasons), err
}

// putOff lets a target's confirm window begin anew again and again, until ctx
// ends: as long as it does not, the operator is there, and other targets are
// not ready to be checked.
func (p *Promotion) putOff(ctx context.Context, target Host) {
	if p.Plan.Confirm == 0 {
		return
	}
	tick := time.NewTicker(max(time.Duration(p.Plan.Confirm)/3, 500*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			// Best effort: a target that went back is seen when it is confirmed.
			_, _ = p.extend(ctx, target)
		case <-ctx.Done():
			return
		}
	}
}
