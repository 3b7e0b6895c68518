package phases

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"
)

//go:embed sync.sh
var syncScript string

// Synced is where the checkouts came from, by host.
type Synced struct {
	Before map[string]string `json:"before"`
}

// Sync fast-forwards the checkout on every host to exactly the plan's commit.
// All checkouts are looked at before the first is moved, so that a dirty one
// leaves all of them as they were.
func Sync(ctx context.Context, p *Promotion) error {
	hosts, repos := p.checkouts()
	looks := make([]answer, len(hosts))
	// Both before the first checkout is moved, so that a refusal leaves all as it was.
	err := abreast("sync", func() error {
		return each(ctx, hosts, func(ctx context.Context, i int, host Host) (err error) {
			looks[i], err = p.lookAtCheckout(ctx, i, host, repos[i])
			return err
		})
	}, func() error { return verifyForward(ctx, p) })
	if err != nil {
		return err
	}
	p.Facts.Sync = &Synced{Before: map[string]string{}}
	for i, host := range hosts {
		p.Facts.Sync.Before[host.Name()] = looks[i].get("head")
	}
	return each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
		from := looks[i].get("head")
		if from == p.Plan.Commit {
			p.Note(host.Name(), "already at "+p.Plan.Short())
			return nil
		}
		if err := p.moveCheckout(ctx, i, host, repos[i], looks[i]); err != nil {
			return err
		}
		p.Note(host.Name(), fmt.Sprintf("%s -> %s", Short(from), p.Plan.Short()))
		return nil
	})
}

// lookAtCheckout is what the checkout is like, and whether it can be moved; it is not
// asked again where this run has asked a moment ago.
func (p *Promotion) lookAtCheckout(ctx context.Context, i int, host Host, repo string) (answer, error) {
	if a := p.Seen.checkout(i); a != nil && a.get("commit") == p.Plan.Commit {
		return a, nil
	}
	began := time.Now()
	a, err := ask(ctx, p, host, syncStep(p, i, repo, "look"))
	if err == nil {
		err = refusedCheckout(p, host.Name(), repo, a)
	}
	if err == nil {
		p.Seen.keepCheckout(i, began, a)
	}
	return a, err
}

// moveCheckout moves one from where it was looked at. Its answer is what verify asks for.
func (p *Promotion) moveCheckout(ctx context.Context, i int, host Host, repo string, look answer) error {
	move := syncStep(p, i, repo, "move")
	move.Env["FROM"] = look.get("head")
	if i > 0 {
		move = p.fenced(host, move, look.get("user"))
	}
	p.Seen.forgetCheckout(i)
	began := time.Now()
	a, err := ask(ctx, p, host, move)
	if err == nil {
		err = refusedCheckout(p, host.Name(), repo, a)
	}
	if err != nil {
		return err
	}
	if head := a.get("head"); head != p.Plan.Commit {
		return &Refusal{Reason: CommitsDiffer, Host: host.Name(), Thing: repo, Items: []string{head}}
	}
	p.Seen.keepCheckout(i, began, a)
	return nil
}

// checkouts are the hosts that have a checkout, and its folder on each.
func (p *Promotion) checkouts() (hosts []Host, repos []string) {
	hosts, repos = []Host{p.Build}, []string{p.Plan.Build.Repo}
	for i, target := range p.Targets {
		if repo := p.site(i).Repo; repo != "" {
			hosts, repos = append(hosts, target), append(repos, repo)
		}
	}
	return hosts, repos
}

// syncStep is a step with the i-th checkout, of which the first is the build host's.
func syncStep(p *Promotion, i int, repo, step string) Script {
	return Script{Name: "sync.sh", Code: repoPart + syncScript, Env: map[string]string{
		"STEP": step, "REPO": repo, "BRANCH": p.Plan.Branch, "COMMIT": p.Plan.Commit,
		"BUILDS": strconv.FormatBool(i == 0), "STORE": storeDir,
	}}
}

// fenced is the move of a target's checkout, by the right of the hold. Only root
// may see whose that is; git is run as whoever logs in there.
func (p *Promotion) fenced(target Host, move Script, user string) Script {
	move.Env["AS"] = user
	return p.onTarget(target, move.Name, repoPart+"fence\numask 022\n"+syncScript, move.Env)
}

// refusedCheckout is the refusal that sync.sh's answer calls for, if any.
func refusedCheckout(p *Promotion, host, repo string, a answer) error {
	r := &Refusal{Host: host, Thing: repo, Items: a.all("item")}
	if total, err := strconv.Atoi(a.get("total")); err == nil {
		r.More = max(0, total-len(r.Items))
	}
	switch a.get("refused") {
	case "":
		return nil
	case "no-checkout":
		r.Reason = NoCheckout
	case "not-ours":
		r.Reason = NotOurs
	case "read-only":
		r.Reason = ReadOnly
	case "dirty":
		r.Reason = Dirty
	case "branch":
		r.Reason, r.Items = WrongBranch, append(r.Items, p.Plan.Branch)
	case "diverged":
		r.Reason = Diverged
	case "unknown":
		r.Reason, r.Thing = UnknownCommit, p.Plan.Commit
	case "not-on-branch":
		r.Reason, r.Thing, r.Items = NotOnBranch, p.Plan.Commit, []string{p.Plan.Branch}
	default:
		return fmt.Errorf("%s: sync.sh refused for a reason it did not name: %q", host, clip(a.get("refused")))
	}
	return r
}
