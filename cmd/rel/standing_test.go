package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/phases"
)

// standing is what a target is at one instant: its links, the processes of its units
// and what is live there.
type standing struct {
	text  string
	links map[string]string // by artifact
	units map[string]string // state and binary
	live  string
}

// unitsOf are the units that run an artifact.
var unitsOf = map[string][]string{
	"sandbox": {"container@sandbox-live", "container@sandbox-dev"}, "hypervisor": {"hypervisor"},
}

// restless fails while anything still works on the target: a job, what is to be done
// after a restart, or a unit that comes or goes. A confirm window is no work.
const restless = `flock -n /var/lib/rel/choiros/apply.lock true || exit 1
	[ -z "$(systemctl list-jobs --no-legend)" ] || exit 1
	! systemctl list-units --all --plain --no-legend 'rel-apply-*.service' 'rel-revert-*.service' 'rel-boot-*' | grep -qE ' (running|start|waiting) '`

// standing waits until nothing works on the target, and looks at it. Nothing can begin
// while it looks.
func (w *world) standing(target string) standing {
	w.t.Helper()
	w.await(target, restless)
	text := w.exec(target, `exec 9>>/var/lib/rel/choiros/apply.lock && flock -w 120 9 || exit 1
		for name in sandbox hypervisor desktop; do echo "link $name $(readlink /opt/choiros/bin/$name)"; done
		for unit in container@sandbox-live container@sandbox-dev hypervisor; do
			echo "unit $unit $(systemctl is-active $unit) $(readlink /proc/$(systemctl show -p MainPID --value $unit)/exe)"
		done
		echo "live x $(basename "$(readlink /var/lib/rel/choiros/live)")"`)
	s := standing{text: text, links: map[string]string{}, units: map[string]string{}}
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(line), " ", 3)
		switch f[0] {
		case "link":
			s.links[f[1]] = f[2]
		case "unit":
			s.units[f[1]] = f[2]
		case "live":
			s.live = f[2]
		}
	}
	return s
}

// is reports whether the target has exactly these links, and each unit runs the binary
// that its link leads to.
func (s *standing) is(links map[string]string) bool {
	for artifact, units := range unitsOf {
		for _, unit := range units {
			if s.units[unit] != "active "+links[artifact] {
				return false
			}
		}
	}
	return maps.Equal(s.links, links)
}

// linksOf are the links of a release; nil of none.
func linksOf(release *phases.Release) map[string]string {
	if release == nil {
		return nil
	}
	links := map[string]string{}
	for _, o := range release.Outputs {
		links[o.Name] = o.Target()
	}
	return links
}

// serves waits for a login page that says the commit, for a short while: a unit that
// was restarted is active before it listens.
func (w *world) serves(commit string) {
	w.t.Helper()
	body := ""
	for range 40 {
		if body = w.page(); strings.Contains(body, commit) {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	w.t.Errorf("login answers %q, want %s", body, commit)
}

// appliedLines counts the releases that were ever applied on the target.
func (w *world) appliedLines(target string) int {
	w.t.Helper()
	lines := strings.Split(w.exec(target, "cat /var/lib/rel/choiros/ledger.jsonl"), "\n")
	return len(slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, `"what":"applied"`) }))
}
