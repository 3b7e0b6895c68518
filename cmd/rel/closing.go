package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// lookTimeout bounds the last look at the targets: the words that end a
// failure must come, also where the failure is a network that died.
const lookTimeout = 8 * time.Second

// fail ends a failure with what failed, what the targets run now, what to type
// next and where the log is, and returns the exit status.
func (h *house) fail(ctx context.Context, err error) int {
	e := explain(err)
	standing := h.standing(ctx)
	if h.printer != nil {
		h.printer.close()
	}
	red := h.failPaint()
	fmt.Fprintf(h.std.err, "%s %s\n", red("rel:"), remote.Clean(e.what))
	for _, line := range append(e.detail, h.lastOutput(err, e)...) {
		fmt.Fprintf(h.std.err, "         %s\n", remote.Clean(line))
	}
	if e.code == exitUsage {
		if e.cure != "" {
			fmt.Fprintf(h.std.err, "next:    %s\n", e.cure)
		}
		return e.code
	}
	for _, line := range standing {
		fmt.Fprintf(h.std.err, "targets: %s\n", remote.Clean(line))
	}
	fmt.Fprintf(h.std.err, "next:    %s\n", remote.Clean(h.next(err, e)))
	if path := h.logPath(err); path != "" {
		fmt.Fprintf(h.std.err, "log:     %s\n", path)
	}
	return e.code
}

// lastOutput repeats what the hosts printed last in the attempt that failed,
// unless it was refused or the explanation shows it already.
func (h *house) lastOutput(err error, e explanation) []string {
	var phase *machine.PhaseError
	var exit *remote.ExitError
	ran := e.code == exitFailed || e.code == exitPerson || e.code == exitReverted
	if !ran || !errors.As(err, &phase) || errors.As(err, &exit) {
		return nil
	}
	h.outputs.mu.Lock()
	defer h.outputs.mu.Unlock()
	return h.outputs.tail
}

func (h *house) failPaint() func(string) string {
	isTTY := false
	if h.std.tty != nil {
		_, isTTY = h.std.tty()
	}
	return func(text string) string { return h.paint(isTTY)(red, text) }
}

// next is the command to type: first what mends the cause, then what goes on.
func (h *house) next(err error, e explanation) string {
	var phase *machine.PhaseError
	if !errors.As(err, &phase) {
		if e.cure == "" {
			return "rel log"
		}
		return e.cure
	}
	resume := "rel resume " + h.work.ID
	switch {
	case e.over:
		return "rel abort " + h.work.ID + "; then rel start, or rel rollback"
	case e.cure == "":
		return resume
	case strings.HasPrefix(e.cure, "rel "):
		return e.cure // another promotion, or other flags: not this one again
	}
	return e.cure + "; then " + resume
}

// logPath is the log of the attempt that failed, or the folder of the logs.
func (h *house) logPath(err error) string {
	var phase *machine.PhaseError
	if h.journal == nil {
		return ""
	}
	if errors.As(err, &phase) && phase.Attempt > 0 {
		return h.journal.OutputPath(h.work.ID, phase.Phase, phase.Attempt)
	}
	return h.journal.Path()
}

// standing says what each target runs now, as far as it can still be asked.
func (h *house) standing(ctx context.Context) []string {
	if h.work == nil || len(h.work.Targets) == 0 {
		return []string{"unchanged; nothing was begun"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	history, _ := h.history() // a damaged journal has no names for releases
	lines := make([]string, len(h.work.Targets))
	var wait sync.WaitGroup
	for i, target := range h.work.Targets {
		wait.Go(func() { lines[i] = target.Name() + " " + h.runs(ctx, target, history) })
	}
	wait.Wait()
	return lines
}

func (h *house) runs(ctx context.Context, target phases.Host, history machine.History) string {
	if open, ok := target.(*host); ok && !open.connected() {
		return "was not reached; nothing was changed by this run"
	}
	look, err := phases.LookAt(ctx, target, nil, &h.work.Plan, h.work.ID)
	if err != nil {
		return "cannot be asked any more: " + remote.Clean(err.Error())
	}
	text := "runs " + nameOf(look, &h.work.Plan, history)
	for _, unit := range slices.Sorted(maps.Keys(look.Stale)) {
		text += "; but " + unit + " runs " + look.Stale[unit]
	}
	text += waiting(look)
	if look.Stuck != "" {
		text += "; it could not be put back whole: " + look.Stuck
	}
	return text
}

// waiting says that a release waits to be confirmed, and what becomes of it.
func waiting(look *phases.Look) string {
	switch {
	case look.Pending == "":
		return ""
	case look.Unguarded:
		return "; " + look.Pending + " is not confirmed, and nothing takes it back by itself"
	}
	return "; " + look.Pending + " is not confirmed, and goes back by itself if it is not in time"
}

// nameOf finds the recorded release that all links point into.
func nameOf(look *phases.Look, plan *phases.Plan, history machine.History) string {
	present := 0
	for _, a := range plan.Artifacts {
		if look.Links[a.Link] != "" {
			present++
		}
	}
	if present == 0 {
		return "no release"
	}
	if look.Live != "" && maps.Equal(look.Links, look.Recorded) {
		return fmt.Sprintf("%s (%s)", shortOr(look.LiveCommit, "an adopted release"), look.Live)
	}
	// The newest that fits: promotions of one commit share a release.
	for i := len(history) - 1; i >= 0; i-- {
		if r := history[i].Release(); r != nil && look.Runs(r) {
			return fmt.Sprintf("%s (%s)", shortOr(r.Commit, "an adopted release"), history[i].ID)
		}
	}
	var parts []string
	for _, a := range plan.Artifacts {
		parts = append(parts, fmt.Sprintf("%s -> %s", a.Link, orNothing(look.Links[a.Link])))
	}
	return "no release that the journal knows: " + strings.Join(parts, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// succeed says what came of a promotion: the result, on stdout.
func (h *house) succeed(p *phases.Promotion) {
	var hosts []string
	for _, t := range p.Targets {
		hosts = append(hosts, t.Name())
	}
	state := "healthy"
	switch {
	case p.Plan.Adopt:
		state = "adopted"
	case p.Facts.Apply.Nothing():
		state = "already live and healthy"
	}
	if h.globals.Progress != "json" {
		fmt.Fprintf(h.std.out, "%s %s on %s: %s\n", p.ID, state, strings.Join(hosts, ", "), p.Release().Subject)
	}
}
