package phases

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

//go:embed receive.sh
var receiveScript string

// Copied is what was sent to each target.
type Copied struct {
	Targets map[string]Sent `json:"targets"`
}

// Sent is what one target lacked and got.
type Sent struct {
	Paths int `json:"paths"`
	// Bytes went over the wire from the build host to the target.
	Bytes int64 `json:"bytes"`
	// Relayed says that they, or some of them, went through the operator.
	Relayed bool `json:"relayed,omitempty"`
}

// InvalidError says that a target's store lacks paths after the copy.
type InvalidError struct {
	Host  string
	Paths []string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %d paths are not valid after the copy, the first is %s", e.Host, len(e.Paths), e.Paths[0])
}

// Copy sends each target what it lacks of the release and pins it there. A
// target that has everything costs the build host nothing, so that a rollback
// works without one. Store paths arrive whole or not at all: an interrupted
// copy keeps what has arrived.
func Copy(ctx context.Context, p *Promotion) error {
	sent := make([]Sent, len(p.Targets))
	err := each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
		sent[i], err = copyTo(ctx, p, i, target)
		return err
	})
	p.Facts.Copy = &Copied{Targets: map[string]Sent{}}
	for i, target := range p.Targets {
		p.Facts.Copy.Targets[target.Name()] = sent[i]
	}
	return err
}

func copyTo(ctx context.Context, p *Promotion, i int, target Host) (Sent, error) {
	release := p.Release()
	ready, err := receive(ctx, p, target)
	if err != nil {
		return Sent{}, err
	}
	if len(ready.missing) == 0 {
		p.Note(target.Name(), fmt.Sprintf("has all %d paths", len(release.Closure)))
		return Sent{}, p.upload(ctx, target)
	}
	// The closure's size is the most that can be missing.
	if err := enough(target.Name(), storeDir, ready.free, min(release.Bytes, leastFree)); err != nil {
		return Sent{}, err
	}
	sent := Sent{Paths: len(ready.missing)}
	started := time.Now()
	courier := &courier{p: p, target: target, site: p.site(i), accept: ready.accept, relayed: p.Plan.Via == Relayed}
	for todo := ready.missing; len(todo) > 0; {
		n := batch(todo)
		bytes, err := courier.carry(ctx, todo[:n])
		sent.Bytes, sent.Relayed = sent.Bytes+bytes, courier.relayed
		if err != nil {
			return sent, err
		}
		todo = todo[n:]
	}
	missing, err := invalid(ctx, p, target, release.Closure)
	if err != nil {
		return sent, err
	}
	if len(missing) > 0 {
		return sent, &InvalidError{Host: target.Name(), Paths: missing}
	}
	p.Note(target.Name(), fmt.Sprintf("%d of %d paths, %s sent %s in %s", sent.Paths, len(release.Closure),
		bytesText(sent.Bytes), courier.way(), time.Since(started).Round(100*time.Millisecond)))
	return sent, p.upload(ctx, target)
}

// readiness is what receive.sh answers.
type readiness struct {
	// missing are the paths to send, references first.
	missing []string
	// free is the room in the store, in bytes.
	free int64
	// accept names the compressions that the target can undo, best first.
	accept string
}

// receive readies the target: the promotion's folder, and the GC roots, which
// are there before the first path so that nothing can be collected between its
// arrival and its pinning.
func receive(ctx context.Context, p *Promotion, target Host) (readiness, error) {
	release := p.Release()
	s := p.onTarget(target, "receive.sh", keysPart+receiveScript, map[string]string{"STORE": storeDir})
	s.Stdin = io.MultiReader(p.releaseRows(), strings.NewReader(lastLine))
	a, err := ask(ctx, p, target, s)
	if err != nil {
		return readiness{}, err
	}
	kib, err := strconv.ParseInt(a.get("free"), 10, 64)
	if err != nil {
		return readiness{}, fmt.Errorf("%s: receive.sh did not say how much room there is", target.Name())
	}
	ready := readiness{free: kib << 10, accept: a.get("accept")}
	lacks := map[string]bool{}
	for _, path := range a.all("missing") {
		lacks[path] = true
	}
	for _, path := range release.Closure {
		if lacks[path] {
			ready.missing = append(ready.missing, path)
		}
	}
	return ready, nil
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
	return table(rows...)
}

// upload puts the manifest into the promotion's folder. Where the operator's other
// scripts read what is live it appears once that is true: when it is confirmed.
func (p *Promotion) upload(ctx context.Context, target Host) error {
	return target.Upload(ctx, releaseDir(&p.Plan, p.ID)+"/manifest.env", p.Release().Manifest(), 0o600)
}

// releaseDir is where a target keeps what it must know of a promotion.
func releaseDir(plan *Plan, id string) string {
	return "/var/lib/rel/" + plan.App + "/releases/" + id
}

// copied holds while every target still has every path of the release.
func copied(ctx context.Context, p *Promotion) (lost string, err error) {
	reasons := make([]string, len(p.Targets))
	err = each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		missing, err := invalid(ctx, p, target, p.Release().Closure)
		if err == nil && len(missing) > 0 {
			reasons[i] = fmt.Sprintf("%s no longer has %s", target.Name(), missing[0])
		}
		return err
	})
	return firstOf(reasons), err
}

func firstOf(texts []string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
