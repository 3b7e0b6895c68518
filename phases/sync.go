package phases

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
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
	heads, users := make([]string, len(hosts)), make([]string, len(hosts))
	err := each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
		a, err := ask(ctx, p, host, syncStep(p, repos[i], "look"))
		if err != nil {
			return err
		}
		heads[i], users[i] = a.get("head"), a.get("user")
		return refusedCheckout(p, host.Name(), repos[i], a)
	})
	if err != nil {
		return err
	}
	// Before the first checkout is moved, so that a refusal leaves all as it was.
	if err := verifyForward(ctx, p); err != nil {
		return err
	}
	p.Facts.Sync = &Synced{Before: map[string]string{}}
	for i, host := range hosts {
		p.Facts.Sync.Before[host.Name()] = heads[i]
	}
	return each(ctx, hosts, func(ctx context.Context, i int, host Host) error {
		if heads[i] == p.Plan.Commit {
			p.Note(host.Name(), "already at "+p.Plan.Short())
			return nil
		}
		move := syncStep(p, repos[i], "move")
		if i > 0 {
			move = p.fenced(host, move, users[i])
		}
		if _, err := ask(ctx, p, host, move); err != nil {
			return err
		}
		p.Note(host.Name(), fmt.Sprintf("%s -> %s", Short(heads[i]), p.Plan.Short()))
		return nil
	})
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

func syncStep(p *Promotion, repo, step string) Script {
	return Script{Name: "sync.sh", Code: syncScript, Env: map[string]string{
		"STEP": step, "REPO": repo, "BRANCH": p.Plan.Branch, "COMMIT": p.Plan.Commit,
	}}
}

// fenced is the move of a target's checkout, by the right of the hold. Only root
// may see whose that is; git is run as whoever logs in there.
func (p *Promotion) fenced(target Host, move Script, user string) Script {
	move.Env["AS"] = user
	return p.onTarget(target, move.Name, "fence\numask 022\n"+move.Code, move.Env)
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
