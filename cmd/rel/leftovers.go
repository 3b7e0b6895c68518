package main

import (
	"regexp"
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// promotionID are the ids that rel gives.
var promotionID = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[0-9a-z]{1,40}$`)

// judgeUploads is about what uploads and copies have left that were cut.
func (p *examined) judgeUploads(f *findings, plan *phases.Plan) {
	p.temporary(f, p.inspection.Temporary)
	for _, id := range p.inspection.OneUse {
		switch {
		case p.look != nil && p.look.Hold.Alive() && p.look.Hold.Promotion == id:
			f.ok("one-use-keys", "promotion %s is at work, and has one there", id)
		case promotionID.MatchString(id):
			f.warn("one-use-keys", p.advice.there(p.name, `sed -i "/ rel-one-use `+plan.App+" "+id+`/d" .ssh/authorized_keys`),
				"promotion %s has left a key in ~/.ssh/authorized_keys", id)
		default:
			f.warn("one-use-keys", p.advice.there(p.name, "grep -n rel-one-use .ssh/authorized_keys"), "a key is left in ~/.ssh/authorized_keys, of %q", id)
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
	if !slices.ContainsFunc(files, func(name string) bool { return !config.HostPath.Fits(name) }) {
		cure = p.rootThere("rm -f " + strings.Join(files, " "))
	}
	f.warn("leftovers", cure, "%s of a script that was cut: %s", phases.CountText(len(files), "file"), strings.Join(files, ", "))
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
		if !slices.ContainsFunc(timers, func(name string) bool { return !config.UnitName.Fits(name) }) {
			cure = p.rootThere("systemctl stop " + strings.Join(timers, " "))
		}
		f.warn("timers", cure, "armed for what nobody waits for any more: %s", strings.Join(timers, ", "))
	} else {
		f.ok("timers", "none is armed but for a release that waits")
	}
	dead := slices.Clone(p.traces.Unknown)
	for _, id := range p.traces.Idle {
		if past, err := history.Find(id); err == nil && past != nil && past.Ended() {
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
