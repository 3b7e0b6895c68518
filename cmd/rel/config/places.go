package config

import (
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// place is where something stands in a file: 1-based, zero where it is not known.
type place struct{ line, column int }

// places are where the keys of a TOML document stand, by their path: "app",
// "target[0].host", "services.restart[1]"; a table by its own: "target[0]".
type places map[string]place

// of is where the key stands, or the nearest thing above it that does: what is
// missing is missing in its table.
func (p places) of(path string) place {
	for path != "" {
		if at, ok := p[path]; ok {
			return at
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return place{}
}

// placer walks through a document.
type placer struct {
	parser unstable.Parser
	found  places
	// count is how many tables an array of tables has so far.
	count map[string]int
}

// readPlaces looks where the keys of a document stand; of one that is no TOML, up to
// where it is none.
func readPlaces(text []byte) places {
	p := &placer{found: places{}, count: map[string]int{}}
	p.parser.Reset(text)
	table := ""
	for p.parser.NextExpression() {
		switch node := p.parser.Expression(); node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = p.table(node)
		case unstable.KeyValue:
			p.keyValue(table, node)
		}
	}
	return p.found
}

// table is the path of a table that a header opens: of an array of tables, the last
// one that there is so far.
func (p *placer) table(node *unstable.Node) (path string) {
	var at place
	for keys := node.Key(); keys.Next(); {
		key := keys.Node()
		if path == "" {
			at = p.place(key)
		}
		path = join(path, string(key.Data))
		if keys.IsLast() && node.Kind == unstable.ArrayTable {
			p.count[path]++
		}
		if n := p.count[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n-1)
		}
	}
	p.found[path] = at
	return path
}

func (p *placer) keyValue(table string, node *unstable.Node) {
	path := table
	var at place
	for keys := node.Key(); keys.Next(); {
		if at == (place{}) {
			at = p.place(keys.Node())
		}
		path = join(path, string(keys.Node().Data))
	}
	p.value(path, at, node.Value())
}

func (p *placer) value(path string, at place, node *unstable.Node) {
	p.found[path] = at
	i := 0
	for children := node.Children(); children.Next(); {
		switch child := children.Node(); {
		case node.Kind == unstable.InlineTable:
			p.keyValue(path, child)
		case node.Kind == unstable.Array && child.Kind != unstable.Comment:
			if child.Raw.Length > 0 {
				at = p.place(child)
			}
			p.value(fmt.Sprintf("%s[%d]", path, i), at, child)
			i++
		}
	}
}

func (p *placer) place(node *unstable.Node) place {
	start := p.parser.Shape(node.Raw).Start
	return place{start.Line, start.Column}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
