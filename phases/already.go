package phases

import (
	"context"
	"slices"
	"strings"
)

// AlreadyLive is the promotion that is live and that a start of the plan would come to,
// if what [Survey] was answered proves that nothing is to be done: every target has it
// live and confirmed, whole, with its units up and nothing that waits or was changed by
// hand; it consists of what the plan asks for; every checkout is at the commit, and
// clean; the manifests are its own; and every check passes, once.
// It is empty where anything differs or is not known: then the phases find out. What the
// checks say may have been asked already, of what was presumed to be live.
func AlreadyLive(ctx context.Context, p *Promotion, looks []*Look, presumed *Presumption) (id string) {
	if p.Plan.Force || !p.checkedOut() {
		return ""
	}
	for i, target := range p.Targets {
		if look := looks[i]; !look.serves(target.Name(), &p.Plan) || look.Live != looks[0].Live {
			return ""
		}
	}
	// The targets have theirs from the same record.
	manifest := strings.Join(p.Seen.checkout(0).all("manifest"), "\n") + "\n"
	if manifest != string(looks[0].Release.Manifest()) || !p.passesOnce(ctx, looks[0].Live, presumed) {
		return ""
	}
	return looks[0].Live
}

// checkedOut reports whether every checkout was seen at the plan's commit, and clean.
func (p *Promotion) checkedOut() bool {
	hosts, _ := p.checkouts()
	for i := range hosts {
		a := p.Seen.checkout(i)
		if a == nil || a.get("commit") != p.Plan.Commit || a.get("head") != p.Plan.Commit || a.has("item") {
			return false
		}
	}
	return true
}

// serves reports whether the target has live what the plan asks for, in every respect
// that a look can tell.
func (l *Look) serves(host string, plan *Plan) bool {
	switch {
	case l.Live == "" || l.Release == nil || !l.Intact || l.Kind == "adopt":
		// What an adoption records was not built for the commit, as far as anyone knows.
		return false
	case l.Release.Repo != plan.Build.Repo: // the manifests say so
		return false
	case l.LiveCommit != plan.Commit || l.Release.Commit != plan.Commit || l.RolledBack[plan.Commit] != "":
		return false
	case len(l.refusals(host, plan, "")) > 0 || l.Pending != "" || l.Hold != nil || len(l.ByHand) > 0:
		return false
	}
	same := slices.EqualFunc(l.Release.Outputs, plan.Artifacts, func(o Output, a Artifact) bool { return o.Artifact == a })
	return same && l.Runs(l.Release) && l.Sound(plan.Restart)
}

// Presumption is what the checks say of the promotion that is probably live.
type Presumption struct {
	id, commit string
	done       chan struct{}
	passes     bool
}

// Presume begins to ask every check, once, of the promotion with that id and commit,
// beside what is asked of the hosts meanwhile. It ends with its context.
func Presume(ctx context.Context, p *Promotion, id, commit string) *Presumption {
	q := &Presumption{id: id, commit: commit, done: make(chan struct{})}
	asking := p.once(ctx, id, commit)
	go func() {
		defer close(q.done)
		q.passes = abreast("checks", asking...) == nil
	}()
	return q
}

// passesOnce reports whether every check passes the first time it is asked of the plan's
// commit, live by that promotion: as was presumed, if that is what was.
func (p *Promotion) passesOnce(ctx context.Context, id string, presumed *Presumption) bool {
	if presumed == nil || presumed.id != id || presumed.commit != p.Plan.Commit {
		presumed = Presume(ctx, p, id, p.Plan.Commit)
	}
	<-presumed.done
	return presumed.passes
}

// once are the questions of all checks.
func (p *Promotion) once(ctx context.Context, id, commit string) (list []func() error) {
	for _, c := range p.Plan.Checks {
		hosts := p.Targets
		if c.From == "operator" {
			hosts = []Host{nil}
		}
		for _, host := range hosts {
			list = append(list, func() error {
				_, err := Probe(ctx, c, host, id, commit)
				return err
			})
		}
	}
	return list
}
