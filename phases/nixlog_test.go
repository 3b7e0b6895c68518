package phases

import (
	"fmt"
	"strings"
	"testing"
)

// nixBuilding is what Nix 2.8 says of a build of two derivations, of which one fails.
const nixBuilding = `warning: said before the log began
@nix {"action":"start","id":1,"level":4,"text":"copying '/srv/app'","type":0}
@nix {"action":"stop","id":1}
@nix {"action":"start","id":2,"level":0,"text":"","type":102}
@nix {"action":"start","id":3,"level":0,"text":"","type":104}
@nix {"action":"start","id":4,"level":0,"text":"","type":103}
@nix {"action":"result","fields":[0,2,0,0],"id":3,"type":105}
@nix {"action":"result","fields":[101,0],"id":2,"type":106}
@nix {"action":"start","id":9,"level":3,"text":"copying path '/nix/store/11111111111111111111111111111111-x' from 'file:///c'","type":100}
@nix {"action":"result","fields":[1,1,0,0],"id":4,"type":105}
@nix {"action":"start","fields":["/nix/store/40jmyrlm0950q8smhfgqs2y0bzm9l8x3-hypervisor-2.drv","",1,1],"id":5,"level":3,"text":"building '/nix/store/40jmyrlm0950q8smhfgqs2y0bzm9l8x3-hypervisor-2.drv'","type":105}
@nix {"action":"result","fields":[0,2,1,0],"id":3,"type":105}
@nix {"action":"result","fields":["\u001b[31mcompiling\u001b[0m  "],"id":5,"type":101}
@nix {"action":"result","fields":["   "],"id":5,"type":101}
@nix {"action":"result","fields":["buildPhase"],"id":5,"type":104}
@nix {"action":"result","fields":["forged\nbuilding '/nix/store/x'"],"id":5,"type":101}
@nix {"action":"stop","id":5}
@nix {"action":"result","fields":[1,2,0,0],"id":3,"type":105}
@nix {"action":"result","fields":["who am I"],"id":77,"type":101}
@nix {"action":"result","payload":{"httpStatus":200},"id":78,"type":10111}
@nix {"action":"msg","level":5,"msg":"not to be shown"}
@nix {"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: builder for 'x' failed with exit code 1;\n       last 1 log lines:\n       > broken on purpose","raw_msg":"x"}
@nix {"action":"msg","level":0
@nix [1,2]
`

func TestNixlog(t *testing.T) {
	var ticks, got strings.Builder
	n := newNixlog(func(t Tick) { fmt.Fprintf(&ticks, "%d/%d %s\n", t.Done, t.Total, t.Text) })
	for line := range strings.Lines(nixBuilding) {
		got.WriteString(n.decode(strings.TrimSuffix(line, "\n")))
	}
	const want = `warning: said before the log began
copying path '/nix/store/11111111111111111111111111111111-x' from 'file:///c'...
building '/nix/store/40jmyrlm0950q8smhfgqs2y0bzm9l8x3-hypervisor-2.drv'...
` + "hypervisor-2> \x1b[31mcompiling\x1b[0m\n" + `hypervisor-2> forged; building '/nix/store/x'
unnamed> who am I
error: builder for 'x' failed with exit code 1;
       last 1 log lines:
       > broken on purpose
@nix {"action":"msg","level":0
@nix [1,2]
`
	if got.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", got.String(), want)
	}
	const told = `0/2 
0/2 1 of 1 path fetched
0/2 1 of 1 path fetched; now hypervisor-2
1/2 1 of 1 path fetched
`
	if ticks.String() != told {
		t.Errorf("it tells\n%s\nwant\n%s", ticks.String(), told)
	}
}

// What is at work is kept within bounds, and named within bounds.
func TestNixlogIsHostile(t *testing.T) {
	last := Tick{}
	n := newNixlog(func(t Tick) { last = t })
	n.decode(`@nix {"action":"start","id":1,"type":104}`)
	for i := range 10 * atWorkCap {
		n.decode(fmt.Sprintf(`@nix {"action":"start","id":%d,"type":105,"fields":["/nix/store/40jmyrlm0950q8smhfgqs2y0bzm9l8x3-%s\u001b[2J\u202e.drv"]}`, i+2, strings.Repeat("x", 1000)))
	}
	n.decode(`@nix {"action":"result","id":1,"type":105,"fields":[-1,18446744073709551616,"x"]}`)
	n.decode(`@nix {"action":"result","id":1,"type":105,"fields":[7,9]}`)
	if len(n.names) > atWorkCap || len(last.Text) > 1000 || last.Done != 7 || strings.ContainsAny(last.Text, "\x1b\u202e") {
		t.Errorf("%d names, %+v", len(n.names), last)
	}
}
