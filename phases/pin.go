package phases

import (
	"context"
	_ "embed"
	"fmt"
)

//go:embed pin.sh
var pinScript string

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
// may move between an attempt and its resume.
//
// config is the path in the repository of a file to identify, or empty.
func Pin(ctx context.Context, host Host, line func(string), plan Plan, want, config string) (Pinned, error) {
	out, err := host.Run(ctx, Script{Name: "pin.sh", Code: pinScript, Line: line, Env: map[string]string{
		"REPO": plan.Build.Repo, "BRANCH": plan.Branch, "WANT": want, "CONFIG": config,
	}})
	if err != nil {
		return Pinned{}, err
	}
	a, err := parseAnswer(host.Name(), "pin.sh", out)
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
