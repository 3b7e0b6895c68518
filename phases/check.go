package phases

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Verdict is what a check says of the release. Verdicts are ordered: of
// several checks the worst counts.
type Verdict int

const (
	// Passed: it answered as it should, as often as it should.
	Passed Verdict = iota
	// Inconclusive: it could not be asked; that says nothing of the release.
	Inconclusive
	// Failed: it was asked and did not answer as it should.
	Failed
)

var verdictNames = map[Verdict]string{Passed: "passed", Inconclusive: "inconclusive", Failed: "failed"}

// MarshalText writes the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(verdictNames[v]), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Verdict) UnmarshalText(b []byte) error {
	for verdict, name := range verdictNames {
		if name == string(b) {
			*v = verdict
			return nil
		}
	}
	return fmt.Errorf("%q is no verdict", b)
}

// Result is how one check ended.
type Result struct {
	Check string `json:"check"`
	// Host is the target the check went through; empty for the operator.
	Host     string  `json:"host,omitempty"`
	Verdict  Verdict `json:"verdict"`
	Attempts int     `json:"attempts"`
	// Last says what the last probe found, where it did not pass.
	Last string `json:"last,omitempty"`
	// Limit names the limit that ended the check.
	Limit string `json:"limit,omitempty"`
}

func (r Result) String() string {
	where := "from the operator"
	if r.Host != "" {
		where = "on " + r.Host
	}
	return fmt.Sprintf("check %q %s %s", r.Check, where, r.ending())
}

// note is the result without the host, for an event that names it.
func (r Result) note() string { return fmt.Sprintf("check %q %s", r.Check, r.ending()) }

func (r Result) ending() string {
	s := verdictNames[r.Verdict] + " after " + CountText(r.Attempts, "attempt")
	if r.Verdict == Passed {
		return s
	}
	return fmt.Sprintf("%s (%s); last: %s", s, r.Limit, r.Last)
}

// check asks all checks side by side and returns the results in plan order.
func (p *Promotion) check(ctx context.Context) []Result {
	type job struct {
		check Check
		host  string
		dial  dialer
	}
	var jobs []job
	for _, c := range p.Plan.Checks {
		if c.From == "operator" {
			jobs = append(jobs, job{check: c, dial: new(net.Dialer).DialContext})
			continue
		}
		for _, target := range p.Targets {
			jobs = append(jobs, job{check: c, host: target.Name(), dial: target.DialContext})
		}
	}
	results := make([]Result, len(jobs))
	var wait sync.WaitGroup
	for i, j := range jobs {
		wait.Go(func() {
			err := guard(j.host, func() error {
				results[i] = p.expand(j.check).until(ctx, j.dial, func(r *Result, inRow int) { r.tick(p, j.host, inRow, j.check.Successes) })
				return nil
			})
			if err != nil {
				results[i] = Result{Check: j.check.Name, Verdict: Inconclusive, Last: err.Error()}
			}
			results[i].Host = j.host
		})
	}
	wait.Wait()
	return results
}

// expand fills in what the release is called.
func (p *Promotion) expand(c Check) Check {
	release := p.Release()
	names := strings.NewReplacer("${sha}", release.Commit, "${short_sha}", Short(release.Commit), "${id}", p.ID)
	urls := make([]string, len(c.URLs))
	for i, u := range c.URLs {
		urls[i] = names.Replace(u)
	}
	c.URLs, c.Body, c.Location, c.Header = urls, names.Replace(c.Body), names.Replace(c.Location), names.Replace(c.Header)
	return c
}

// until probes until the check passes or its time is over. A failed probe only
// means another one: services may take their start period, and then have the
// whole deadline to pass in. What they answered after the start period decides;
// if they could not be asked then, nothing does. asked is told of each probe, and how many
// have passed in a row.
func (c Check) until(ctx context.Context, dial dialer, asked func(r *Result, inRow int)) Result {
	r := Result{Check: c.Name, Verdict: Failed}
	p, err := newProber(c, dial)
	if err != nil {
		r.Verdict, r.Limit, r.Last = Inconclusive, "not asked", err.Error()
		return r
	}
	defer p.client.CloseIdleConnections()
	started := time.Now()
	deadline := time.Duration(c.StartPeriod) + time.Duration(c.Deadline)
	limit, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for inRow, decided := 0, false; ; {
		next := time.After(time.Duration(c.Interval))
		err := p.probe(limit)
		if limit.Err() == nil || err == nil {
			r.Attempts++
			if inRow++; err != nil {
				inRow = 0
			}
			if verdict := verdictOf(err); err != nil && (verdict == Failed || !decided) {
				r.Verdict, r.Last = verdict, clip(printable(err.Error()))
				decided = verdict == Failed && time.Since(started) >= time.Duration(c.StartPeriod)
			}
			if inRow >= c.Successes {
				r.Verdict, r.Last = Passed, ""
				return r
			}
			asked(&r, inRow)
		}
		select {
		case <-next:
		case <-limit.Done():
			r.Limit = fmt.Sprintf("deadline of %s", deadline)
			if ctx.Err() != nil {
				r.Verdict, r.Limit = Inconclusive, "interrupted"
			}
			if r.Last == "" {
				r.Last = fmt.Sprintf("only %d of %d successes in a row", inRow, c.Successes)
			}
			return r
		}
	}
}
