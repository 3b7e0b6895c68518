package proposal

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"choir.chat/rel/phases"
)

// plainAttribute is one that needs no quotes behind the # of a flake.
var plainAttribute = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_'-]*$`)

// storeName is what comes behind the hash of a store path: name and version.
var storeName = regexp.MustCompile(`^/nix/store/[0-9a-z]{32}-([^/]+)`)

// ways are where a link leads: what it names in the store, which may be a link itself, as in
// a package that joins others, and what it leads to in the end.
func ways(link phases.Link) (list []string) {
	if storeName.MatchString(link.To) {
		list = append(list, link.To)
	}
	if leads := link.Leads(); !slices.Contains(list, leads) {
		list = append(list, leads)
	}
	return list
}

// fits is how much speaks for a file of the store being one of a package.
func fits(file string, p *phases.Package) int {
	own, built := storeName.FindStringSubmatch(file), storeName.FindStringSubmatch(p.Output)
	switch {
	case own == nil:
	case p.Output != "" && strings.HasPrefix(file, p.Output+"/"):
		return 16
	case built != nil && built[1] == own[1]:
		return 8
	case p.Name != "" && versionOf(own[1], p.Name):
		return 4
	}
	return 0
}

// likeness is how much speaks for a link leading to a package; zero, if nothing does.
func likeness(link phases.Link, p *phases.Package) int {
	if !plainAttribute.MatchString(p.Attribute) {
		return 0
	}
	points, before, base := 0, 0, path.Base(link.Path)
	for _, way := range slices.Backward(ways(link)) {
		if n := fits(way, p); n > 0 {
			points = n + before
		}
		before += 16 // whatever speaks for what it leads to after that
	}
	for _, name := range append([]string{p.Attribute, p.Program}, p.Binaries...) {
		if name == base {
			points += 3
			break
		}
	}
	if p.Name == base {
		points += 2
	}
	// "default" is mostly another name of a package that has one.
	if points > 0 && p.Attribute != "default" {
		points++
	}
	return points
}

// versionOf reports whether a store path's name is that of a package, with or without
// a version.
func versionOf(own, name string) bool {
	rest, ok := strings.CutPrefix(own, name)
	return ok && (rest == "" || len(rest) > 1 && rest[0] == '-' && rest[1] >= '0' && rest[1] <= '9')
}

// packageOf is the package that a link leads to, and whether another may be meant as well;
// nil, if none is.
func packageOf(link phases.Link, packages []phases.Package) (best, other *phases.Package) {
	most := 0
	for i := range packages {
		p := &packages[i]
		switch points := likeness(link, p); {
		case points > most:
			best, other, most = p, nil, points
		case points == most && points > 0 && (p.Output == "" || p.Output != best.Output):
			other = p
		}
	}
	return best, other
}

// binaryOf is what of a package a link leads to, and whether that is known.
func binaryOf(link phases.Link, p *phases.Package) (binary string, sure bool) {
	base, leads := path.Base(link.Path), link.Leads()
	if i := slices.IndexFunc(ways(link), func(way string) bool { return fits(way, p) > 0 }); i >= 0 {
		leads = ways(link)[i]
	}
	if own := storeName.FindString(leads); own != "" && leads != own {
		if inside := strings.TrimPrefix(leads, own+"/"); p.Output == "" || len(p.Binaries) == 0 || slices.Contains(p.Binaries, path.Base(inside)) {
			return inside, true
		}
	}
	switch {
	case slices.Contains(p.Binaries, base):
		return "bin/" + base, true
	case len(p.Binaries) == 1:
		return "bin/" + p.Binaries[0], true
	case p.Program != "":
		return "bin/" + p.Program, true
	case p.Name != "":
		return "bin/" + p.Name, false
	}
	return "bin/" + base, false
}

// artifactNames makes names, each another.
type artifactNames map[string]bool

// name is a name of the form that artifacts have, as like the text as can be.
func (n artifactNames) name(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	text = strings.TrimLeft(text, "0123456789_-")
	text = strings.TrimRight(text[:min(len(text), 56)], "-_")
	if text == "" {
		text = "artifact"
	}
	free := text
	for i := 2; n[strings.ReplaceAll(free, "-", "_")]; i++ {
		free = fmt.Sprintf("%s-%d", text, i)
	}
	n[strings.ReplaceAll(free, "-", "_")] = true
	return free
}

// boundary are the characters that do not go on with a path.
const boundary = " \t;\"'=,|&()<>{}[]"

// namesPath reports whether a command names a path, and not a longer one.
func namesPath(command, name string) bool {
	for from := 0; ; {
		at := strings.Index(command[from:], name)
		if at < 0 {
			return false
		}
		at += from
		end := at + len(name)
		if (at == 0 || strings.ContainsRune(boundary, rune(command[at-1]))) && (end == len(command) || strings.ContainsRune(boundary, rune(command[end]))) {
			return true
		}
		from = at + 1
	}
}

// runsLink reports whether a service runs what a link leads to: by its command, or by
// what its main process is, which a wrapper may have started.
func runsLink(service *phases.Service, link phases.Link) bool {
	if namesPath(service.Command, link.Path) {
		return true
	}
	own := storeName.FindString(link.End)
	return own != "" && (strings.HasPrefix(service.File, own+"/") || namesPath(service.Command, link.End))
}

// bySystemd sorts services so that each comes behind those that systemd starts it after.
// What goes round in circles stays as it is.
func bySystemd(list []*proposedUnit) []*proposedUnit {
	var sorted []*proposedUnit
	left := slices.Clone(list)
	slices.SortStableFunc(left, func(a, b *proposedUnit) int { return strings.Compare(a.name, b.name) })
	for len(left) > 0 {
		next := slices.IndexFunc(left, func(u *proposedUnit) bool {
			return !slices.ContainsFunc(left, func(other *proposedUnit) bool {
				return other != u && slices.Contains(u.after, other.name+".service")
			})
		})
		next = max(next, 0)
		sorted = append(sorted, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return sorted
}
