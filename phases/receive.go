package phases

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"
)

//go:embed receive.sh
var receiveScript string

// readiness is what receive.sh answers.
type readiness struct {
	// missing are the places in the closure of the paths to send, references first.
	missing []int
	// bases are paths that the target and, as a rule, the build host have, by the missing
	// ones that they resemble.
	bases map[string]string
	// free is the room in the store, and room that for what is kept of promotions; in
	// bytes.
	free, room int64
	// accept names the compressions that the target can undo, best first.
	accept string
}

// receive readies the target: the promotion's folder, and the GC roots, which are there
// before it is asked what is missing: what it has then, and pins, stays.
func receive(ctx context.Context, p *Promotion, target Host) (readiness, error) {
	release := p.Release()
	s := p.onTarget(target, "receive.sh", keysPart+receiveScript, map[string]string{"STORE": storeDir, "SUM": jobSum()})
	s.Stdin = io.MultiReader(p.releaseRows(), strings.NewReader(lastLine))
	a, err := ask(ctx, p, target, s)
	if err != nil {
		return readiness{}, err
	}
	kib, err := strconv.ParseInt(a.get("free"), 10, 64)
	if err != nil {
		return readiness{}, fmt.Errorf("%s: receive.sh did not say how much room there is", target.Name())
	}
	ready := readiness{free: kib << 10, room: a.kib("room"), accept: strings.TrimSpace(a.get("accept")), bases: a.table("base")}
	p.Seen.keepJob(target.Name(), a.get("job") == "yes")
	lacks := map[string]bool{}
	for _, path := range a.all("missing") {
		lacks[path] = true
	}
	for i, path := range release.Closure {
		if lacks[path] {
			ready.missing = append(ready.missing, i)
		}
	}
	return ready, nil
}

// large are the paths that may go as a patch.
func (r *Release) large() (paths []string) {
	for i := range r.Infos {
		if size := r.Infos[i].Size; size >= patchLeast && size <= patchMost {
			paths = append(paths, r.Closure[i])
		}
	}
	return paths
}

// releaseRows are what a target keeps to know the release by.
func (p *Promotion) releaseRows() io.Reader {
	release := p.Release()
	rows := [][]string{
		{"kind", p.Plan.Kind()}, {"origin", release.ID}, {"sha", release.Commit}, {"from", p.Plan.From},
		{"json", release.brief()},
	}
	for i := range release.Outputs {
		o := &release.Outputs[i]
		rows = append(rows, []string{"root", o.Name, o.Path}, []string{"link", o.Link, o.Target()})
	}
	for _, path := range release.Closure {
		rows = append(rows, []string{"path", path})
	}
	for _, path := range release.large() {
		rows = append(rows, []string{"large", path})
	}
	return table(rows...)
}
