package proposal

import (
	"fmt"
	"net/netip"
)

// proposeChecks has one for each address that a unit listens on; the ones of which
// nothing was learnt are off.
func (p *Proposal) proposeChecks(f *Found) {
	seen, taken, on := map[string]bool{}, checkNames{}, 0
	for _, u := range p.units {
		if u.off {
			continue
		}
		for _, t := range f.Targets {
			for _, c := range t.proposeChecks(u.name) {
				if seen[c.url] {
					continue
				}
				seen[c.url] = true
				c.name = taken.free(c.name)
				p.checks = append(p.checks, c)
				if !c.off {
					on++
				}
			}
		}
	}
	if on == 0 {
		p.leave("check: nothing was found that answers HTTP; without a [[check]], healthy means no more than that the units stay up")
	}
}

// checkNames are those that are taken.
type checkNames map[string]bool

func (n checkNames) free(name string) string {
	free := name
	for i := 2; n[free]; i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	n[free] = true
	return free
}

// proposeChecks are those of a unit's addresses.
func (t *FoundTarget) proposeChecks(unit string) (list []*proposedCheck) {
	for _, service := range t.Served.Services {
		if service.Name != unit+".service" {
			continue
		}
		for _, address := range service.Listens {
			list = append(list, proposeCheck(t, unit, address))
		}
	}
	return list
}

func proposeCheck(t *FoundTarget, unit string, address netip.AddrPort) *proposedCheck {
	answer, asked := t.Answers[address]
	c := &proposedCheck{name: unit, url: "http://" + reachable(address).String() + answer.path, status: answer.status, body: answer.ours}
	switch {
	case !asked:
		c.off, c.url, c.status = true, c.url+"/", 200
		c.notes = append(c.notes, "not asked: there are too many")
	case answer.err != nil:
		c.off, c.status = true, 200
		c.notes = append(c.notes, fmt.Sprintf("%s listens there, and does not answer HTTP: %v", unit, answer.err))
	case answer.status >= 500:
		c.off = true
		c.notes = append(c.notes, fmt.Sprintf("it answers %d", answer.status))
	case answer.status >= 400:
		c.notes = append(c.notes, "set the path to one that says how the service is")
	case answer.commit && !answer.ours:
		c.notes = append(c.notes, `the page has a commit in it: with body = "${sha}" an old release cannot pass for the new one`)
	}
	return c
}
