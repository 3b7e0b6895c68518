package phases

import (
	"context"
	_ "embed"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed evaluate.sh
var evaluateScript string

//go:embed compare.sh
var compareScript string

// Preview is what a promotion of a plan would do, as the hosts are at the moment.
type Preview struct {
	Commit  string `json:"sha"`
	Subject string `json:"subject"`
	// Artifacts are those of the commit, as far as Nix can tell before they are built.
	Artifacts []Output `json:"artifacts"`
	// Built says that all of them are. If not, Derivations are to be built for them, and
	// Fetched is what Nix would fetch to the build host; and what their closures consist of
	// is not known.
	Built       bool     `json:"built"`
	Derivations []string `json:"derivations,omitempty"`
	Fetched     []string `json:"fetched,omitempty"`
	// Paths is how many store paths the closures have, Bytes how large they are unpacked.
	Paths   int             `json:"paths,omitempty"`
	Bytes   int64           `json:"bytes,omitempty"`
	Targets []TargetPreview `json:"targets"`
}

// TargetPreview is what a promotion would do to one target.
type TargetPreview struct {
	Host string `json:"host"`
	// Live is the promotion that is live there, since when, and by whom.
	Live  string     `json:"live,omitempty"`
	Since *time.Time `json:"since,omitempty"`
	By    string     `json:"by,omitempty"`
	Hold  *Holder    `json:"hold,omitempty"`
	History
	// Links are those that would be repointed.
	Links []LinkChange `json:"links,omitempty"`
	// Packages are what changes in the closure.
	Packages []PackageChange `json:"packages,omitempty"`
	// Missing is how many paths it lacks, MissingBytes what they come to unpacked, and
	// About what would be sent for them, by estimate.
	Missing      int   `json:"missing,omitempty"`
	MissingBytes int64 `json:"missing_bytes,omitempty"`
	About        int64 `json:"about_bytes,omitempty"`
	// Refusals are why it would be refused.
	Refusals []*Refusal `json:"-"`
}

// LinkChange is a link that leads, or would lead, somewhere else.
type LinkChange struct {
	Link string `json:"link"`
	From string `json:"from,omitempty"`
	To   string `json:"to"`
}

// Foretell asks the hosts what a promotion of the plan, whose commit is settled, would do,
// and changes nothing; but with build the artifacts are built on the build host, in its
// store alone. looks are what the targets were like a moment ago.
func Foretell(ctx context.Context, p *Promotion, looks []*Look, build bool) (*Preview, error) {
	v := &Preview{Commit: p.Plan.Commit, Subject: p.Plan.Subject, Targets: make([]TargetPreview, len(p.Targets))}
	var release *Release
	err := abreast("preview", func() (err error) {
		release, err = p.evaluate(ctx, v, build)
		return err
	}, func() error {
		histories, err := Histories(ctx, p, looks)
		for i := range histories {
			v.Targets[i].History = histories[i]
		}
		return err
	}, func() error {
		return each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
			v.Targets[i].Refusals, err = p.refusals(ctx, i, target, looks[i])
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return v, each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		t, look := &v.Targets[i], looks[i]
		t.Host, t.Live, t.By, t.Hold = target.Name(), look.Live, look.By, look.Hold
		if !look.Since.IsZero() {
			t.Since = &look.Since
		}
		for j := range v.Artifacts {
			if o := &v.Artifacts[j]; o.Path != "" && look.Links[o.Link] != o.Target() {
				t.Links = append(t.Links, LinkChange{Link: o.Link, From: look.Links[o.Link], To: o.Target()})
			}
		}
		if release == nil {
			return nil
		}
		return p.compare(ctx, target, release, t)
	})
}

// evaluate asks the build host what the plan's commit comes to; the release is nil if that
// is not all built.
func (p *Promotion) evaluate(ctx context.Context, v *Preview, build bool) (*Release, error) {
	var rows [][]string
	for _, a := range p.Plan.Artifacts {
		rows = append(rows, []string{"artifact", a.Name, a.Flake})
	}
	wanted := ""
	if build {
		wanted = "yes"
	}
	a, err := ask(ctx, p, p.Build, Script{
		Name: "evaluate.sh", Code: outputsPart + infosPart + evaluateScript, Stdin: table(rows...),
		Env: map[string]string{"REPO": p.Plan.Build.Repo, "COMMIT": p.Plan.Commit, "BUILD": wanted},
	})
	if err != nil {
		return nil, err
	}
	said := a.table("built")
	for _, artifact := range p.Plan.Artifacts {
		path, _ := outPath([]byte(said[artifact.Name])) // of some it is not known before
		v.Artifacts = append(v.Artifacts, Output{Artifact: artifact, Path: path})
	}
	v.Derivations, v.Fetched, v.Built = a.all("build"), a.all("fetch"), a.has("whole")
	if !v.Built {
		return nil, nil
	}
	release := &Release{Outputs: v.Artifacts}
	if err := release.consists(p.Build.Name(), a); err != nil {
		return nil, err
	}
	v.Paths, v.Bytes = len(release.Closure), release.Bytes
	return release, nil
}

// refusals are why the target would be refused; the build host counts as the first one's.
func (p *Promotion) refusals(ctx context.Context, i int, target Host, look *Look) ([]*Refusal, error) {
	list := look.Refusals(target.Name(), &p.Plan)
	if look.Hold != nil && look.Hold.Alive() {
		list = append(list, &Refusal{Reason: Held, Host: target.Name(), Thing: look.Hold.Promotion})
	}
	if was := look.RolledBack[p.Plan.Commit]; was != "" && !p.Plan.Again {
		list = append(list, &Refusal{Reason: RolledBack, Host: target.Name(), Thing: was, Items: []string{p.Plan.Commit}})
	}
	if p.mayGoDown(look) {
		leads, err := p.leads(ctx, look.LiveCommit)
		if err != nil {
			return nil, err
		}
		if !leads {
			list = append(list, &Refusal{Reason: Downgrade, Host: target.Name(), Thing: look.LiveCommit})
		}
	}
	hosts, repos := p.checkouts()
	for j, host := range hosts {
		if host.Name() != target.Name() && (i > 0 || j > 0) {
			continue
		}
		_, err := p.lookAtCheckout(ctx, j, host, repos[j])
		var refusal *Refusal
		if err != nil && !errors.As(err, &refusal) {
			return nil, err
		}
		if refusal != nil {
			list = append(list, refusal)
		}
	}
	return list, nil
}

// compare asks the target what it has of the release, and of what is live.
func (p *Promotion) compare(ctx context.Context, target Host, release *Release, t *TargetPreview) error {
	s := p.onTarget(target, "compare.sh", compareScript, nil)
	s.Reads, s.Stdin = true, lines(release.Closure)
	a, err := ask(ctx, p, target, s)
	if err != nil {
		return err
	}
	var live []string
	was, is := map[string]int64{}, map[string]int64{}
	for _, row := range a.all("live") {
		path, size, _ := strings.Cut(row, "\t")
		was[path], _ = strconv.ParseInt(size, 10, 64)
		live = append(live, path)
	}
	for i, path := range release.Closure {
		is[path] = release.Infos[i].Size
	}
	t.Packages = packageChanges(was, is)
	c := cargo{bases: bases(live, release.large())}
	for i, path := range release.Closure {
		if !slices.Contains(a.all("missing"), path) {
			continue
		}
		c.infos = append(c.infos, release.Infos[i].full(release.Closure, i))
	}
	t.Missing, t.MissingBytes, t.About = len(c.infos), c.bytes(), int64(c.estimate())
	return nil
}
