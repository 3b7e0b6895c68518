package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/cmd/rel/show"
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
	e := h.advice().explain(err)
	standing := h.standing(ctx, e)
	h.conclude(e, standing, h.next(err, e))
	// Whoever reads the last words may stand still; nobody else has to wait for that.
	h.unclaim()
	h.closePrinter()
	inRed := h.failPaint()
	if github.On() {
		h.annotate(err, e, standing)
	}
	fmt.Fprintf(h.std.err, "%s %s\n", inRed("rel:"), remote.Clean(e.what))
	detail := append(e.detail, h.lastOutput(err, e)...)
	if plain, ok := h.printer.(*show.Plain); ok {
		detail = plain.Unseen(detail)
	}
	for _, line := range detail {
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

// conclude records how the run ends, for who reads of it later, and who watches it. Best
// effort: it may be the journal that the run fails of.
func (h *house) conclude(e explanation, standing []string, next string) {
	if h.left == "" {
		return
	}
	ending := machine.Ending{Exit: e.code, Next: remote.Clean(next)}
	for _, line := range standing {
		ending.Targets = append(ending.Targets, remote.Clean(line))
	}
	ev, err := machine.Leave(h.left, remote.Clean(e.what), ending)
	if err == nil {
		ev, err = h.journal.Append(ev)
	}
	if err == nil && h.printer != nil {
		h.printer.Event(ev)
	}
}

// annotate has GitHub show the failure on the page of the run.
func (h *house) annotate(err error, e explanation, standing []string) {
	lines := []string{remote.Clean(e.what)}
	if e.code != exitUsage {
		for _, line := range standing {
			lines = append(lines, "targets: "+remote.Clean(line))
		}
		lines = append(lines, "next: "+remote.Clean(h.next(err, e)))
	}
	title := "rel"
	var phase *machine.PhaseError
	if errors.As(err, &phase) {
		title = "rel: " + phase.Phase
	}
	fmt.Fprintln(github.AsItIs(h.std.err), github.Annotation(title, lines))
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
	return h.outputs.tail.Texts()
}

func (h *house) failPaint() func(string) string {
	isTTY := false
	if h.std.tty != nil {
		_, isTTY = h.std.tty()
	}
	return func(text string) string { return h.paint(isTTY)(show.Red, text) }
}

// next is the command to type: first what mends the cause, then what goes on.
func (h *house) next(err error, e explanation) string {
	var phase *machine.PhaseError
	if !errors.As(err, &phase) {
		switch {
		case e.cure == "" && h.given.command == "init", // there is nothing to have a log
			e.cure == "" && e.code == exitInterrupted && h.left == "": // nor to go on with
			return h.advice().typed(h.given.command, "")
		case e.cure == "":
			return h.advice().placed("rel log{here}")
		}
		return e.cure
	}
	a := h.advice()
	resume := a.placed("rel resume " + h.work.ID + "{here}")
	switch {
	case e.over:
		return a.placed("rel abort " + h.work.ID + "{here}, and then rel start{here}, or rel rollback{here}")
	case e.cure == "" && e.repeats && h.work.Plan.Release != nil:
		return a.placed("rel status{here}, which lists the other ways back; or ") + resume + ", if the host was to blame"
	case e.cure == "" && e.repeats:
		return a.placed("rel start{here}, once a fix is pushed; or ") + resume + ", if the host was to blame"
	case e.cure == "":
		return resume
	case strings.HasPrefix(e.cure, "rel "), strings.HasPrefix(e.cure, "git push && rel "):
		return e.cure // another promotion, or other flags: not this one again
	case e.typed:
		return e.cure + " && " + resume
	}
	return resume + ", after this: " + e.cure
}

// logPath is the log of the attempt that failed, where a host printed something in it, or
// the journal. Before anything is recorded there is neither.
func (h *house) logPath(err error) string {
	var phase *machine.PhaseError
	if h.journal == nil {
		return ""
	}
	if errors.As(err, &phase) && phase.Attempt > 0 {
		return firstThere(h.journal.OutputPath(h.work.ID, phase.Phase, phase.Attempt), h.journal.Path())
	}
	return firstThere(h.journal.Path())
}

// firstThere is the first of the files that is there.
func firstThere(files ...string) string {
	for _, file := range files {
		if exists(file) {
			return file
		}
	}
	return "none: nothing is recorded yet"
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// standing says what each target runs now, as far as it can still be asked.
func (h *house) standing(ctx context.Context, e explanation) []string {
	if h.work == nil || len(h.work.Targets) == 0 {
		switch {
		case !h.changes: // nor was anything to be
			return nil
		case e.code == exitHeld:
			return []string{"what the other promotion makes of them; rel status tells"}
		}
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
	if err != nil && ctx.Err() != nil {
		return fmt.Sprintf("was not reached within %s: what it runs is not known; rel status asks it again", lookTimeout)
	}
	if err != nil {
		return "cannot be asked any more: " + remote.Clean(err.Error())
	}
	text := "runs " + nameOf(look, &h.work.Plan, history)
	for _, unit := range slices.Sorted(maps.Keys(look.Stale)) {
		text += "; but " + unit + " runs " + look.Stale[unit]
	}
	if own := look; look.Pending != "" && !look.Unguarded && promotionID.MatchString(look.Pending) {
		if look.Pending != h.work.ID { // only its own promotion is told when it goes back
			own, err = phases.LookAt(ctx, target, nil, &h.work.Plan, look.Pending)
		}
		if err == nil && own.Pending == look.Pending {
			look.Left = own.Left
		}
	}
	text += waiting(look, time.Now())
	if look.Stuck != "" {
		text += "; it could not be put back whole: " + look.Stuck
	}
	return text
}

// waiting says that a release waits to be confirmed, and what becomes of it when.
func waiting(look *phases.Look, now time.Time) string {
	switch {
	case look.Pending == "":
		return ""
	case look.Unguarded:
		return "; " + look.Pending + " is not confirmed, and nothing takes it back by itself"
	case look.Left > 0:
		return fmt.Sprintf("; %s is not confirmed, and goes back by itself at %s, in %s", look.Pending, now.Add(look.Left).Local().Format(time.TimeOnly), look.Left)
	}
	return "; " + look.Pending + " is not confirmed, and goes back by itself if it is not in time"
}

// lastNamed is how many promotions are looked through for the name of a release:
// one that was made by none of these has long been collected.
const lastNamed = 256

// nameOf finds the recorded release that all links point into.
func nameOf(look *phases.Look, plan *phases.Plan, history machine.History) string {
	present := 0
	for _, a := range plan.Artifacts {
		if look.Links[a.Link] != "" {
			present++
		}
	}
	// Another rel.toml may ask for other links than the target's own record has.
	recorded := ""
	if look.Live != "" {
		recorded = fmt.Sprintf("%s (%s)", shortOr(look.LiveCommit, "an adopted release"), look.Live)
	}
	stands := recorded != "" && asRecorded(look, plan)
	if present == 0 && !stands {
		return "no release"
	}
	if recorded != "" && maps.Equal(look.Links, look.Recorded) {
		return recorded
	}
	// The newest that fits: promotions of one commit share a release. A journal that
	// cannot be read has no names.
	ids, _ := history.Last(lastNamed)
	for _, id := range slices.Backward(ids) {
		past, err := history.Find(id)
		if err != nil || past == nil {
			continue
		}
		if r := past.Release(); r != nil && look.Runs(r) {
			return fmt.Sprintf("%s (%s)", shortOr(r.Commit, "an adopted release"), id)
		}
	}
	if stands {
		return recorded
	}
	var parts []string
	for _, a := range plan.Artifacts {
		parts = append(parts, fmt.Sprintf("%s -> %s", a.Link, orNothing(look.Links[a.Link])))
	}
	if recorded != "" {
		parts = append(parts, "though its own record has "+recorded)
	}
	return "no release that the journal knows: " + strings.Join(parts, ", ")
}

// asRecorded reports whether those links that are asked for and that the target's own
// record has lead where it says.
func asRecorded(look *phases.Look, plan *phases.Plan) bool {
	for _, a := range plan.Artifacts {
		if want, has := look.Recorded[a.Link]; has && look.Links[a.Link] != want {
			return false
		}
	}
	return true
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// succeed says what came of a promotion: the result, on stdout.
func (h *house) succeed(p *phases.Promotion) { h.result(p.ID, &p.Plan, &p.Facts) }

func (h *house) result(id string, plan *phases.Plan, facts *phases.Facts) {
	h.settle()
	if h.globals.Progress == "json" {
		return // the last event says it
	}
	state, subject := "healthy", plan.Subject
	switch {
	case plan.Adopt:
		state = "adopted"
	case facts.Apply != nil && facts.Apply.Nothing():
		state = "already live and healthy"
	}
	fmt.Fprintf(h.std.out, "%s %s on %s: %s\n", id, state, strings.Join(targetNames(plan), ", "), oneLine(subject))
}
