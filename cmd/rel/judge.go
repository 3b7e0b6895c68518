package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// becomes is how the login there becomes root; nothing if it is root's.
func (p *examined) becomes() string { return cmp.Or(p.site.Become, p.site.BecomeCommand) }

// rooted is the advice for who becomes root there as that login does.
func (p *examined) rooted() advice {
	a := p.advice
	a.become = map[string]string{p.name: p.becomes()}
	a.asks = map[string]bool{p.name: p.site.BecomePassword == config.AskPassword}
	return a
}

// rootThere is one that only root can type there.
func (p *examined) rootThere(command string) string { return p.rooted().rootThere(p.name, command) }

func judgeLogin(f *findings, l login) {
	f.ok("reached", "%s", l.address)
	f.ok("host-key", "%s %s", keyType(l.hostKey), fingerprint(l.hostKey))
	f.ok("login", "%s, with %s", l.user, orNothing(l.key))
}

// judgeInspection is what whoever logs in there can tell.
func (p *examined) judgeInspection(f *findings, plan *phases.Plan, release int64) {
	i := p.inspection
	if len(i.Lacks) > 0 {
		var names []string
		for _, lack := range i.Lacks {
			name, _, _ := strings.Cut(lack, " ") // "flock of util-linux"
			names = append(names, name)
		}
		f.fail("commands", p.advice.there(p.name, "command -v "+strings.Join(names, " ")), "there is no %s", strings.Join(i.Lacks, ", "))
	} else {
		f.ok("commands", "the login shell runs /bin/sh, which finds what rel needs")
	}
	if by := skewed(i); by != 0 {
		f.warn("clock", p.rootThere("timedatectl set-ntp true"), "it differs from this machine's by %s", by.Round(time.Second))
	} else {
		f.ok("clock", "within %.1fs of this machine's", (i.Skew.Abs()+i.Doubt).Seconds()+0.05)
	}
	full := i.Full(p.name)
	for _, r := range full {
		f.refused(r, p.becomes())
	}
	if i.Builder != nil {
		judgeBuilder(f, i.Builder)
		judgeStore(f, full, i.Free["/nix/store"], release)
	}
	if i.Checkout != nil {
		judgeCheckout(f, i.Checkout, plan.Branch, p.becomes())
	} else {
		f.ok("checkout", "there is to be none")
	}
	p.judgeUploads(f, plan)
}

// judgeStore says whether a release as large as the live one would fit, where the store
// has not been refused. That is an estimate, since what a release shares with the one
// before is not sent again.
func judgeStore(f *findings, refused []*phases.Refusal, free, release int64) {
	switch {
	case slices.ContainsFunc(refused, func(r *phases.Refusal) bool { return r.Thing == "/nix/store" }):
	case free < release:
		f.warn("room", f.there(f.host, "nix-collect-garbage"), "%d MiB free in /nix/store; the live release has %d MiB, and one that shares nothing with it would not fit",
			free>>20, release>>20)
	case release == 0:
		f.ok("room", "%d MiB free in /nix/store", free>>20)
	default:
		f.ok("room", "%d MiB free in /nix/store; the live release has %d MiB", free>>20, release>>20)
	}
}

func judgeCheckout(f *findings, c *phases.Checkout, branch, as string) {
	for _, r := range c.Refusals {
		f.refused(r, as)
	}
	if !f.has("checkout") {
		f.ok("checkout", "%s at %s on %s, clean", c.Repo, phases.Short(c.Head), branch)
	}
	origin := orNothing(c.Origin)
	list := f.there(f.host, "git -C "+c.Repo+" ls-remote origin")
	switch {
	case c.Head == "": // there is no checkout to ask
	case c.Unreached != "":
		f.fail("origin", list, "%s cannot be asked: %s", origin, c.Unreached)
	case c.Tip == "":
		f.fail("origin", list, "%s has no branch %s", origin, branch)
	default:
		f.ok("origin", "%s has %s at %s", origin, branch, phases.Short(c.Tip))
	}
}

// judgeLook is what only root can tell.
func (p *examined) judgeLook(f *findings, plan *phases.Plan, history machine.History, release int64) {
	l := p.look
	refused := l.Refusals(p.name, plan)
	for _, r := range refused {
		f.refused(r, p.becomes())
	}
	if !l.Root {
		return
	}
	if become := p.becomes(); become != "" {
		f.ok("root", "%s becomes root with %s", p.login.user, become)
	} else {
		f.ok("root", "the login is root's")
	}
	if l.Nix != "" {
		judgeNix(f, l.Nix)
	}
	judgeStore(f, refused, l.Free, release)
	if !f.has("units") && l.Systemd {
		f.ok("units", "systemd runs, and knows %s", phases.CountText(len(plan.Restart), "unit"))
	}
	if !f.has("links") {
		f.ok("links", "%d of %d are there, and their folders", len(l.Links), len(plan.Artifacts))
	}
	p.judgeLive(f, plan, history)
	judgeHold(f, l.Hold)
}

// judgeLive is about what is live, and what may become of it.
func (p *examined) judgeLive(f *findings, plan *phases.Plan, history machine.History) {
	l := p.look
	switch {
	case l.Live != "":
		f.ok("live", "%s, commit %s, since %s, by %s", l.Live, shortOr(l.LiveCommit, "unknown"), utc(l.Since), orNothing(l.By))
	case !l.Known && len(l.Links) > 0:
		f.warn("live", "rel adopt{here}", "the links point at something that rel has no record of: no rollback could come back to it")
	default:
		f.ok("live", "nothing yet")
	}
	s := targetStatus{Live: l.Live, Drift: drift(l, plan, false)}
	s.compare(history)
	for _, way := range s.Drift {
		f.warn("drift", "rel status{here}, then "+straighten(l), "%s", way)
	}
	for _, note := range s.Notes {
		f.ok("drift", "%s", note)
	}
	if len(s.Drift)+len(s.Notes) == 0 {
		f.ok("drift", "none")
	}
	if !f.has("unconfirmed") {
		f.ok("unconfirmed", "no release waits to be confirmed")
	}
}

func judgeHold(f *findings, h *phases.Holder) {
	switch {
	case h == nil:
		f.ok("hold", "nobody holds it")
	case h.Alive():
		f.warn("hold", f.wait(), "held by %s", h)
	case promotionID.MatchString(h.Promotion):
		f.warn("hold", "rel unlock "+h.Promotion+`{here} -m "its owner is gone"`, "left by %s; whoever comes next takes it over", h)
	default:
		f.warn("hold", "rel status{here}", "left by %s; whoever comes next takes it over", h)
	}
}
