package phases

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The numbers of Nix's internal-json log that are heeded (libutil/logging.hh; the same from
// 2.4 to 2.33, and in Lix).
const (
	nixCopyPath     = 100
	nixCopyPaths    = 103
	nixBuilds       = 104
	nixBuild        = 105
	nixPostHook     = 110
	nixBuildWaiting = 111

	nixBuildLine = 101
	nixProgress  = 105
	nixPostLine  = 107

	// nixInfo is the last of the levels that Nix shows if it is not asked for more.
	nixInfo = 3
)

// nixlog reads what `nix build --log-format internal-json` says: makes of it the lines that
// --print-build-logs has, and tells how far the build is.
type nixlog struct {
	tick func(Tick)
	// names are of the derivations at work, by activity.
	names map[uint64]string
	// builds and fetches are the activities that count derivations that are built, and
	// paths that are fetched; built and fetched are how far they are.
	builds, fetches uint64
	built, fetched  [2]int64
}

func newNixlog(tick func(Tick)) *nixlog { return &nixlog{tick: tick, names: map[uint64]string{}} }

// atWorkCap is the most derivations that are known by name at a time.
const atWorkCap = 1 << 10

// nixEvent is a line of the log.
type nixEvent struct {
	Action string            `json:"action"`
	ID     uint64            `json:"id"`
	Level  int               `json:"level"`
	Type   int               `json:"type"`
	Text   string            `json:"text"`
	Msg    string            `json:"msg"`
	Fields []json.RawMessage `json:"fields"`
}

// decode is the text that a line stands for. What Nix does not say in this form, and all
// that a Nix says that does not know it, stays as it is.
func (n *nixlog) decode(line string) string {
	text, ok := strings.CutPrefix(line, "@nix ")
	var ev nixEvent
	if !ok || json.Unmarshal([]byte(text), &ev) != nil {
		return line + "\n"
	}
	switch ev.Action {
	case "msg":
		if ev.Level > nixInfo {
			return ""
		}
		return ev.Msg + "\n"
	case "start":
		return n.start(&ev)
	case "stop":
		delete(n.names, ev.ID)
	case "result":
		return n.result(&ev)
	}
	return ""
}

func (n *nixlog) start(ev *nixEvent) string {
	switch ev.Type {
	case nixBuild, nixPostHook:
		if len(n.names) < atWorkCap {
			n.names[ev.ID] = derivationName(ev.text(0))
		}
	case nixBuilds:
		n.builds, n.built = ev.ID, [2]int64{}
	case nixCopyPaths:
		n.fetches, n.fetched = ev.ID, [2]int64{}
	}
	if ev.Level > nixInfo || ev.Text == "" || ev.Type == nixBuildWaiting {
		return ""
	}
	return ev.Text + "...\n"
}

func (n *nixlog) result(ev *nixEvent) string {
	mark := "> "
	switch ev.Type {
	case nixPostLine:
		mark = " (post)> "
		fallthrough
	case nixBuildLine:
		name, known := n.names[ev.ID]
		if !known {
			name = "unnamed"
		}
		// A line of a build is one line, whatever Nix took it for.
		line := strings.ReplaceAll(strings.TrimRight(ev.text(0), " \t\r\n"), "\n", "; ")
		if line == "" {
			return ""
		}
		return name + mark + line + "\n"
	case nixProgress:
		n.progress(ev)
	}
	return ""
}

// progress takes how far the whole is, and tells it.
func (n *nixlog) progress(ev *nixEvent) {
	switch ev.ID {
	case n.builds:
		n.built = [2]int64{ev.number(0), ev.number(1)}
	case n.fetches:
		n.fetched = [2]int64{ev.number(0), ev.number(1)}
	default:
		return
	}
	if n.built[1] == 0 && n.fetched[1] == 0 {
		return
	}
	n.tick(Tick{What: "build", Done: n.built[0], Total: n.built[1], Unit: Derivations, Text: n.atWork()})
}

// namesShown is how many derivations are named of those that are at work.
const namesShown = 3

// atWork says what is being done.
func (n *nixlog) atWork() string {
	var parts []string
	if n.fetched[1] > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s fetched", n.fetched[0], CountText(int(n.fetched[1]), "path")))
	}
	ids := slices.Sorted(maps.Keys(n.names))
	var names []string
	for _, id := range ids[:min(len(ids), namesShown)] {
		names = append(names, n.names[id])
	}
	if more := len(ids) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	if len(names) > 0 {
		parts = append(parts, "now "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}

// text is a field that is text; empty, if it is none.
func (ev *nixEvent) text(i int) (s string) {
	if i < len(ev.Fields) {
		_ = json.Unmarshal(ev.Fields[i], &s)
	}
	return s
}

// number is a field that is one, and no negative; 0, if it is none.
func (ev *nixEvent) number(i int) (n int64) {
	if i < len(ev.Fields) {
		_ = json.Unmarshal(ev.Fields[i], &n)
	}
	return max(n, 0)
}

// derivationName is what Nix calls a derivation, or a path, before its lines.
func derivationName(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if len(name) > 33 && name[32] == '-' {
		name = name[33:]
	}
	if name = clip(printable(strings.TrimSuffix(name, ".drv"))); name == "" {
		return "unnamed"
	}
	return name
}
