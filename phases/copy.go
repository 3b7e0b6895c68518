package phases

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Copied is what was sent to each target.
type Copied struct {
	Targets map[string]Sent `json:"targets"`
}

// Sent is what one target lacked and got.
type Sent struct {
	Paths int `json:"paths"`
	// Bytes went over the wire from the build host to the target, Unpacked is what they
	// came to there, and Millis how long they took.
	Bytes    int64 `json:"bytes"`
	Unpacked int64 `json:"unpacked,omitempty"`
	Millis   int64 `json:"ms,omitempty"`
	// Way is how they went: [Direct], [Relayed], [NixCopy] or [Cached]; and Why, where that was rel's choice.
	Way string `json:"way,omitempty"`
	Why string `json:"why,omitempty"`
	// Relayed says that they, or some of them, went through the operator.
	Relayed bool `json:"relayed,omitempty"`
	// Bases are the paths that the target had, by those that went as patches to them.
	Bases map[string]string `json:"bases,omitempty"`
	// Ahead is what it was sent before that, while the rest was being built.
	Ahead []Sent `json:"ahead,omitempty"`
}

// InvalidError says that a target's store lacks paths after the copy.
type InvalidError struct {
	Host  string
	Paths []string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: not valid after the copy: %s, the first is %s", e.Host, CountText(len(e.Paths), "path"), e.Paths[0])
}

// Copy sends each target what it lacks of the release and pins it there. A
// target that has everything costs the build host nothing, so that a rollback
// works without one. Store paths arrive whole or not at all: an interrupted
// copy keeps what has arrived.
func Copy(ctx context.Context, p *Promotion) error {
	before, err := p.arrived(ctx)
	if err != nil {
		return err
	}
	sent, err := supply(ctx, p, p.upload)
	p.Facts.Copy = &Copied{Targets: map[string]Sent{}}
	for i, target := range p.Targets {
		sent[i].Ahead = before[target.Name()]
		p.Facts.Copy.Targets[target.Name()] = sent[i]
	}
	return err
}

// supply sends each target what it lacks of the release, and pins it there. beside is what
// else is done at each meanwhile.
func supply(ctx context.Context, p *Promotion, beside func(context.Context, Host) error) ([]Sent, error) {
	sent := make([]Sent, len(p.Targets))
	couriers := make([]*courier, len(p.Targets))
	guess := guessed(ctx, p)
	defer guess.drop()
	defer func() {
		for _, c := range couriers {
			if c != nil {
				c.unprepare()
			}
		}
	}()
	err := each(ctx, p.Targets, func(ctx context.Context, i int, target Host) (err error) {
		couriers[i], err = readied(ctx, p, i, target)
		return err
	})
	if err == nil {
		err = dispatch(ctx, p, couriers, guess, sent, beside)
	}
	return sent, err
}

// readied is who takes to a target what it lacks; nil, if that is nothing.
func readied(ctx context.Context, p *Promotion, i int, target Host) (*courier, error) {
	c := &courier{p: p, target: target, site: p.site(i)}
	var ready readiness
	err := abreast(target.Name(), func() (err error) {
		ready, err = receive(ctx, p, target)
		return err
	}, func() error {
		// A release that is new is lacking; of the others little or nothing is.
		if via := p.Plan.Via; p.Plan.Release == nil && len(p.Targets) <= atOnce && (via == "" || via == Direct) {
			_ = c.prepare(ctx) // what hinders it is told once it is needed
		}
		return nil
	})
	if err == nil && len(ready.missing) > 0 {
		err = c.load(ctx, ready)
	}
	if err == nil && len(ready.missing) > 0 {
		return c, nil
	}
	c.unprepare()
	if err == nil {
		p.Note(target.Name(), "has all "+CountText(len(p.Release().Closure), "path"))
	}
	return nil, err
}

// load gives the courier what the target lacks, if there is room for it.
func (c *courier) load(ctx context.Context, ready readiness) error {
	infos, err := c.p.infos(ctx)
	if err != nil {
		return err
	}
	c.cargo = newCargo(c.p, infos, ready)
	return enough(c.target.Name(), storeDir, ready.free, c.bytes()+leastLeft)
}

// leastLeft is the room, in bytes, that a copy leaves in the store.
const leastLeft = 64 << 20

// atOnce is how many targets the build host sends to at once: one more shares its link,
// and costs it a nix-store and an ssh.
const atOnce = 4

// dispatch sends the couriers off, and does what is done beside. What several targets lack alike, and
// what may be little, is woven before that.
func dispatch(ctx context.Context, p *Promotion, couriers []*courier, guess *guess, sent []Sent, beside func(context.Context, Host) error) error {
	couriersOf := map[string][]*courier{}
	for _, c := range couriers {
		if c != nil {
			couriersOf[c.alike()] = append(couriersOf[c.alike()], c)
		}
	}
	if p.Plan.Via == Cached && len(couriersOf) > 0 {
		if err := fill(ctx, p); err != nil {
			return err
		}
	}
	sweep := "yes"
	for _, list := range couriersOf {
		if !worthwhile(p, list) || guess.bundle(list) {
			continue
		}
		remove, err := bundle(ctx, p, list, sweep)
		if isLost(err) || ctx.Err() != nil {
			return err
		}
		if sweep = ""; err != nil {
			// There may be no room for it; each can be sent what is woven for it alone.
			p.Note(p.Build.Name(), fmt.Sprintf("what is to be sent is not woven before: %v", err))
			continue
		}
		defer remove()
	}
	room := make(chan struct{}, atOnce)
	return each(ctx, p.Targets, func(ctx context.Context, i int, target Host) error {
		other := func() error { return beside(ctx, target) }
		if couriers[i] == nil {
			return other()
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		defer func() { <-room }()
		return abreast(target.Name(), func() (err error) {
			sent[i], err = couriers[i].deliver(ctx)
			return err
		}, other)
	})
}

// deliver takes a target what it lacks, and tells what that was.
func (c *courier) deliver(ctx context.Context) (Sent, error) {
	started := time.Now()
	c.choose(ctx)
	got, bytes, err := c.carry(ctx)
	took := time.Since(started)
	sent := Sent{Paths: len(c.infos), Bytes: bytes, Unpacked: c.bytes(), Millis: took.Milliseconds(),
		Way: c.way(), Why: c.why, Relayed: c.relayed, Bases: c.bases}
	if err != nil {
		return sent, err
	}
	if len(got.lacks) > 0 {
		return sent, &InvalidError{Host: c.target.Name(), Paths: got.lacks}
	}
	text := fmt.Sprintf("%d of %s, %s, %s in %s", sent.Paths, CountText(len(c.closure), "path"), sent.size(), wayTexts[sent.Way], took.Round(100*time.Millisecond))
	if c.why != "" && !c.hindered {
		text += " (" + c.why + ")"
	}
	c.p.Note(c.target.Name(), text)
	return sent, nil
}

// size is how much it was.
func (s *Sent) size() string {
	if s.Bytes == 0 {
		return BytesText(s.Unpacked) + " unpacked"
	}
	return BytesText(s.Bytes) + " for " + BytesText(s.Unpacked)
}

// wayTexts are the ways, in words.
var wayTexts = map[string]string{
	Direct: "sent by the build host", Relayed: "through this machine", NixCopy: "sent by the build host's nix copy", Cached: "from the cache",
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
	return allOf(reasons), err
}

// allOf are the texts that say something, in one.
func allOf(texts []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text == "" }), "; ")
}
