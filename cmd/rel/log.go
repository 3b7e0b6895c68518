package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

type logCmd struct {
	ID     string `arg:"" optional:"" help:"Promotion to show every step of."`
	JSON   bool   `name:"json" help:"Print the events as JSON, one a line; without an id, those of all promotions shown."`
	Verify bool   `help:"Walk the chain of hashes over the whole journal, and compare it with the targets' ledgers."`
	Number int    `short:"n" default:"20" placeholder:"N" help:"Show the last N promotions; 0 for all."`
}

// Run shows the audit. It changes nothing and, but for the comparison, needs no host.
func (c *logCmd) Run(ctx context.Context, h *house) error {
	if err := h.openJournal(); err != nil {
		return err
	}
	if c.Verify {
		return c.verify(ctx, h)
	}
	history, err := h.history()
	if err != nil {
		return err
	}
	if c.ID != "" {
		past, err := find(history, c.ID)
		if err != nil {
			return err
		}
		return c.one(h, past)
	}
	list := slices.Clone(history)
	slices.SortFunc(list, func(a, b *machine.Past) int { return a.Opened.Compare(b.Opened) })
	if c.Number > 0 && len(list) > c.Number {
		list = list[len(list)-c.Number:]
	}
	if c.JSON {
		for _, past := range list {
			if err := c.events(h, past.ID); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		fmt.Fprintln(h.std.err, "no promotions yet")
		return nil
	}
	return writeLog(h.std.out, list)
}

// writeLog is the table of promotions, newest first.
func writeLog(out io.Writer, list machine.History) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tOPENED\tOPERATOR\tWHAT\tSTATE\tTOOK\tWHY")
	for _, p := range slices.Backward(list) {
		what := p.Start.Plan.Subject
		if p.Start.Kind == machine.Rollback {
			what = "rollback: " + what
		} else if p.Start.Kind == machine.Adopt {
			what = "adopted: " + what
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.ID, p.Opened.Local().Format("2006-01-02 15:04"),
			p.Operator.Name, what, ends(p), p.Updated.Sub(p.Opened).Round(time.Second), p.Start.Why)
	}
	return w.Flush()
}

func (c *logCmd) one(h *house, past *machine.Past) error {
	if c.JSON {
		return c.events(h, past.ID)
	}
	events, err := h.journal.Events(past.ID)
	if err != nil {
		return err
	}
	writeStory(h.std.out, past, events)
	for _, ev := range events {
		if ev.Kind == journal.Failed || ev.Kind == journal.Interrupted {
			fmt.Fprintf(h.std.out, "output of %s, attempt %d: %s\n", ev.Phase, ev.Attempt,
				h.journal.OutputPath(past.ID, ev.Phase, ev.Attempt))
		}
	}
	return nil
}

// writeStory is one promotion step by step.
func writeStory(out io.Writer, past *machine.Past, events []journal.Event) {
	fmt.Fprintf(out, "promotion  %s\n", past.ID)
	fmt.Fprintf(out, "commit     %s %s\n", past.Start.Plan.Commit, past.Start.Plan.Subject)
	fmt.Fprintf(out, "state      %s\n", ends(past))
	if past.Start.Kind == machine.Rollback {
		fmt.Fprintf(out, "rollback   from %s to %s\n", past.Start.Plan.From, past.Start.Plan.Release.ID)
	}
	if past.Start.Why != "" {
		fmt.Fprintf(out, "why        %s\n", past.Start.Why)
	}
	if r := past.Release(); r != nil {
		for i := range r.Outputs {
			o := &r.Outputs[i]
			fmt.Fprintf(out, "artifact   %s -> %s\n", o.Link, o.Target())
		}
	}
	fmt.Fprintln(out)
	for i := range events {
		ev := &events[i]
		mark, text := describe(ev)
		if ev.Kind == journal.Opened || ev.Kind == journal.Resumed {
			text += ", by " + ev.Operator.Name
			if ev.Operator.Key != "" {
				text += " " + ev.Operator.Key
			}
		}
		fmt.Fprintf(out, "%5d  %s  %s %s\n", ev.Seq, ev.At.Local().Format(time.DateTime), mark, text)
		if ev.Kind == journal.Failed {
			fmt.Fprintf(out, "                              %s\n", ev.Text)
		}
	}
}

func (c *logCmd) events(h *house, id string) error {
	events, err := h.journal.Events(id)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(h.std.out)
	for _, ev := range events {
		if err := encoder.Encode(ev); err != nil {
			return err
		}
	}
	return nil
}

// shortOr abbreviates a commit that may not be known.
func shortOr(commit, otherwise string) string {
	if commit == "" {
		return otherwise
	}
	return phases.Short(commit)
}
