package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// there is a command for a host.
func there(host, command string) string {
	return "ssh " + host + " '" + strings.ReplaceAll(command, "'", `'\''`) + "'"
}

// rootThere is one that only root can type there.
func (p *examined) rootThere(command string) string {
	if p.site.Become != "" {
		command = p.site.Become + " " + command
	}
	return there(p.name, command)
}

func judgeLogin(f *findings, l login) {
	f.ok("reached", "%s", l.address)
	f.ok("host-key", "%s %s", keyType(l.hostKey), fingerprint(l.hostKey))
	f.ok("login", "%s, with %s", l.user, orNothing(l.key))
}

// keyType is the first word of a public key.
func keyType(key string) string {
	name, _, _ := strings.Cut(key, " ")
	return name
}

// fingerprint is a public key's as OpenSSH shows it.
func fingerprint(key string) string {
	_, text, _ := strings.Cut(key, " ")
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "that is none"
	}
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// judgeInspection is what whoever logs in there can tell.
func (p *examined) judgeInspection(f *findings, plan *phases.Plan, release int64) {
	i := p.inspection
	if len(i.Lacks) > 0 {
		f.fail("commands", there(p.name, "command -v "+strings.Join(i.Lacks, " ")), "there is no %s", strings.Join(i.Lacks, ", "))
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
		f.refused(r, p.site.Become)
	}
	if i.Builder != nil {
		judgeBuilder(f, i.Builder)
		judgeStore(f, full, i.Free["/nix/store"], release)
	}
	if i.Checkout != nil {
		judgeCheckout(f, i.Checkout, plan.Branch)
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
		f.warn("room", there(f.host, "nix-collect-garbage"), "%d MiB free in /nix/store; the live release has %d MiB, and one that shares nothing with it would not fit",
			free>>20, release>>20)
	case release == 0:
		f.ok("room", "%d MiB free in /nix/store", free>>20)
	default:
		f.ok("room", "%d MiB free in /nix/store; the live release has %d MiB", free>>20, release>>20)
	}
}

