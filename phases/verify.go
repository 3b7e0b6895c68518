package phases

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

//go:embed checkout.sh
var checkoutScript string

//go:embed ancestor.sh
var ancestorScript string

// storeDir is where every Nix keeps its store unless it was compiled not to.
const storeDir = "/nix/store"

// leastFree is the room, in bytes, below which a promotion does not begin: a
// store that is full in the middle of a copy or a build leaves a host that
// nobody can work on. The copy compares what it has to send with what is free.
const leastFree = 256 << 20

// leastRoom is the same for what a target keeps of a promotion, which is some
// kilobytes: an apply that cannot write down how it ended wants a person. It is
// looked for before the hold is taken.
const leastRoom = 1 << 20

// Verified is what the targets looked like before the release came.
type Verified struct {
	Targets map[string]TargetBefore `json:"targets"`
}

// TargetBefore is what one target ran before.
type TargetBefore struct {
	Live   string            `json:"live,omitempty"`
	Commit string            `json:"commit,omitempty"`
	Links  map[string]string `json:"links"`
	// Gone are the units of a release to go back to that are there no more.
	Gone []string `json:"gone,omitempty"`
}

// units are those that the target restarts.
func (p *Promotion) units(target Host) []string {
	gone := p.Facts.Verify.Targets[target.Name()].Gone
	return slices.DeleteFunc(slices.Clone(p.Plan.Restart), func(unit string) bool { return slices.Contains(gone, unit) })
}

// Verify makes sure that everything a promotion needs is there before the
// long work begins. It only reads.
func Verify(ctx context.Context, p *Promotion) error {
	hosts, repos := p.checkouts()
	return verify(ctx, p, func() error {
		return each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
			return verifyCheckout(ctx, p, i, host, repos[i])
		})
	})
}

// VerifyTargets is the part of Verify that a rollback needs.
func VerifyTargets(ctx context.Context, p *Promotion) error {
	return verify(ctx, p, func() error { return usable(ctx, p) })
}

// verify looks at the targets, and beside that at what fn does.
func verify(ctx context.Context, p *Promotion, fn func() error) error {
	looks := make([]*Look, len(p.Targets))
	err := abreast("verify", fn, func() error {
		return each(ctx, p.Targets, func(ctx context.Context, i int, host Host) (err error) {
			if looks[i], err = p.recall(ctx, host); err != nil {
				return err
			}
			return verifyTarget(p, host.Name(), looks[i])
		})
	})
	if err != nil {
		return err
	}
	before := &Verified{Targets: map[string]TargetBefore{}}
	for i, host := range p.Targets {
		l := looks[i]
		was := TargetBefore{Live: l.Live, Commit: l.LiveCommit, Links: l.Links}
		if p.Plan.Release != nil {
			was.Gone = l.missing(p.Plan.Restart)
		}
		before.Targets[host.Name()] = was
		p.Note(host.Name(), "ready; "+runsNow(l))
		for _, unit := range was.Gone {
			p.Note(host.Name(), "unit "+unit+" is there no more, and is not restarted")
		}
		for _, link := range staying(l, p.Plan.Release) {
			p.Note(host.Name(), link+" is no part of that release, and stays as it is")
		}
	}
	p.Facts.Verify = before
	p.Seen.settle()
	return nil
}

// staying are the links of what is live that the release to go back to lacks.
func staying(l *Look, back *Release) []string {
	if back == nil {
		return nil
	}
	has := map[string]bool{}
	for i := range back.Outputs {
		has[back.Outputs[i].Link] = true
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(l.Recorded)), func(link string) bool { return has[link] })
}

func runsNow(l *Look) string {
	if l.Live == "" {
		return "no release yet"
	}
	return "runs " + l.Live
}

// verifyCheckout judges the i-th checkout, by what sync has seen of it where that is of
// a moment ago.
func verifyCheckout(ctx context.Context, p *Promotion, i int, host Host, repo string) (err error) {
	builds := i == 0
	a := p.Seen.checkout(i)
	if a == nil {
		a, err = ask(ctx, p, host, Script{Name: "checkout.sh", Code: repoPart + checkoutScript, Reads: true, Env: map[string]string{
			"REPO": repo, "BRANCH": p.Plan.Branch, "STORE": storeDir, "BUILDS": strconv.FormatBool(builds),
		}})
	}
	if err != nil {
		return err
	}
	if head := a.get("head"); head != p.Plan.Commit {
		return &Refusal{Reason: CommitsDiffer, Host: host.Name(), Thing: repo, Items: []string{head}}
	}
	if dirty := a.all("item"); len(dirty) > 0 {
		return &Refusal{Reason: Dirty, Host: host.Name(), Thing: repo, Items: dirty}
	}
	if !builds {
		return nil
	}
	if a.get("nix") == "" {
		return &Refusal{Reason: NoNix, Host: host.Name(), Thing: a.get("nix_error")}
	}
	kib, _ := strconv.ParseInt(a.get("free"), 10, 64)
	if err := enough(host.Name(), storeDir, kib<<10, leastFree); err != nil {
		return err
	}
	p.Note(host.Name(), "at "+p.Plan.Short()+", clean; "+a.get("nix"))
	return nil
}

