package main

import (
	"fmt"
	"strings"

	"choir.chat/rel/phases"
)

// explainRefusal says what a host lacks and how to mend it.
func explainRefusal(r *phases.Refusal) explanation {
	e := explanation{code: exitRefused, detail: r.Items}
	if r.More > 0 {
		e.detail = append(e.detail, fmt.Sprintf("and %d more", r.More))
	}
	items := strings.Join(r.Items, ", ")
	on := func(format string, args ...any) { e.what = r.Host + ": " + fmt.Sprintf(format, args...) }
	ssh := func(format string, args ...any) { e.cure = "ssh " + r.Host + " '" + fmt.Sprintf(format, args...) + "'" }
	switch r.Reason {
	case phases.NoCheckout:
		on("%s is no git checkout", r.Thing)
		e.cure = "set repo in rel.toml, or --repo, --grind-repo, --prod-repo"
	case phases.NotOurs:
		on("%s belongs to another user, and git does not trust it", r.Thing)
		ssh("git config --global --add safe.directory %s", r.Thing)
	case phases.Dirty:
		on("%s has uncommitted changes", r.Thing)
		ssh("git -C %s status", r.Thing)
	case phases.Diverged:
		on("%s has commits that are not at its origin", r.Thing)
		ssh("git -C %s log @{u}..", r.Thing)
	case phases.WrongBranch:
		on("%s has branch %s checked out", r.Thing, items)
		e.detail = nil
		ssh("git -C %s checkout BRANCH", r.Thing)
	case phases.UnknownCommit:
		on("there is no commit %s in the repository", r.Thing)
		e.cure = "push it first"
	case phases.NotOnBranch:
		on("commit %s is not on branch %s", r.Thing, items)
		e.detail = nil
		e.cure = "merge it first"
	case phases.CommitsDiffer:
		on("%s is at %s, not at the commit of this promotion", r.Thing, items)
		e.detail = nil
		e.cure = "find out who moved it, then start anew: rel start"
	case phases.Downgrade:
		on("the live commit %s does not lead to this one", phases.Short(r.Thing))
		e.cure = "rel start --allow-downgrade, if that is meant; rel rollback to go back"
	case phases.NoNix:
		on("nix does not work: %s", r.Thing)
		ssh("nix --version")
	case phases.NoUnit:
		on("there is no unit %s", items)
		e.detail = nil
		ssh("systemctl list-unit-files")
	case phases.Occupied:
		on("%s is not a link", items)
		e.detail = nil
		e.cure = "move it out of the way"
	case phases.NoFolder:
		on("there is no folder %s for the links or the manifest", items)
		e.detail = nil
		ssh("mkdir -p %s", strings.Join(r.Items, " "))
	case phases.NotRoot:
		on("the login user is %s, not root", r.Thing)
		e.cure = "set User root for " + r.Host + ` in ~/.ssh/config, or become = "sudo" in rel.toml`
	case phases.NoRoom:
		on("too little room in %s: %s", r.Thing, items)
		e.detail = nil
		if ssh("df -h %s", r.Thing); r.Thing == "/nix/store" {
			ssh("nix-collect-garbage")
		}
	case phases.Held:
		on("promotion %s is at work there", r.Thing)
		e.code, e.cure = exitHeld, "wait for it: rel log "+r.Thing
	case phases.Unconfirmed:
		on("promotion %s is not confirmed yet", r.Thing)
		e.cure = "rel resume " + r.Thing + ", or rel abort " + r.Thing
		if items != "" {
			e.detail = []string{"nothing takes that release back by itself"}
			e.cure += "; without the journal of who started it: rel rollback " + items
		}
	case phases.Drift:
		on("%s was repointed by hand", items)
		e.detail = nil
		e.cure = "rel status, which shows what it should be; --accept-drift, if it may be repointed"
	case phases.RolledBack:
		on("commit %s was rolled back (promotion %s)", phases.Short(items), r.Thing)
		e.detail = nil
		e.cure = "rel start --again -m WHY, if it is to go live all the same"
	case phases.Collected:
		on("release %s is no longer all in the store, and the build host cannot give it", r.Thing)
		e.detail = nil
		e.cure = "rel log"
		if items != "" {
			e.cure = "rel rollback " + items + ", the nearest that is there"
		}
	case phases.NoLinks:
		on("none of the links is there: there is nothing to adopt")
		e.cure = "rel start"
	case phases.NotInStore:
		on("%s points at %s, which is not in the store: it cannot be pinned", r.Thing, items)
		e.detail = nil
		e.cure = "rel start; it puts that link back if it fails"
	case phases.Adopted:
		on("it has a record already: %s is live", r.Thing)
		e.cure = "rel status"
	case phases.TargetsDiffer:
		on("%s points at %s, and on the other targets elsewhere", r.Thing, orNothing(items))
		e.detail = nil
		e.cure = "make them alike, or rel adopt with one [[target]] at a time"
	case phases.NoSystemd:
		on("systemd does not run there, and there are services to restart")
	default:
		e.what = r.Error()
	}
	return e
}
