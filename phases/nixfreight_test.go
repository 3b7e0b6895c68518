package phases

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

const (
	freightA = "/nix/store/11111111111111111111111111111111-a-1.0"
	freightB = "/nix/store/22222222222222222222222222222222-b"
)

// nixCopying is what Nix 2.8 says of a copy of two paths.
const nixCopying = `warning: said before the log began
@nix {"action":"start","id":4,"level":0,"text":"","type":103}
@nix {"action":"start","fields":["` + freightA + `","http://c"],"id":5,"level":4,"text":"querying info","type":109}
@nix {"action":"stop","id":5}
@nix {"action":"start","fields":["` + freightA + `","http://c","local"],"id":6,"level":3,"text":"copying path '` + freightA + `' from 'http://c'","type":100}
@nix {"action":"result","fields":[8192,1048576,0,0],"id":6,"type":105}
@nix {"action":"result","fields":[524288,1048576,0,0],"id":6,"type":105}
@nix {"action":"result","fields":[7,9],"id":4,"type":106}
@nix {"action":"result","fields":[1,2,1,0],"id":4,"type":105}
@nix {"action":"stop","id":6}
@nix {"action":"start","fields":["` + freightB + `","http://c","local"],"id":7,"level":3,"text":"copying path '` + freightB + `' from 'http://c'","type":100}
@nix {"action":"result","fields":[99999999,1,0,0],"id":7,"type":105}
@nix {"action":"stop","id":7}
@nix {"action":"msg","level":0,"msg":"error: path '/x' lacks a valid signature"}
`

// How far Nix's own copy is, and its own words for what it does.
func TestNixfreight(t *testing.T) {
	var ticks, got strings.Builder
	p := &Promotion{}
	n := newNixfreight(func(t Tick) { fmt.Fprintf(&ticks, "%s %d/%d %s\n", t.What, t.Done, t.Total, t.Text) })
	n.sizes, n.total, n.paths = map[string]int64{freightA: 1 << 20, freightB: 100}, 1<<20+100, 2
	decode := n.hear(p)
	for line := range strings.Lines(nixCopying) {
		got.WriteString(decode(strings.TrimSuffix(line, "\n")))
	}
	const want = `warning: said before the log began
copying path '` + freightA + `' from 'http://c'...
copying path '` + freightB + `' from 'http://c'...
error: path '/x' lacks a valid signature
`
	if got.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", got.String(), want)
	}
	const told = `copy 0/1048676 0 of 2 paths, now a-1.0
copy 8192/1048676 0 of 2 paths, now a-1.0
copy 524288/1048676 0 of 2 paths, now a-1.0
copy 1048576/1048676 1 of 2 paths
copy 1048576/1048676 1 of 2 paths, now b
copy 1048676/1048676 1 of 2 paths, now b
copy 1048676/1048676 2 of 2 paths
`
	if ticks.String() != told {
		t.Errorf("it tells\n%s\nwant\n%s", ticks.String(), told)
	}
}

// Of how far a path is, most stays on the host; what is not of that kind does not.
func TestSparse(t *testing.T) {
	var said strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&said, `@nix {"action":"result","fields":[%d,9999999,0,0],"id":6,"type":105}`+"\n", i*8192)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", sparsePart+"\nsparse")
	cmd.Stdin = strings.NewReader(said.String() + nixCopying)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	if lines := strings.Count(text, "\n"); lines > 60 || !strings.Contains(text, "lacks a valid signature") ||
		strings.Count(text, `"type":100}`) != 2 || strings.Count(text, `"stop"`) != 3 || !strings.Contains(text, `[1,2,1,0]`) || strings.Contains(text, `"type":106}`) {
		t.Errorf("%d lines:\n%s", lines, text)
	}
}