func verifyTarget(p *Promotion, host string, l *Look) error {
	if list := l.refusals(host, &p.Plan, p.ID); len(list) > 0 {
		return list[0]
	}
	return nil
}

// Refusals are all that would keep a promotion of the plan off a target that looks
// like this.
func (l *Look) Refusals(host string, plan *Plan) []*Refusal { return l.refusals(host, plan, "") }

// refusals are all that keeps the promotion with that id off a target that looks like
// this, the gravest first.
func (l *Look) refusals(host string, plan *Plan, id string) (list []*Refusal) {
	refuse := func(reason Reason, thing string, items ...string) {
		list = append(list, &Refusal{Reason: reason, Host: host, Thing: thing, Items: items})
	}
	if !l.Root {
		refuse(NotRoot, l.User)
		return list // who is not root does not see the rest
	}
	if l.Nix == "" {
		refuse(NoNix, l.NixError)
	}
	if !l.Systemd && len(plan.Restart) > 0 {
		refuse(NoSystemd, "")
	} else if missing := l.missing(plan.Restart); len(missing) > 0 && plan.Release == nil {
		// A release to go back to may be older than the host is.
		refuse(NoUnit, "", missing...)
	}
	if len(l.Occupied) > 0 {
		refuse(Occupied, "", l.Occupied...)
	}
	occupied := func(link string) bool { return slices.Contains(l.Occupied, link) }
	if drifted := slices.DeleteFunc(slices.Clone(l.ByHand), occupied); len(drifted) > 0 && !plan.AcceptDrift {
		refuse(Drift, "", drifted...)
	}
	if len(l.NoFolder) > 0 {
		refuse(NoFolder, "", l.NoFolder...)
	}
	if l.Pending != "" && l.Pending != id && !(l.Unguarded && plan.Release != nil) {
		refuse(Unconfirmed, l.Pending)
		// Whoever has its journal can settle it; anyone can go back from it.
		if l.Unguarded && l.Live != "" {
			list[len(list)-1].Items = []string{l.Live}
		}
	}
	if full := tooFull(host, storeDir, l.Free, leastFree); full != nil {
		list = append(list, full)
	}
	return list
}

// verifyForward refuses, before the first checkout is moved, a target that is not
// ready, and a commit that the live one does not lead to: whoever promotes from
// a stale clone would silently take others' work off production.
func verifyForward(ctx context.Context, p *Promotion) error {
	return each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		look, err := p.recall(ctx, target)
		if err != nil {
			return err
		}
		if err := verifyTarget(p, target.Name(), look); err != nil {
			return err
		}
		if !p.mayGoDown(look) {
			return nil
		}
		leads, err := p.leads(ctx, look.LiveCommit)
		if err == nil && !leads {
			err = &Refusal{Reason: Downgrade, Host: target.Name(), Thing: look.LiveCommit}
		}
		return err
	})
}

// mayGoDown says that the build host has to be asked whether the live commit leads to
// the plan's.
func (p *Promotion) mayGoDown(look *Look) bool {
	return look.LiveCommit != "" && look.LiveCommit != p.Plan.Commit && !p.Plan.AllowDowngrade
}

// leads reports whether the commit leads to the plan's.
func (p *Promotion) leads(ctx context.Context, commit string) (bool, error) {
	return p.Seen.lead(ctx, commit, func() (bool, error) {
		a, err := ask(ctx, p, p.Build, Script{Name: "ancestor.sh", Code: ancestorScript, Reads: true, Env: map[string]string{
			"REPO": p.Plan.Build.Repo, "OLD": commit, "NEW": p.Plan.Commit,
		}})
		return a.get("ancestor") == "yes", err
	})
}

func enough(host, folder string, free, needed int64) error {
	if full := tooFull(host, folder, free, needed); full != nil {
		return full
	}
	return nil
}

// tooFull is the refusal of a folder with less than the needed room; nil, if there is
// enough.
func tooFull(host, folder string, free, needed int64) *Refusal {
	if free >= needed {
		return nil
	}
	return &Refusal{Reason: NoRoom, Host: host, Thing: folder,
		Items: []string{fmt.Sprintf("%d MiB free, %d MiB needed", free>>20, needed>>20)}}
}