func judgeCheckout(f *findings, c *phases.Checkout, branch string) {
	for _, r := range c.Refusals {
		f.refused(r, "")
	}
	if !f.has("checkout") {
		f.ok("checkout", "%s at %s on %s, clean", c.Repo, phases.Short(c.Head), branch)
	}
	origin := orNothing(c.Origin)
	list := there(f.host, "git -C "+c.Repo+" ls-remote origin")
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

var (
	// promotionID are the ids that rel gives: safe in a command.
	promotionID = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[0-9a-z]{1,40}$`)
	plainName   = hostPath
)

// judgeUploads is about what uploads and copies have left that were cut.
func (p *examined) judgeUploads(f *findings, plan *phases.Plan) {
	p.temporary(f, p.inspection.Temporary)
	for _, id := range p.inspection.OneUse {
		switch {
		case p.look != nil && p.look.Hold.Alive() && p.look.Hold.Promotion == id:
			f.ok("one-use-keys", "promotion %s is at work, and has one there", id)
		case promotionID.MatchString(id):
			f.warn("one-use-keys", there(p.name, `sed -i "/ rel-one-use `+plan.App+" "+id+`/d" .ssh/authorized_keys`),
				"promotion %s has left a key in ~/.ssh/authorized_keys", id)
		default:
			f.warn("one-use-keys", there(p.name, "grep -n rel-one-use .ssh/authorized_keys"), "a key is left in ~/.ssh/authorized_keys, of %q", id)
		}
	}
	if len(p.inspection.OneUse) == 0 {
		f.ok("one-use-keys", "none is left in ~/.ssh/authorized_keys")
	}
}

// temporary is about files that are of no use to anyone.
func (p *examined) temporary(f *findings, files []string) {
	if len(files) == 0 {
		return
	}
	// A name that a shell would not take for one is for a person to look at.
	cure := p.rootThere("ls -ld /tmp/.rel-*")
	if !slices.ContainsFunc(files, func(name string) bool { return !plainName.MatchString(name) }) {
		cure = p.rootThere("rm -f " + strings.Join(files, " "))
	}
	f.warn("leftovers", cure, "%s of a script that was cut: %s", counted(len(files), "file"), strings.Join(files, ", "))
}

// judgeLook is what only root can tell.
func (p *examined) judgeLook(f *findings, plan *phases.Plan, history machine.History, release int64) {
	l := p.look
	refused := l.Refusals(p.name, plan)
	for _, r := range refused {
		f.refused(r, p.site.Become)
	}
	if !l.Root {
		return
	}
	if p.site.Become != "" {
		f.ok("root", "%s becomes root with %s", p.login.user, p.site.Become)
	} else {
		f.ok("root", "the login is root's")
	}
	if l.Nix != "" {
		judgeNix(f, l.Nix)
	}
	judgeStore(f, refused, l.Free, release)
	if !f.has("units") && l.Systemd {
		f.ok("units", "systemd runs, and knows %s", counted(len(plan.Restart), "unit"))
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
		f.warn("live", "rel adopt", "the links point at something that rel has no record of: no rollback could come back to it")
	default:
		f.ok("live", "nothing yet")
	}
	s := targetStatus{Live: l.Live, Drift: drift(l, plan)}
	s.compare(history)
	for _, way := range s.Drift {
		f.warn("drift", "rel status, then rel start --force", "%s", way)
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
		f.warn("hold", "wait for it: rel start --wait 10m", "held by %s", h)
	case promotionID.MatchString(h.Promotion):
		f.warn("hold", "rel unlock "+h.Promotion+` -m "its owner is gone"`, "left by %s; whoever comes next takes it over", h)
	default:
		f.warn("hold", "rel status", "left by %s; whoever comes next takes it over", h)
	}
}

// judgeTraces is about what promotions have left that were cut. Of one that is at
// work nothing is left yet.
func (p *examined) judgeTraces(f *findings, plan *phases.Plan, history machine.History) {
	p.temporary(f, p.traces.Temporary)
	if !f.has("leftovers") {
		f.ok("leftovers", "no file of a script that was cut")
	}
	if timers := p.traces.Timers; len(timers) > 0 && !p.look.Hold.Alive() {
		cure := p.rootThere(`systemctl list-timers "rel-*"`)
		if !slices.ContainsFunc(timers, func(name string) bool { return !unitName.MatchString(name) }) {
			cure = p.rootThere("systemctl stop " + strings.Join(timers, " "))
		}
		f.warn("timers", cure, "armed for what nobody waits for any more: %s", strings.Join(timers, ", "))
	} else {
		f.ok("timers", "none is armed but for a release that waits")
	}
	dead := slices.Clone(p.traces.Unknown)
	for _, id := range p.traces.Idle {
		if past := history.Find(id); past != nil && past.Ended() {
			dead = append(dead, id)
		}
	}
	if dead = slices.DeleteFunc(dead, func(id string) bool { return !promotionID.MatchString(id) }); len(dead) == 0 {
		f.ok("gc-roots", "none of a promotion that is over")
		return
	}
	var folders []string
	for _, id := range dead {
		folders = append(folders, "/nix/var/nix/gcroots/rel/"+plan.App+"/"+id)
	}
	f.warn("gc-roots", p.rootThere("rm -r "+strings.Join(folders, " ")), "kept from the collector for promotions that are over: %s", strings.Join(dead, ", "))
}

// fromBuild is where the build host looks for a target: where rel.toml says, or where
// the operator reached it.
func fromBuild(configured, reached string) string {
	if configured == "" {
		return reached
	}
	if _, name, ok := strings.Cut(configured, "@"); ok {
		configured = name
	}
	if _, _, err := net.SplitHostPort(configured); err == nil {
		return configured
	}
	return net.JoinHostPort(configured, "22")
}

func judgeView(f *findings, v *view, l login) {
	host, port, _ := net.SplitHostPort(v.address)
	scan := there(v.from, fmt.Sprintf("ssh-keyscan -T 8 -p %s %s", port, host))
	switch {
	case v.err != nil:
		f.failed("from-build", v.err)
	case len(v.keys) == 0:
		why := ""
		if v.said != "" {
			why = " (" + v.said + ")"
		}
		f.warn("from-build", scan+"; or from_build in rel.toml, if it has another address there",
			"%s does not reach %s%s: what is copied goes through this machine", v.from, v.address, why)
	case !slices.Contains(v.keys, l.hostKey):
		f.fail("from-build", scan, "at %s %s sees the host key %s, not %s: that is another host, or somebody is in between",
			v.address, v.from, fingerprint(v.keys[0]), fingerprint(l.hostKey))
	default:
		f.ok("from-build", "%s reaches %s, and sees the same host key", v.from, v.address)
	}
}
