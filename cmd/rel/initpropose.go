package main

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// proposal is a rel.toml that is still to be written down. What is not certain enough to
// be used is off: it stands there as a comment.
type proposal struct {
	app, appWhy       string
	branch, branchWhy string
	repo, origin      string
	build             string
	targets           []*proposedTarget
	artifacts         []*proposedArtifact
	units             []*proposedUnit
	checks            []*proposedCheck
	// runs says that there is something live that rel adopt can record.
	runs bool
	// open is what is left for a person to fill in, or to look at.
	open []string
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

func (p *proposal) leave(format string, args ...any) {
	p.open = append(p.open, fmt.Sprintf(format, args...))
}

// propose makes a configuration of what was found. App is its name; empty for one that
// is found as well.
func propose(f *found, app string) *proposal {
	p := &proposal{app: app, build: f.build, repo: f.repo}
	p.proposeSource(f.source)
	links := servedLinks(f.targets)
	p.proposeApp(f, links)
	p.proposeTargets(f.repo, f.targets)
	p.proposeArtifacts(f, links)
	p.proposeUnits(f)
	p.proposeChecks(f)
	return p
}

func (p *proposal) proposeSource(s *phases.Source) {
	p.origin = s.Origin
	p.branch, p.branchWhy = s.Branch, p.build+" has it checked out"
	if !config.BranchName.Fits(s.Branch) {
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
func servedLinks(targets []*foundTarget) (links []phases.Link) {
	for _, t := range targets {
		links = append(links, t.served.Links...)
		for _, wanted := range t.served.Wanted {
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

func (p *proposal) proposeApp(f *found, links []phases.Link) {
	if p.app != "" {
		p.appWhy = "--app"
		return
	}
	for _, link := range links {
		known, _ := packageOf(link, f.source.Packages)
		if own := ownFolder.FindStringSubmatch(link.Path); own != nil && config.AppName.Fits(own[1]) && known != nil {
			p.app, p.appWhy = own[1], "from "+path.Dir(link.Path)
			return
		}
	}
	origin := strings.TrimSuffix(path.Base(strings.ReplaceAll(f.source.Origin, ":", "/")), ".git")
	for _, name := range []string{origin, path.Base(f.repo)} {
		if name = strings.ToLower(name); config.AppName.Fits(name) {
			p.app, p.appWhy = name, "from the repository"
			return
		}
	}
	p.app, p.appWhy = "app", "a guess"
	p.leave("app: nothing says what it is called; --app does")
}

func (p *proposal) proposeTargets(repo string, targets []*foundTarget) {
	for _, t := range targets {
		one := &proposedTarget{host: t.host}
		if !t.served.Checkout {
			one.lacks = repo
		}
		p.targets = append(p.targets, one)
		switch {
		case t.user == "root":
		case t.sudo == nil:
			one.become, one.note = t.become, t.user+" can become root with it"
		case strings.Contains(t.sudo.Said, "password"):
			one.become, one.ask, one.note = "sudo", config.AskPassword, "sudo wants the password of "+t.user
			p.leave("target %s: without root not all was seen there; check the units and the checks", t.host)
		default:
			one.become, one.off, one.note = "sudo", true, t.user+" could not become root with sudo: "+t.sudo.Said
			p.leave("target %s: %s cannot become root with sudo (%s): become", t.host, t.user, t.sudo.Said)
		}
	}
}
