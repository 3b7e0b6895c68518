package phases

import (
	"context"
	_ "embed"
	"fmt"
	"time"
)

var (
	//go:embed repo.sh
	repoPart string
	//go:embed pin.sh
	pinScript string
)

// Pinned is the one commit a promotion is for.
type Pinned struct {
	Commit  string
	Subject string
	// ConfigBlob is git's id of the file at the asked-for path in that commit;
	// empty if it has none.
	ConfigBlob string
}

// Pin resolves, on the build host, the commit that a new promotion is for: the
// tip of the branch at its origin, or want, a commit on that branch. It only
// fetches. The result goes into the plan, and is never resolved again: origin
// may move between an attempt and its resume. What the checkout there is like is
// kept for sync.
//
// config is the path in the repository of a file to identify, or empty.
func Pin(ctx context.Context, p *Promotion, want, config string) (Pinned, error) {
	host, plan, began := p.Build, &p.Plan, time.Now()
	a, err := ask(ctx, p, host, Script{Name: "pin.sh", Code: repoPart + pinScript, Env: map[string]string{
		"REPO": plan.Build.Repo, "BRANCH": plan.Branch, "WANT": want, "CONFIG": config, "MANIFEST": plan.Manifest,
		"BUILDS": "true", "STORE": storeDir,
	}})
	if err != nil {
		return Pinned{}, err
	}
	r := &Refusal{Host: host.Name()}
	switch a.get("refused") {
	case "no-checkout":
		r.Reason, r.Thing = NoCheckout, plan.Build.Repo
		return Pinned{}, r
	case "not-ours":
		r.Reason, r.Thing = NotOurs, plan.Build.Repo
		return Pinned{}, r
	case "read-only":
		r.Reason, r.Thing, r.Items = ReadOnly, plan.Build.Repo, a.all("item")
		return Pinned{}, r
	case "unknown":
		r.Reason, r.Thing = UnknownCommit, want
		return Pinned{}, r
	case "not-on-branch":
		r.Reason, r.Thing, r.Items = NotOnBranch, want, []string{plan.Branch}
		return Pinned{}, r
	}
	pinned := Pinned{Commit: a.get("commit"), Subject: a.get("subject"), ConfigBlob: a.get("config")}
	if !isCommit(pinned.Commit) {
		return Pinned{}, fmt.Errorf("%s: pin.sh answered %q for a commit", host.Name(), clip(pinned.Commit))
	}
	// A checkout that is refused is for sync to ask about again, and to tell of.
	if hosts, repos := p.checkouts(); !a.has("refused") {
		for i := range hosts {
			if hosts[i].Name() == host.Name() && repos[i] == repos[0] {
				p.Seen.keepCheckout(i, began, a) // a target may build for itself
			}
		}
	}
	return pinned, nil
}

// isCommit reports whether s is a full object id: SHA-1 or SHA-256, in hex.
func isCommit(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return len(s) == 40 || len(s) == 64
}
