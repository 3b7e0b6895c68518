package phases

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The job is one file on the target, which must go on working when rel is
// long gone; here it is several, each for one thing.
var (
	//go:embed job.sh
	jobHead string
	//go:embed target.sh
	targetHead string
	//go:embed timers.sh
	timersPart string
	//go:embed units.sh
	unitsPart string
	//go:embed links.sh
	linksPart string
	//go:embed apply.sh
	verbsPart string
)

func jobScript() string {
	return jobHead + targetHead + timersPart + unitsPart + linksPart + verbsPart
}

// jobSum is the SHA-256 of the job's script as a target keeps it, in hexadecimal. Where what
// is live there has the same, it need not be sent: of a promotion of little it is a
// twentieth of the operator's bytes.
func jobSum() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(jobScript()+lastLine))) }

//go:embed start.sh
var startScript string

// jobDeadline is how long an apply or a revert is followed on the target. Each
// unit may take five minutes to restart and one to become active.
const jobDeadline = 25 * time.Minute

// Outcome is how a job ended: its result.json, or its revert.json.
type Outcome struct {
	Attempt int `json:"attempt"`
	// Result is, of an apply, "applied"; "live", nothing was to be done;
	// "refused", nothing was changed; "reverted", it failed and the previous
	// release is back; or "stuck", it failed and the previous release is not
	// wholly back. Of a revert it is "reverted"; "untouched", there was nothing
	// to put back; "foreign", another release is live by now; or "stuck".
	Result string `json:"result"`
	// Unit is the unit that failed, if one did; Text what went wrong.
	Unit string `json:"unit"`
	Text string `json:"text"`
}

// LostJobError says that the job on the target ended without a result.
type LostJobError struct{ Host, Verb string }

func (e *LostJobError) Error() string {
	return fmt.Sprintf("%s: the %s job ended without a result", e.Host, e.Verb)
}

// onTarget is a script that works in the app's folder on a target, by the right
// of the hold there.
func (p *Promotion) onTarget(target Host, name, code string, env map[string]string) Script {
	all := map[string]string{"APP": p.Plan.App, "ID": p.ID, "EPOCH": p.epoch(target)}
	for key, value := range env {
		all[key] = value
	}
	return Script{Name: name, Code: targetHead + code, Root: true, Env: all}
}

// job starts the job on the target, or finds it running, follows it and returns how
// it ended. A connection that is lost meanwhile does not end the job: it is looked
// for again as long as its release may wait to be confirmed.
func (p *Promotion) job(ctx context.Context, target Host, verb, reason string) (Outcome, error) {
	var sought *search
	var lost error
	for {
		trying, tried := sought.within(ctx, target)
		o, err := p.follow(trying, target, verb, reason)
		late := err != nil && trying.Err() != nil && ctx.Err() == nil
		if tried(); late {
			return o, lost
		}
		if !isLost(err) || ctx.Err() != nil {
			if err == nil && sought != nil && o.Result == "applied" {
				return p.since(ctx, target, o)
			}
			return o, err
		}
		if sought == nil {
			// Who was not reached at all was not started anything on.
			if isUnreached(err) {
				return o, err
			}
			sought = p.search(target, verb)
			defer sought.end()
		}
		if lost = err; time.Now().After(sought.until) {
			return o, err
		}
		select {
		case <-time.After(Again):
		case <-ctx.Done():
			return o, err
		}
	}
}

// since is what became of an apply after its job had ended, while nobody looked.
func (p *Promotion) since(ctx context.Context, target Host, o Outcome) (Outcome, error) {
	look, err := p.look(ctx, target)
	if err == nil && look.Reverted != "" {
		o.Result, o.Text = "reverted", look.Reverted
	}
	if err == nil && look.Stuck != "" {
		o.Result, o.Text = "stuck", look.Stuck
	}
	return o, err
}

