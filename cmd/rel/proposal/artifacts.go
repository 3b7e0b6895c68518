package proposal

import (
	"path"
	"slices"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// proposeArtifacts has one for each link that leads to a package; the other links and
// packages are off, unless there is nothing else.
func (p *Proposal) proposeArtifacts(f *Found, links []phases.Link) {
	taken, used := artifactNames{}, map[string]bool{}
	for _, link := range links {
		if !config.HostPath.Fits(link.Path) || path.Clean(link.Path) != link.Path {
			p.leave("artifact: the link %q has a name that rel does not take", link.Path)
			continue
		}
		found, other := packageOf(link, f.Source.Packages)
		if found == nil && link.To != "" && !storeName.MatchString(link.Leads()) {
			continue // others have links too
		}
		a := &proposedArtifact{leads: link.End, Artifact: config.Artifact{Name: taken.name(path.Base(link.Path)), Link: link.Path}}
		p.artifacts = append(p.artifacts, a)
		if found == nil {
			a.off = true
			a.Flake, a.Binary = "./FOLDER#PACKAGE", "bin/"+path.Base(link.Path)
			a.notes = append(a.notes, "no package was found for it")
			p.leave("artifact %s: which package the link %s leads to", a.Name, link.Path)
			continue
		}
		a.Flake = found.Flake()
		used[a.Flake] = true
		var sure bool
		if a.Binary, sure = binaryOf(link, found); !sure {
			a.notes = append(a.notes, "binary is a guess: nothing is built yet")
		}
		switch {
		case link.End != "":
			p.Runs = true
		case link.To != "":
			a.notes = append(a.notes, "the link leads nowhere: "+link.To+" is gone")
			p.leave("artifact %s: take the link %s away, which leads to nothing that rel could come back to", a.Name, link.Path)
		default:
			a.notes = append(a.notes, "a unit runs it, and it is not there yet")
		}
		if other != nil {
			a.notes = append(a.notes, "or "+other.Flake())
			p.leave("artifact %s: %s or %s", a.Name, a.Flake, other.Flake())
		}
		if !config.HostPath.Fits("/" + a.Binary) {
			a.off = true
			p.leave("artifact %s: the binary %q has a name that rel does not take", a.Name, a.Binary)
		}
	}
	p.proposeUnlinked(f.Source.Packages, taken, used)
	if len(p.artifacts) == 0 {
		p.leave("artifact: no package was found in %s on %s", p.repo, p.build)
	}
}

// proposeUnlinked has the packages that no link leads to. Where no link leads to any, this is
// the first release, and all are on.
func (p *Proposal) proposeUnlinked(packages []phases.Package, taken artifactNames, used map[string]bool) {
	first := len(used) == 0
	outputs := map[string]bool{}
	for i := range packages {
		one := &packages[i]
		twin := slices.ContainsFunc(packages, func(q phases.Package) bool {
			return q.Attribute != "default" && q.Folder == one.Folder && q.Output == one.Output && q.Name == one.Name
		})
		if used[one.Flake()] || !plainAttribute.MatchString(one.Attribute) || one.Attribute == "default" && twin ||
			one.Output != "" && outputs[one.Output] {
			continue
		}
		outputs[one.Output] = true
		a := &proposedArtifact{off: !first, notes: []string{"no link leads to it yet"}}
		a.Binary, _ = binaryOf(phases.Link{Path: "/" + one.Attribute}, one)
		if one.Attribute == "default" && len(one.Binaries) == 0 && one.Program == "" && one.Name == "" {
			a.off = true
		}
		a.Name, a.Flake = taken.name(path.Base(a.Binary)), one.Flake()
		a.Link = "/opt/" + p.app + "/bin/" + path.Base(a.Binary)
		if !config.HostPath.Fits("/" + a.Binary) {
			continue
		}
		p.artifacts = append(p.artifacts, a)
		if first {
			p.leave("artifact %s: whether it is to be released, and its link (%s)", a.Name, a.Link)
		}
	}
}
