package phases

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// PackageChange is how a package of the live closure differs from that of another. A
// package is what store paths of one name belong to, whatever their version and output.
type PackageChange struct {
	Name string `json:"name"`
	// From and To are the versions in the live closure and in the other one; both are empty
	// for a package that has none, and equal for one that was only rebuilt.
	From []string `json:"from,omitempty"`
	To   []string `json:"to,omitempty"`
	// Added and Removed say that only the one or the other closure has it.
	Added   bool `json:"added,omitempty"`
	Removed bool `json:"removed,omitempty"`
	// Bytes is by how much it grows, unpacked.
	Bytes int64 `json:"bytes"`
	// touched says that a path of it is in one of the closures alone.
	touched bool
}

// storeName is what the name of a store path says.
type storeName struct{ name, version, output string }

// outputNames are what nixpkgs calls the outputs of its packages, but for out, which
// leaves no trace in a name.
var outputNames = []string{"bin", "data", "debug", "dev", "devdoc", "devman", "dist", "doc", "include", "info", "lib", "man", "static"}

// parsePackage takes the name of a store path apart. As Nix has it, a version begins at
// the first dash that no letter follows (builtins.parseDrvName).
func parsePackage(path string) (n storeName) {
	n.name = path[min(len(path), len(storeDir)+34):] // the hash, and the dashes beside it
	if i := strings.LastIndexByte(n.name, '-'); i > 0 && slices.Contains(outputNames, n.name[i+1:]) {
		n.name, n.output = n.name[:i], n.name[i+1:]
	}
	for i := 0; i+1 < len(n.name); i++ {
		if c := n.name[i+1] | 0x20; n.name[i] == '-' && (c < 'a' || c > 'z') {
			n.name, n.version = n.name[:i], n.name[i+1:]
			break
		}
	}
	return n
}

// packageChanges tells two closures apart, package by package: their paths, with the bytes
// of each.
func packageChanges(was, is map[string]int64) []PackageChange {
	changes := map[string]*PackageChange{}
	count := func(here, there map[string]int64, sign int64, versions func(*PackageChange) *[]string) {
		for _, path := range slices.Sorted(maps.Keys(here)) {
			n := parsePackage(path)
			c := changes[n.name]
			if c == nil {
				c = &PackageChange{Name: n.name, Added: true, Removed: true}
				changes[n.name] = c
			}
			if sign < 0 {
				c.Added = false
			} else {
				c.Removed = false
			}
			if list := versions(c); !slices.Contains(*list, n.version) && n.version != "" {
				*list = append(*list, n.version)
			}
			c.Bytes += sign * here[path]
			if _, same := there[path]; !same {
				c.touched = true
			}
		}
	}
	count(was, is, -1, func(c *PackageChange) *[]string { return &c.From })
	count(is, was, 1, func(c *PackageChange) *[]string { return &c.To })
	var list []PackageChange
	for _, c := range changes {
		if c.touched {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b PackageChange) int { return cmp.Compare(a.Name, b.Name) })
	return list
}
