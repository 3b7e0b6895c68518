package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type logCmd struct {
	ID       string `arg:"" optional:"" help:"Promotion to tell the story of."`
	Number   *int   `short:"n" placeholder:"N" help:"Show the last N promotions; 0 for all. By default 20, or with --since all since then."`
	Since    string `placeholder:"WHEN" help:"Only those that were opened since then: a duration (36h, 7d) or a date (2026-11-01)."`
	Operator string `placeholder:"NAME" help:"Only those whose operator's name has this in it."`
	Failed   bool   `help:"Only those that did not end healthy."`
	Output   string `placeholder:"PHASE" help:"Of the promotion, what the hosts printed in that phase."`
	Attempt  int    `placeholder:"N" help:"With --output: of that attempt; by default the last."`
	Manifest bool   `help:"Of the promotion, the manifest of its release."`
	JSON     bool   `name:"json" help:"Print JSON: of each promotion one line; with an id, its events, one a line."`
	Verify   bool   `help:"Walk the chain of hashes over the whole journal, and compare it with the targets' ledgers."`
}

// Run shows the audit. It changes nothing and, but for the comparison, needs no host.
func (c *logCmd) Run(ctx context.Context, h *house) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := h.openJournal(); err != nil {
		return err
	}
	switch {
	case c.Verify:
		return c.verify(ctx, h)
	case c.ID != "":
		return c.one(h)
	}
	return c.list(h)
}

// check refuses flags that would say nothing.
func (c *logCmd) check() error {
	one := c.Output != "" || c.Manifest
	switch {
	case c.ID == "" && one:
		return &usageError{"--output and --manifest are of one promotion: rel log ID --output PHASE"}
	case c.ID != "" && (c.Number != nil || c.Since != "" || c.Operator != "" || c.Failed):
		return &usageError{"-n, --since, --operator and --failed choose among all promotions, and an id names one"}
	case c.Output != "" && c.Manifest || one && c.JSON:
		return &usageError{"--output, --manifest and --json each print something else: one at a time"}
	case c.Attempt != 0 && c.Output == "":
		return &usageError{"--attempt is of a phase's output: --output PHASE --attempt N"}
	}
	return nil
}

// list is the table of promotions.
func (c *logCmd) list(h *house) error {
	filter, err := c.filter(time.Now())
	if err != nil {
		return err
	}
	var rows []logRow
	encoder := json.NewEncoder(github.ForJSON(h.std.out))
	working := h.working()
	err = filter.each(h.journal, func(row logRow) error {
		row.working = row.past.ID == working
		if c.JSON {
			return encoder.Encode(promotionOf(row))
		}
		rows = append(rows, row)
		return nil
	})
	if err != nil || c.JSON {
		return err
	}
	if len(rows) == 0 {
		fmt.Fprintln(h.std.err, filter.nothing())
		return nil
	}
	width, isTTY := columnsOf(h.std.out)
	return atOnce(h.std.out, func(out io.Writer) { writeTable(out, width, h.paint(isTTY), rows) })
}

// working is the promotion that a rel on this machine is at work on; empty without one.
func (h *house) working() string {
	var claimed *journal.ClaimedError
	if errors.As(h.journal.Claimed(), &claimed) {
		return claimed.Holder.Promotion
	}
	return ""
}

// one is all about one promotion, or what is asked of it.
func (c *logCmd) one(h *house) error {
	history, err := h.history()
	if err != nil {
		return err
	}
	past, err := find(history, c.ID)
	if err != nil {
		return err
	}
	events, err := h.journal.Events(past.ID)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return writeEvents(github.ForJSON(h.std.out), events)
	case c.Output != "":
		return c.output(h, past)
	case c.Manifest:
		return writeManifest(h, past)
	}
	next, err := history.Successor(past)
	if err != nil {
		return err
	}
	_, isTTY := columnsOf(h.std.out)
	s := telling{past: past, events: events, next: next, working: past.ID == h.working(), path: h.journal.OutputPath, paint: h.paint(isTTY)}
	return atOnce(h.std.out, s.write)
}

// writeManifest is as the manifest was written on the hosts.
func writeManifest(h *house, past *machine.Past) error {
	release := past.Release()
	if release == nil {
		return &refusedError{Text: fmt.Sprintf("promotion %s has no manifest: it never came to be built (it is %s)", past.ID, past.State),
			Next: "rel log " + past.ID + "{here}"}
	}
	_, err := h.std.out.Write(release.Manifest())
	return err
}

// shortOr abbreviates a commit that may not be known.
func shortOr(commit, otherwise string) string {
	if commit == "" {
		return otherwise
	}
	return phases.Short(commit)
}