// isLost reports whether it was the connection that failed, and not what was
// done through it.
func isLost(err error) bool {
	var lost interface{ Lost() bool }
	return errors.As(err, &lost) && lost.Lost()
}

// isUnreached reports whether there was no connection to begin with.
func isUnreached(err error) bool {
	var unreached interface{ Unreached() bool }
	return errors.As(err, &unreached) && unreached.Unreached()
}

// mayHaveRun reports whether a host may have done what it was asked, and only its
// answer was lost.
func mayHaveRun(err error) bool {
	var lost interface{ MayHaveRun() bool }
	return errors.As(err, &lost) && lost.MayHaveRun()
}

// follow is job over one connection.
func (p *Promotion) follow(ctx context.Context, target Host, verb, reason string) (Outcome, error) {
	sum, script := "", jobScript()+lastLine
	if verb == "apply" && p.Seen.job(target.Name()) {
		sum, script = jobSum(), ""
	}
	start := p.onTarget(target, "start.sh", startScript, map[string]string{
		"VERB": verb, "REASON": reason, "ATTEMPT": strconv.Itoa(p.Attempt), "LIMIT": seconds(jobDeadline), "SUM": sum,
	})
	start.Stdin = io.MultiReader(p.jobRows(target), strings.NewReader("---\n"+script))
	if verb == "apply" {
		start.Line = p.early.listen(target.Name(), p.lineOf(target))
	}
	a, err := ask(ctx, p, target, start)
	var o Outcome
	switch {
	case err != nil:
		return o, err
	case a.get("unlike") != "":
		p.Seen.keepJob(target.Name(), false)
		return p.follow(ctx, target, verb, reason)
	case a.get("held") != "":
		return o, &Refusal{Reason: Held, Host: target.Name(), Thing: a.get("held")}
	case a.get("lost") == "yes":
		return o, &LostJobError{Host: target.Name(), Verb: verb}
	case a.get("end") == "":
		return o, fmt.Errorf("%s: the %s job was still running after %s", target.Name(), verb, jobDeadline)
	}
	if err := json.Unmarshal([]byte(a.get("end")), &o); err != nil {
		return o, fmt.Errorf("%s: the %s job ended with %q", target.Name(), verb, clip(a.get("end")))
	}
	return o, nil
}

// jobRows is the file that the job works from.
func (p *Promotion) jobRows(target Host) io.Reader {
	before := p.Facts.Verify.Targets[target.Name()]
	rows := [][]string{
		{"attempt", strconv.Itoa(p.Attempt)},
		{"epoch", p.epoch(target)},
		{"confirm", seconds(time.Duration(p.Plan.Confirm))},
		{"settle", seconds(time.Duration(p.Plan.Settle))},
		{"ledger", p.ledgerMembers() + `,"epoch":` + p.epoch(target)},
		{"live", before.Live},
	}
	release := p.Release()
	for i := range release.Outputs {
		o := &release.Outputs[i]
		rows = append(rows, []string{"was", o.Link, before.Links[o.Link]}, []string{"link", o.Link, o.Target()})
	}
	for _, unit := range p.units(target) {
		rows = append(rows, []string{"unit", unit})
	}
	return table(rows...)
}

// ledgerMembers are the JSON members that say, in a target's ledger, whose line it
// is, and where the operator's journal was at that time.
func (p *Promotion) ledgerMembers() string {
	line := struct {
		Promotion string `json:"promotion"`
		Commit    string `json:"sha,omitempty"`
		Operator  string `json:"operator"`
		Anchor
	}{Promotion: p.ID, Commit: p.Plan.Commit, Operator: p.Operator}
	if p.Anchor != nil {
		line.Anchor = p.Anchor()
	}
	b, err := json.Marshal(line)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return strings.Trim(string(b), "{}")
}

func (p *Promotion) epoch(target Host) string {
	return strconv.FormatInt(p.Hold.epoch(target.Name()), 10)
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Round(time.Second) / time.Second)) }
