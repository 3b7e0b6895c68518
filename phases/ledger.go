package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed releases.sh
var releasesScript string

// Ledger is what a target itself knows of the releases it ran, so that any
// operator can go back, whatever journal they have.
type Ledger struct {
	// Live is the promotion that is live and confirmed; empty before there was
	// one.
	Live string
	// Astray says that the links are not those of the live release, and Kept
	// which one they may be of: one that was kept though it was unhealthy.
	Astray bool
	Kept   string
	// Releases are those that were confirmed, in the order in which they came to
	// the target: the last fifty.
	Releases []Recorded
}

// Recorded is a promotion that was confirmed on a target.
type Recorded struct {
	ID string `json:"id"`
	// Origin is the promotion that built its release: itself, unless it is a
	// rollback.
	Origin string `json:"origin"`
	Commit string `json:"sha,omitempty"`
	Kind   string `json:"kind"`
	// Content tells releases from each other that differ in more than a name.
	Content string `json:"-"`
	// Since is when it was confirmed, By who did.
	Since time.Time `json:"since"`
	By    string    `json:"by"`
	// Left is the rollback that took it off the target.
	Left string `json:"left,omitempty"`
	// Usable says that all of it is in the target's store.
	Usable bool `json:"usable"`
}

// ReadLedger asks a target for its releases.
func ReadLedger(ctx context.Context, host Host, line func(string), app string) (*Ledger, error) {
	out, err := host.Run(ctx, Script{
		Name: "releases.sh", Code: targetHead + releasesScript, Root: true, Reads: true, Line: line,
		Env: map[string]string{"APP": app, "ID": ""},
	})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "releases.sh", out)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Live: a.get("live"), Astray: a.has("astray"), Kept: a.get("astray")}
	for _, row := range a.all("release") {
		f := strings.Split(row, "\t")
		if len(f) != 9 {
			return nil, fmt.Errorf("%s: its record of a release is %q", host.Name(), clip(row))
		}
		r := Recorded{ID: f[0], Origin: f[1], Commit: f[2], Kind: f[3], Content: f[4], By: f[6], Left: f[7]}
		r.Since, _ = time.Parse(time.RFC3339, f[5])
		missing, err := strconv.Atoi(f[8])
		r.Usable = err == nil && missing == 0
		l.Releases = append(l.Releases, r)
	}
	return l, nil
}

// Find is the promotion with this id; nil if it was never confirmed here.
func (l *Ledger) Find(id string) *Recorded {
	for i := range l.Releases {
		if l.Releases[i].ID == id {
			return &l.Releases[i]
		}
	}
	return nil
}

// Candidates are the releases to go back to, the nearest first: the live one, if
// the links have left it, then those that were live before it and differ from it
// and from each other. What was rolled back does not count: it was left for a
// reason.
func (l *Ledger) Candidates() []Recorded {
	live := l.Find(l.Live)
	if live == nil {
		return nil
	}
	var list []Recorded
	if l.Astray {
		list = append(list, *live)
	}
	passed := map[string]bool{live.Content: true}
	for _, r := range l.Releases {
		if r.Left != "" {
			passed[r.Content] = true
		}
	}
	// The place of a release is where it was first promoted, not where a
	// rollback came to it again.
	place := slices.IndexFunc(l.Releases, func(r Recorded) bool { return r.ID == live.Origin })
	for _, r := range slices.Backward(l.Releases[:max(place, 0)]) {
		if r.Kind != "rollback" && !passed[r.Content] {
			list = append(list, r)
			passed[r.Content] = true
		}
	}
	return list
}

// FetchRelease asks a target for the whole record of a release.
func FetchRelease(ctx context.Context, host Host, line func(string), app, id string) (*Release, error) {
	out, err := host.Run(ctx, Script{
		Name: "releases.sh", Code: targetHead + releasesScript, Root: true, Reads: true, Line: line,
		Env: map[string]string{"APP": app, "ID": id},
	})
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(host.Name(), "releases.sh", out)
	if err != nil {
		return nil, err
	}
	r := new(Release)
	if err := json.Unmarshal([]byte(a.get("json")), r); err != nil {
		return nil, fmt.Errorf("%s: its record of %s is %q", host.Name(), id, clip(a.get("json")))
	}
	r.Closure = a.all("path")
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", host.Name(), err)
	}
	return r, nil
}

// usable refuses a rollback, before anything is touched, to a release that a
// target no longer has and that the build host cannot give it.
func usable(ctx context.Context, p *Promotion) error {
	if p.Plan.Release == nil {
		return nil
	}
	lacking := make([]bool, len(p.Targets))
	err := each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		missing, err := invalid(ctx, p, target, p.Plan.Release.Closure)
		lacking[i] = len(missing) > 0
		return err
	})
	first := slices.Index(lacking, true)
	if err != nil || first < 0 {
		return err
	}
	target := p.Targets[first]
	p.Note(target.Name(), "no longer has all of it; asking "+p.Build.Name())
	missing, err := invalid(ctx, p, p.Build, p.Plan.Release.Closure)
	if err == nil && len(missing) == 0 {
		return nil
	}
	refusal := &Refusal{Reason: Collected, Host: target.Name(), Thing: p.Plan.Release.ID}
	if err != nil {
		p.Note(p.Build.Name(), err.Error())
	}
	// Which others there are is a help, no more.
	if ledger, err := ReadLedger(ctx, target, nil, p.Plan.App); err == nil {
		for _, r := range ledger.Candidates() {
			if r.Usable && r.Origin != p.Plan.Release.ID {
				refusal.Items = []string{r.ID}
				break
			}
		}
	}
	return refusal
}
