package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's name for a file, not a secret
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// scope is what a promotion is to be of, in place of what rel.toml says.
type scope struct {
	Grind          string   `placeholder:"HOST" help:"Build host, instead of build.host."`
	Prod           []string `placeholder:"HOST" help:"Target, instead of all [[target]]; can be given several times."`
	Repo           string   `placeholder:"PATH" help:"Checkout on every host, instead of repo."`
	GrindRepo      string   `placeholder:"PATH" help:"Checkout on the build host."`
	ProdRepo       string   `placeholder:"PATH" help:"Checkout on the targets."`
	Manifest       string   `placeholder:"PATH" help:"Where the manifest is written on every host."`
	SHA            string   `name:"sha" placeholder:"COMMIT" help:"Commit to promote; by default the tip of the branch at its origin."`
	AllowDowngrade bool     `help:"Promote a commit that does not follow the live one."`
	AcceptDrift    bool     `help:"Repoint also links that someone repointed by hand."`
	Again          bool     `help:"Promote a commit that was rolled back; say why with -m."`
}

type startCmd struct {
	scope
	Force bool `help:"Restart the units even if the release is live already."`
	waits
	Message string `short:"m" placeholder:"WHY" help:"Why, for the audit."`
}

// commitName is a commit in full or abbreviated. Names of branches are not
// taken: those of the build host's clone need not be those of its origin.
var commitName = regexp.MustCompile(`^[0-9a-f]{4,64}$`)

// brief bounds what is asked of the hosts outside of the phases, which have
// deadlines of their own. The longest is the fetch that settles the commit.
const brief = 2 * time.Minute

func briefly(ctx context.Context, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, brief, fmt.Errorf("%s took longer than %s", what, brief))
}

// Run promotes a new commit.
func (c *startCmd) Run(ctx context.Context, h *house) error {
	if c.Again && c.Message == "" {
		return &usageError{"--again wants a reason: -m WHY"}
	}
	plan, err := c.plan(h)
	if err != nil {
		return err
	}
	if err := h.claimPatiently(ctx, c.waits); err != nil {
		return err
	}
	if err := h.openPrinter(); err != nil {
		return err
	}
	plan.Force = c.Force
	p := h.promotion()
	p.Plan = plan
	ctx, stop := h.interruptible(ctx)
	defer stop()
	h.warn(&plan)
	h.printer.Say("connecting to " + strings.Join(hostNames(&plan), ", "))
	if err := h.reach(ctx, p, machine.Forward); err != nil {
		return err
	}
	return h.patiently(ctx, c.waits, p, func() error { return c.promote(ctx, h, p) })
}

// promote asks the hosts what is to be done, and does it.
func (c *startCmd) promote(ctx context.Context, h *house, p *phases.Promotion) error {
	asking, answered := briefly(ctx, "asking what is to be done")
	defer answered()
	presumed := h.presume(asking, p)
	looks, err := c.survey(asking, h, p)
	if err != nil {
		return err
	}
	if live, err := h.alreadyLive(asking, p, looks, presumed); live || err != nil {
		return err
	}
	answered()
	if err := c.judge(ctx, h, p, looks); err != nil {
		return err
	}
	if err := h.confirm(ctx, p, looks); err != nil {
		return err
	}
	if p.ID, err = h.newID(ctx, p.Plan.Commit); err != nil {
		return err
	}
	beside, cancel := briefly(ctx, "asking for the live commits")
	wait := p.Foresee(beside)
	defer wait()
	defer cancel()
	return h.promote(ctx, p, machine.Start{Kind: machine.Forward, Plan: p.Plan, Why: c.Message})
}

// plan is the configuration's, with the flags in place of its keys.
func (c *scope) plan(h *house) (phases.Plan, error) {
	conf, err := config.Read(h.globals.Config)
	if err != nil {
		return phases.Plan{}, err
	}
	conf.Override(config.Override{
		Repo: c.Repo, BuildRepo: c.GrindRepo, TargetRepo: c.ProdRepo, BuildHost: c.Grind, Targets: c.Prod, Manifest: c.Manifest,
	})
	if err := conf.Validate(); err != nil {
		return phases.Plan{}, err
	}
	h.config = conf
	if err := h.openJournal(); err != nil {
		return phases.Plan{}, err
	}
	if c.SHA != "" && !commitName.MatchString(c.SHA) {
		return phases.Plan{}, &usageError{fmt.Sprintf("--sha %s is no commit: it takes at least four hex digits", c.SHA)}
	}
	plan, err := conf.Plan()
	plan.AllowDowngrade, plan.AcceptDrift, plan.Again = c.AllowDowngrade, c.AcceptDrift, c.Again
	return plan, err
}

// survey settles which commit this is about, and what the targets are like. Whether
// they let the checks through is tried beside that.
func (c *scope) survey(ctx context.Context, h *house, p *phases.Promotion) ([]*phases.Look, error) {
	ctx, cancel := briefly(ctx, "asking the origin, and looking at the targets,")
	defer cancel()
	var forbidden error
	var trying sync.WaitGroup
	trying.Go(func() { forbidden = tryForwarding(ctx, p) })
	root, file := repoPath(h.config.Path())
	pinned, looks, err := phases.Survey(ctx, p, c.SHA, file)
	trying.Wait()
	if forbidden != nil {
		return nil, forbidden
	}
	if err != nil {
		return nil, err
	}
	p.Plan.Commit, p.Plan.Subject = pinned.Commit, pinned.Subject
	if pinned.ConfigBlob != "" && !isBlob(h.config.Path(), pinned.ConfigBlob) {
		h.printer.Say(fmt.Sprintf("note: %s in %s is not the one of %s; this promotion goes by %s",
			file, root, p.Plan.Short(), h.config.Path()))
	}
	return looks, nil
}

// repoPath is the checkout that the file lies in, and its path in there; both
// are empty if it lies in none.
func repoPath(file string) (root, path string) {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			path, err := filepath.Rel(dir, file)
			if err != nil {
				return "", ""
			}
			return dir, filepath.ToSlash(path)
		}
		if dir == filepath.Dir(dir) {
			return "", ""
		}
	}
}

// isBlob reports whether git would name the file's content so.
func isBlob(file, name string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	object := fmt.Appendf(nil, "blob %d\x00%s", len(text), text)
	if len(name) == 2*sha256.Size {
		sum := sha256.Sum256(object)
		return hex.EncodeToString(sum[:]) == name
	}
	sum := sha1.Sum(object) //nolint:gosec // see above
	return hex.EncodeToString(sum[:]) == name
}

func hostNames(plan *phases.Plan) []string {
	names := []string{plan.Build.Host}
	for _, t := range plan.Targets {
		names = append(names, t.Host)
	}
	return names
}
