package lab

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// mountPoint is a line of a mountinfo file, as far as the lab reads it.
type mountPoint struct {
	at    string
	kind  string // overlay, cgroup2, ...
	super string // the file system's own options
}

// readMounts reads a mountinfo file, in the order in which things were mounted.
func readMounts(path string) ([]mountPoint, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []mountPoint
	for line := range strings.Lines(string(b)) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		all = append(all, mountPoint{at: f[4], kind: g[0], super: g[2]})
	}
	return all, nil
}

// mountsBelow are the mounts in dir, the last one mounted first: the order to take them away in.
func mountsBelow(dir string) ([]string, error) {
	all, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var at []string
	for _, m := range all {
		if strings.HasPrefix(m.at, dir+"/") {
			at = append(at, m.at)
		}
	}
	slices.Reverse(at)
	return at, nil
}

// cgroupRoots are the hierarchies in which a host's systemd keeps its services apart.
func cgroupRoots() ([]string, error) {
	all, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, m := range all {
		named := m.kind == "cgroup" && slices.Contains(strings.Split(m.super, ","), "name=systemd")
		if m.kind == "cgroup2" || named {
			roots = append(roots, m.at)
		}
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no cgroup hierarchy for a systemd is mounted on this machine (neither cgroup2 nor name=systemd)")
	}
	return roots, nil
}
