package phases

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

//go:embed sparse.sh
var sparsePart string

// nixfreight reads what Nix's own copy says with --log-format internal-json: makes of it the
// lines that it has otherwise, and tells how far it is. What it goes by is the paths that
// begin and end, which every Nix tells; how far one of them is, some do.
type nixfreight struct {
	*nixlog
	tick func(Tick)
	// sizes are those of all paths that may come; total, and paths, of those that are to
	// come: 0 where that is not known.
	sizes map[string]int64
	total int64
	paths int
	// under has the paths that are on their way by activity, and way how much of each is.
	under map[uint64]string
	way   map[uint64]int64
	// done is what has arrived, and taken how many paths.
	done  int64
	taken int
}

func newNixfreight(tick func(Tick)) *nixfreight {
	return &nixfreight{nixlog: newNixlog(func(Tick) {}), tick: tick, sizes: map[string]int64{}, under: map[uint64]string{}, way: map[uint64]int64{}}
}

// freighted is for the cargo, which Nix itself takes there.
func (c *courier) freighted() *nixfreight {
	n := newNixfreight(func(t Tick) { c.p.tick(c.target.Name(), t) })
	for _, info := range c.infos {
		n.sizes[info.Path] = info.Size
	}
	n.total, n.paths = c.bytes(), len(c.infos)
	n.tell() // it may be a while until Nix says something
	return n
}

// hear is decode for a script of the promotion: whatever is said is a sign of life.
func (n *nixfreight) hear(p *Promotion) func(string) string {
	return func(line string) string {
		p.Pulse.Beat()
		n.follow(line)
		return n.decode(line)
	}
}

// follow takes a line of the log.
func (n *nixfreight) follow(line string) {
	text, ok := strings.CutPrefix(line, "@nix ")
	var ev nixEvent
	if !ok || json.Unmarshal([]byte(text), &ev) != nil {
		return
	}
	path, known := n.under[ev.ID]
	switch {
	case ev.Action == "start" && ev.Type == nixCopyPath && len(n.under) < atWorkCap:
		n.under[ev.ID] = ev.text(0)
	case ev.Action == "result" && ev.Type == nixProgress && known:
		n.way[ev.ID] = min(ev.number(0), n.sizes[path])
	case ev.Action == "stop" && known:
		delete(n.under, ev.ID)
		delete(n.way, ev.ID)
		n.done += n.sizes[path]
		n.taken++
	default:
		return
	}
	n.tell()
}

// tell tells how far it is.
func (n *nixfreight) tell() {
	done, text := n.done, CountText(n.taken, "path")
	if n.paths > 0 {
		text = fmt.Sprintf("%d of %s", n.taken, CountText(n.paths, "path"))
	}
	for _, way := range n.way {
		done += way
	}
	for _, path := range n.under {
		if len(n.under) == 1 {
			text += ", now " + derivationName(path)
		}
	}
	n.tick(Tick{What: "copy", Done: done, Total: n.total, Unit: Bytes, Text: text})
}
