package proposal

import (
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// live are the links of artifacts that are on.
func (p *Proposal) live() (links []phases.Link) {
	for _, a := range p.artifacts {
		if !a.off {
			links = append(links, phases.Link{Path: a.Link, End: a.leads})
		}
	}
	return links
}

// runsAny reports whether a service runs one of the links, and whether that is there.
func runsAny(service *phases.Service, links []phases.Link) (runs, there bool) {
	for _, link := range links {
		if runsLink(service, link) {
			runs, there = true, there || link.End != ""
		}
	}
	return runs, there
}

// proposeUnits has the units that run an artifact, in the order in which systemd starts
// them.
func (p *Proposal) proposeUnits(f *Found) {
	links := p.live()
	var list []*proposedUnit
	on := map[string][]string{}
	for _, t := range f.Targets {
		for i := range t.Served.Services {
			service := &t.Served.Services[i]
			runs, there := runsAny(service, links)
			if !runs {
				continue
			}
			name := strings.TrimSuffix(service.Name, ".service")
			on[name] = append(on[name], t.Host)
			if len(on[name]) > 1 {
				continue
			}
			list = append(list, p.proposeUnit(t, service, name, there))
		}
	}
	p.units = bySystemd(list)
	for _, u := range p.units {
		if missing := p.without(on[u.name]); len(missing) > 0 && !u.off {
			u.off = true
			u.note = "not on " + strings.Join(missing, ", ")
			p.leave("services: %s is not on %s; what is restarted has to be on every target", u.name, strings.Join(missing, ", "))
		}
	}
	p.proposeTemplates(f, links)
	if len(p.units) == 0 {
		p.leave("services: no unit was found that runs an artifact")
	}
}

func (p *Proposal) proposeUnit(t *FoundTarget, service *phases.Service, name string, there bool) *proposedUnit {
	u := &proposedUnit{name: name, after: service.After}
	switch {
	case !config.UnitName.Fits(name):
		u.off, u.note = true, "rel does not take its name"
		p.leave("services: the unit %s has a name that rel does not take", name)
	case service.Type == "oneshot":
		u.off, u.note = true, "it runs once, and is over"
	case there && !slices.Contains([]string{"active", "activating", "reloading"}, service.State):
		u.off, u.note = true, service.State+" on "+t.Host
		p.leave("services: %s is %s on %s", name, service.State, t.Host)
	}
	return u
}

// proposeTemplates leaves those that have no unit among the others.
func (p *Proposal) proposeTemplates(f *Found, links []phases.Link) {
	seen := map[string]bool{}
	for _, t := range f.Targets {
		for i := range t.Served.Templates {
			one := &t.Served.Templates[i]
			prefix := strings.TrimSuffix(one.Name, ".service")
			if runs, _ := runsAny(one, links); !runs || seen[prefix] || slices.ContainsFunc(p.units, func(u *proposedUnit) bool { return strings.HasPrefix(u.name, prefix) }) {
				continue
			}
			seen[prefix] = true
			p.units = append(p.units, &proposedUnit{name: prefix + "INSTANCE", off: true, note: "a template, which has no unit yet"})
			p.leave("services: which units of the template %s are to be restarted", one.Name)
		}
	}
}

// without are the targets that are not among the hosts.
func (p *Proposal) without(hosts []string) (missing []string) {
	for _, t := range p.targets {
		if !slices.Contains(hosts, t.host) {
			missing = append(missing, t.host)
		}
	}
	return missing
}
