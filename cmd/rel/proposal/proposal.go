// Package proposal makes a rel.toml of what is found on hosts.
package proposal

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// Proposal is a rel.toml that is still to be written down. What is not certain enough to
// be used is off: it stands there as a comment.
type Proposal struct {
	app, appWhy       string
	branch, branchWhy string
	repo, origin      string
	build             string
	targets           []*proposedTarget
	artifacts         []*proposedArtifact
	units             []*proposedUnit
	checks            []*proposedCheck
	// Runs says that there is something live that rel adopt can record.
	Runs bool
	// Open is what is left for a person to fill in, or to look at.
	Open []string
}

type proposedTarget struct {
	host string
	// lacks is where there was no checkout; empty, if one is there.
	lacks       string
	become, ask string
	off         bool
	note        string
}

type proposedArtifact struct {
	config.Artifact
	off   bool
	notes []string
	// leads is where the link leads; empty, if it is not there.
	leads string
}

type proposedUnit struct {
	name  string
	after []string
	off   bool
	note  string
}

type proposedCheck struct {
	name, url string
	status    int
	// body says that the page names the commit that is live.
	body  bool
	off   bool
	notes []string
}

func (p *Proposal) leave(format string, args ...any) {
	p.Open = append(p.Open, fmt.Sprintf(format, args...))
}

// Of makes a configuration of what was found. App is its name; empty for one that
// is found as well.
func Of(f *Found, app string) *Proposal {
	p := &Proposal{app: app, build: f.Build, repo: f.Repo}
	p.proposeSource(f.Source)
	links := servedLinks(f.Targets)
	p.proposeApp(f, links)
	p.proposeTargets(f.Repo, f.Targets)
	p.proposeArtifacts(f, links)
	p.proposeUnits(f)
	p.proposeChecks(f)
	return p
}

func (p *Proposal) proposeSource(s *phases.Source) {
	p.origin = s.Origin
	p.branch, p.branchWhy = s.Branch, p.build+" has it checked out"
	switch {
	case s.Checkout != "yes":
		p.branch, p.branchWhy = "main", "a guess"
	case !config.BranchName.Fits(s.Branch):
		p.branch, p.branchWhy = "main", "a guess: "+p.build+" has no branch checked out"
	}
	switch {
	case s.Checkout == "not-ours":
		p.leave("repo: Git on %s trusts %s to another user alone; become that user, or: git config --global --add safe.directory %s", p.build, p.repo, p.repo)
	case s.Checkout != "yes":
		p.leave("repo: there is no Git checkout in %s on %s", p.repo, p.build)
	case s.Within != "":
		p.leave("repo: %s is the folder %s of a checkout, and rel wants the top of it", p.repo, s.Within)
	case s.Origin == "":
		p.leave("repo: %s on %s has no origin, which rel fetches from", p.repo, p.build)
	case s.NixError != "":
		p.leave("build: there is no Nix on %s that works: %s", p.build, s.NixError)
	}
	for _, e := range s.Failed {
		p.leave("artifact: the flake %s could not be read: %s", e.Folder, e.Said)
	}
}

// servedLinks are the links of all targets, each once, with those that are still to be made:
// the order is that of their paths.
func servedLinks(targets []*FoundTarget) (links []phases.Link) {
	for _, t := range targets {
		links = append(links, t.Served.Links...)
		for _, wanted := range t.Served.Wanted {
			links = append(links, phases.Link{Path: wanted})
		}
	}
	slices.SortStableFunc(links, func(a, b phases.Link) int {
		if a.Path == b.Path {
			return strings.Compare(b.End+b.To, a.End+a.To) // where it leads somewhere goes first
		}
		return strings.Compare(a.Path, b.Path)
	})
	return slices.CompactFunc(links, func(a, b phases.Link) bool { return a.Path == b.Path })
}

// ownFolder is a folder of links that is named after an app.
var ownFolder = regexp.MustCompile(`^/(?:opt|srv)/([^/]+)/bin/`)

func (p *Proposal) proposeApp(f *Found, links []phases.Link) {
	if p.app != "" {
		p.appWhy = "--app"
		return
	}
	for _, link := range links {
		known, _ := packageOf(link, f.Source.Packages)
		if own := ownFolder.FindStringSubmatch(link.Path); own != nil && config.AppName.Fits(own[1]) && known != nil {
			p.app, p.appWhy = own[1], "from "+path.Dir(link.Path)
			return
		}
	}
	origin := strings.TrimSuffix(path.Base(strings.ReplaceAll(f.Source.Origin, ":", "/")), ".git")
	for _, name := range []string{origin, path.Base(f.Repo)} {
		if name = strings.ToLower(name); config.AppName.Fits(name) {
			p.app, p.appWhy = name, "from the repository"
			return
		}
	}
	p.app, p.appWhy = "app", "a guess"
	p.leave("app: nothing says what it is called; --app does")
}

func (p *Proposal) proposeTargets(repo string, targets []*FoundTarget) {
	for _, t := range targets {
		one := &proposedTarget{host: t.Host}
		if !t.Served.Checkout {
			one.lacks = repo
		}
		p.targets = append(p.targets, one)
		switch {
		case t.User == "root":
		case t.Sudo == nil && !t.Asks:
			one.become, one.note = t.Become, t.User+" can become root with it"
		case t.Sudo == nil, t.WantsPassword():
			one.become, one.ask, one.note = "sudo", config.AskPassword, "sudo wants the password of "+t.User
			if t.Sudo != nil {
				p.leave("target %s: without root not all was seen there; check the units and the checks", t.Host)
			}
		default:
			one.become, one.off, one.note = "sudo", true, t.User+" could not become root with sudo: "+t.Sudo.Said
			p.leave("target %s: %s cannot become root with sudo (%s): become", t.Host, t.User, t.Sudo.Said)
		}
	}
}
