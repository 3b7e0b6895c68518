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
	err := each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
		return verifyCheckout(ctx, p, host, repos[i], i == 0)
	})
	if err != nil {
		return err
	}
	return VerifyTargets(ctx, p)
}

// VerifyTargets is the part of Verify that a rollback needs.
func VerifyTargets(ctx context.Context, p *Promotion) error {
	if err := usable(ctx, p); err != nil {
		return err
	}
	looks := make([]*Look, len(p.Targets))
	err := each(ctx, p.Targets, func(ctx context.Context, i int, host Host) (err error) {
		if looks[i], err = p.look(ctx, host); err != nil {
			return err
		}
		return verifyTarget(p, host.Name(), looks[i])
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

func verifyCheckout(ctx context.Context, p *Promotion, host Host, repo string, builds bool) error {
	a, err := ask(ctx, p, host, Script{Name: "checkout.sh", Code: checkoutScript, Reads: true, Env: map[string]string{
		"REPO": repo, "STORE": storeDir, "BUILDS": strconv.FormatBool(builds),
	}})
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
	r := &Refusal{Host: host}
	missing := l.missing(p.Plan.Restart)
	switch {
	case !l.Root:
		r.Reason, r.Thing = NotRoot, l.User
	case l.Nix == "":
		r.Reason, r.Thing = NoNix, l.NixError
	case !l.Systemd && len(p.Plan.Restart) > 0:
		r.Reason = NoSystemd
	// A release to go back to may be older than the host is.
	case len(missing) > 0 && p.Plan.Release == nil:
		r.Reason, r.Items = NoUnit, missing
	case len(l.Occupied) > 0:
		r.Reason, r.Items = Occupied, l.Occupied
	case len(l.ByHand) > 0 && !p.Plan.AcceptDrift:
		r.Reason, r.Items = Drift, l.ByHand
	case len(l.NoFolder) > 0:
		r.Reason, r.Items = NoFolder, l.NoFolder
	case l.Pending != "" && l.Pending != p.ID && !(l.Unguarded && p.Plan.Release != nil):
		r.Reason, r.Thing = Unconfirmed, l.Pending
		// Whoever has its journal can settle it; anyone can go back from it.
		if l.Unguarded && l.Live != "" {
			r.Items = []string{l.Live}
		}
	default:
		return enough(host, storeDir, l.Free, leastFree)
	}
	return r
}

// verifyForward refuses, before the first checkout is moved, a target that is not
// ready, and a commit that the live one does not lead to: whoever promotes from
// a stale clone would silently take others' work off production.
func verifyForward(ctx context.Context, p *Promotion) error {
	return each(ctx, p.Targets, func(ctx context.Context, _ int, target Host) error {
		look, err := p.look(ctx, target)
		if err != nil {
			return err
		}
		if err := verifyTarget(p, target.Name(), look); err != nil {
			return err
		}
		live := look.LiveCommit
		if live == "" || live == p.Plan.Commit || p.Plan.AllowDowngrade {
			return nil
		}
		a, err := ask(ctx, p, p.Build, Script{Name: "ancestor.sh", Code: ancestorScript, Reads: true, Env: map[string]string{
			"REPO": p.Plan.Build.Repo, "OLD": live, "NEW": p.Plan.Commit,
		}})
		if err != nil {
			return err
		}
		if a.get("ancestor") != "yes" {
			return &Refusal{Reason: Downgrade, Host: target.Name(), Thing: live}
		}
		return nil
	})
}

func enough(host, folder string, free, needed int64) error {
	if free >= needed {
		return nil
	}
	return &Refusal{Reason: NoRoom, Host: host, Thing: folder,
		Items: []string{fmt.Sprintf("%d MiB free, %d MiB needed", free>>20, needed>>20)}}
}
