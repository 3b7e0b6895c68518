package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

//go:embed apply.sh
var applyScript string

//go:embed start.sh
var startScript string

// settle is how long the restarted units must stay as they are before an apply
// has succeeded: long enough for a process that dies at its start to have died
// and been restarted by systemd, whose RestartSec is 100 ms unless set.
const settle = 3 * time.Second

// jobDeadline is how long an apply or a revert is followed on the target. Each
// unit may take five minutes to restart and one to become active.
const jobDeadline = 25 * time.Minute

// Applied is how the apply ended on each target.
type Applied struct {
	Targets map[string]Outcome `json:"targets"`
}

// Outcome is the result.json of an apply.
type Outcome struct {
	Attempt int `json:"attempt"`
	// Result is "applied"; "refused", nothing was changed; "reverted", it
	// failed and the previous release is back; or "stuck", it failed and the
	// previous release is not wholly back.
	Result string `json:"result"`
	// Unit is the unit that failed, if one did; Text what went wrong.
	Unit string `json:"unit"`
	Text string `json:"text"`
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

// LostJobError says that the job on the target ended without a result.
type LostJobError struct{ Host, Verb string }

func (e *LostJobError) Error() string {
	return fmt.Sprintf("%s: the %s job ended without a result", e.Host, e.Verb)
}

// Apply makes the release live on every target, as one detached job on each.
// A job that an earlier attempt started is found and followed, or its result
// read. If one target fails, those that did not go back too: the targets are
// one production.
func Apply(ctx context.Context, p *Promotion) error {
	outcomes := make([]Outcome, len(p.Targets))
	err := each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
		outcomes[i], err = applyTo(ctx, p, target)
		return err
	})
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
		if r := outcomes[i].Result; r != "refused" && r != "reverted" && r != "stuck" {
			changed = append(changed, target)
		}
	}
	if len(changed) == 0 {
		return err
	}
	if reverted := revertAll(ctx, p, changed, "another target failed"); reverted != nil {
		return join([]error{err, reverted})
	}
	return &BackError{Err: err}
}

func applyTo(ctx context.Context, p *Promotion, target Host) (Outcome, error) {
	look, err := p.look(ctx, target)
	if err != nil {
		return Outcome{}, err
	}
	if o := look.Outcome; o != nil && o.Result == "applied" && look.Reverted == "" && look.Runs(p.Release()) {
		p.Note(target.Name(), "applied by attempt "+strconv.Itoa(o.Attempt))
		return *o, nil
	}
	text, err := p.job(ctx, target, "apply", "")
	if err != nil {
		return Outcome{}, err
	}
	var o Outcome
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, fmt.Errorf("%s: result.json of the apply is %q", target.Name(), clip(text))
	}
	if o.Result != "applied" {
		return o, &ApplyError{Host: target.Name(), Outcome: o}
	}
	p.Note(target.Name(), fmt.Sprintf("%d links repointed, %d units restarted", len(p.Release().Outputs), len(p.Plan.Restart)))
	return o, nil
}

// job starts the job on the target, or finds it running, follows it and
// returns the line it ended with.
func (p *Promotion) job(ctx context.Context, target Host, verb, reason string) (string, error) {
	a, err := ask(ctx, p, target, Script{
		Name: "start.sh", Code: startScript,
		Stdin: io.MultiReader(p.jobRows(target), strings.NewReader("---\n"+applyScript)),
		Env: map[string]string{
			"DIR": releaseDir(&p.Plan, p.ID), "VERB": verb, "REASON": reason,
			"ATTEMPT": strconv.Itoa(p.Attempt), "DEADLINE": seconds(jobDeadline),
		},
	})
	switch {
	case err != nil:
		return "", err
	case a.get("held") != "":
		return "", &Refusal{Reason: Held, Host: target.Name(), Thing: a.get("held")}
	case a.get("lost") == "yes":
		return "", &LostJobError{Host: target.Name(), Verb: verb}
	case a.get("end") == "":
		return "", fmt.Errorf("%s: the %s job was still running after %s", target.Name(), verb, jobDeadline)
	}
	return a.get("end"), nil
}

// jobRows is the file that the job works from.
func (p *Promotion) jobRows(target Host) io.Reader {
	rows := [][]string{
		{"app", p.Plan.App},
		{"attempt", strconv.Itoa(p.Attempt)},
		{"confirm", seconds(time.Duration(p.Plan.Confirm))},
		{"settle", seconds(settle)},
		{"ledger", p.ledgerMembers()},
	}
	release := p.Release()
	for i := range release.Outputs {
		o := &release.Outputs[i]
		was := p.Facts.Verify.Targets[target.Name()].Links[o.Link]
		rows = append(rows, []string{"was", o.Link, was}, []string{"link", o.Link, o.Target()})
	}
	for _, unit := range p.Plan.Restart {
		rows = append(rows, []string{"unit", unit})
	}
	return table(rows...)
}

// ledgerMembers are the JSON members that identify the promotion in the
// target's ledger; the job adds when and what.
func (p *Promotion) ledgerMembers() string {
	b, err := json.Marshal(struct {
		Promotion string `json:"promotion"`
		Commit    string `json:"sha"`
		Operator  string `json:"operator"`
	}{p.ID, p.Release().Commit, p.Operator})
	if err != nil {
		panic(err) // three strings always encode
	}
	return strings.Trim(string(b), "{}")
}

// revertAll puts the previous release back on the targets.
func revertAll(ctx context.Context, p *Promotion, targets []Host, reason string) error {
	return each(ctx, targets, func(ctx context.Context, _ int, target Host) error {
		text, err := p.job(ctx, target, "revert", reason)
		if err != nil {
			return &RevertError{Host: target.Name(), Err: err}
		}
		var o Outcome
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			return &RevertError{Host: target.Name(), Err: fmt.Errorf("revert.json is %q", clip(text))}
		}
		switch o.Result {
		case "reverted":
			p.Note(target.Name(), "back on the previous release: "+o.Text)
		case "untouched":
			p.Note(target.Name(), "was not changed by this promotion")
		case "foreign":
			p.Note(target.Name(), "left as it is: "+o.Text)
		default: // stuck
			return &RevertError{Host: target.Name(), Err: errors.New(o.Text)}
		}
		return nil
	})
}

// Revert puts the previous release back on every target where this promotion
// changed anything. A target that has gone back already is left as it is.
func Revert(ctx context.Context, p *Promotion, reason string) error {
	return revertAll(ctx, p, p.Targets, reason)
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
	return firstOf(reasons), err
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Round(time.Second) / time.Second)) }
