package main

import (
	"context"
	"fmt"
	"sync"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// verify walks the journal's chain, and compares it with what the targets noted
// down of it: a chain that was cut short, or made anew from some record on, is
// sound in itself.
func (c *logCmd) verify(ctx context.Context, h *house) error {
	head, err := h.journal.Verify()
	if err != nil {
		return err
	}
	fmt.Fprintf(h.std.out, "%d records, all sound; head %s\n", head.Seq, head.Hash)
	conf, err := config.Read(h.globals.Config)
	if err != nil {
		fmt.Fprintf(h.std.out, "not compared with any target: %v\n", err)
		return nil
	}
	plan, err := conf.Plan()
	if err != nil {
		return err
	}
	ctx, cancel := briefly(ctx, "reading the targets' records")
	defer cancel()
	dialer := h.dialer()
	words, failures := make([]string, len(plan.Targets)), make([]error, len(plan.Targets))
	var wait sync.WaitGroup
	for i, site := range plan.Targets {
		target := h.host(dialer, site)
		wait.Go(func() { words[i], failures[i] = h.compare(ctx, target, plan.App, head) })
	}
	wait.Wait()
	for i, site := range plan.Targets {
		if failures[i] == nil {
			fmt.Fprintf(h.std.out, "%s: %s\n", site.Host, words[i])
		}
	}
	return phases.Join(failures)
}

// anchorError says that the journal is not the one that a target has seen.
type anchorError struct {
	Host string
	Line phases.Anchored
	// Head is the end of the journal.
	Head journal.Head
}

func (e *anchorError) Error() string {
	if e.Line.Seq > e.Head.Seq {
		return fmt.Sprintf("record %d is missing: the journal ends with record %d, and %s has seen it with %d (%s, promotion %s)",
			e.Head.Seq+1, e.Head.Seq, e.Host, e.Line.Seq, zoned(e.Line.At), e.Line.Promotion)
	}
	return fmt.Sprintf("record %d, or one before it, is not the one that %s has seen (%s, promotion %s): the journal was rewritten",
		e.Line.Seq, e.Host, zoned(e.Line.At), e.Line.Promotion)
}

// compare holds the journal against one target's ledger.
func (h *house) compare(ctx context.Context, target *host, app string, head journal.Head) (string, error) {
	lines, err := phases.ReadAnchors(ctx, target, nil, app)
	if err != nil {
		return "", err
	}
	mine, last := 0, int64(0)
	for _, line := range lines {
		if line.Journal != head.Journal {
			continue
		}
		ev, found, err := h.journal.At(line.Seq)
		if err != nil {
			return "", err
		}
		if !found || ev.Hash.String() != line.Head {
			return "", &anchorError{Host: target.name, Line: line, Head: head}
		}
		mine, last = mine+1, max(last, line.Seq)
	}
	if mine == 0 {
		return "its ledger knows nothing of this journal", nil
	}
	return fmt.Sprintf("its ledger agrees: %d anchors, the last at record %d", mine, last), nil
}
