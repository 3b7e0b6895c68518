package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
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

type statusCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// statusJSON is the document that `rel status --json` prints.
type statusJSON struct {
	Schema  int            `json:"schema"`
	Targets []targetStatus `json:"targets"`
}

// targetStatus is what one target runs, against its own record and the journal.
type targetStatus struct {
	Host string `json:"host"`
	// Live is the promotion that the target holds for live and confirmed, since
	// when and by whom; Journal the one that this journal does.
	Live    string     `json:"live,omitempty"`
	Commit  string     `json:"sha,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	By      string     `json:"by,omitempty"`
	Journal string     `json:"journal,omitempty"`
	// Pending is a promotion that waits for its confirmation; Unguarded says
	// that it does not go back by itself.
	Pending   string `json:"pending,omitempty"`
	Unguarded bool   `json:"unguarded,omitempty"`
	// Applied says that the pending one is what the links lead to, and Until when it goes
	// back, unless it is confirmed.
	Applied bool       `json:"applied,omitempty"`
	Until   *time.Time `json:"until,omitempty"`
	// Hold is who may change the target at this moment, or died a moment ago.
	Hold  *phases.Holder    `json:"hold,omitempty"`
	Links map[string]string `json:"links,omitempty"`
	Units map[string]string `json:"units,omitempty"`
	// Executables are what the units' main processes run.
	Executables map[string]string `json:"executables,omitempty"`
	// Back are the releases that a rollback could go to, the nearest first.
	Back []phases.Recorded `json:"back,omitempty"`
	// Notes are worth knowing; Drift says in which ways the target is not as its
	// record or the journal has it.
	Notes []string `json:"notes,omitempty"`
	Drift []string `json:"drift,omitempty"`
	// straight is what to type, where the target is not as its own record has it.
	straight string
	// Error is why the target could not be asked, and fault the error itself.
	Error string `json:"error,omitempty"`
	fault error
}

// Run asks every target what it runs.
func (c *statusCmd) Run(ctx context.Context, h *house) error {
	if err := h.open(); err != nil {
		return err
	}
	history, err := h.history()
	if err != nil {
		return err
	}
	plan, err := h.config.Plan()
	if err != nil {
		return err
	}
	ctx, stop := h.interruptible(ctx)
	defer stop()
	dialer := h.dialer()
	list := make([]targetStatus, len(plan.Targets))
	failures := make([]error, len(plan.Targets))
	var wait sync.WaitGroup
	for i, site := range plan.Targets {
		target := h.host(dialer, site)
		wait.Go(func() { list[i], failures[i] = statusOf(ctx, target, &plan, history) })
	}
	wait.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := c.print(h, list, history); err != nil {
		return err
	}
	return verdict(list, failures)
}

// verdict is how status ends: drift and hosts that cannot be asked are no
// success, so that a monitor may run it.
func verdict(list []targetStatus, failures []error) error {
	for _, err := range failures {
		if err != nil {
			return &exitError{explain(err).code}
		}
	}
	for _, s := range list {
		if len(s.Drift) > 0 {
			return &exitError{exitRefused}
		}
	}
	return nil
}

func statusOf(ctx context.Context, target *host, plan *phases.Plan, history machine.History) (s targetStatus, err error) {
	s.Host = target.name
	defer func() {
		if err != nil {
			s.Error, s.fault = remote.Clean(explain(err).what), err
		}
	}()
	// Reaching the host has deadlines of its own: a passphrase may be asked for.
	if _, err := target.connect(ctx); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 4*lookTimeout,
		&remote.LostError{Host: target.name, Err: fmt.Errorf("no answer within %s", 4*lookTimeout)})
	defer cancel()
	look, err := phases.LookAt(ctx, target, nil, plan, "")
	if err != nil {
		return s, err
	}
	ledger, err := phases.ReadLedger(ctx, target, nil, plan.App)
	if err != nil {
		return s, err
	}
	s.Live, s.Commit, s.By, s.Links = look.Live, look.LiveCommit, look.By, look.Links
	s.Pending, s.Unguarded, s.Hold, s.Executables = look.Pending, look.Unguarded, look.Hold, look.Exes
	if !look.Since.IsZero() {
		s.Since = &look.Since
	}
	s.Units = map[string]string{}
	for name, unit := range look.Units {
		s.Units[name] = unit["ActiveState"]
	}
	s.Back = ledger.Candidates()
	for _, id := range slices.Sorted(maps.Keys(look.Returned)) {
		s.Notes = append(s.Notes, id+" went back: "+look.Returned[id])
	}
	s.await(ctx, target, plan, look)
	if s.Drift = drift(look, plan, s.Applied); len(s.Drift) > 0 && !s.Applied {
		s.straight = straighten(look)
	}
	s.compare(history)
	return s, nil
}

// await learns how the release is that waits to be confirmed, if one does: only its own
// promotion is told when it goes back.
func (s *targetStatus) await(ctx context.Context, target phases.Host, plan *phases.Plan, look *phases.Look) {
	if look.Unguarded || !promotionID.MatchString(look.Pending) {
		return
	}
	own, err := phases.LookAt(ctx, target, nil, plan, look.Pending)
	if err != nil || own.Outcome == nil || own.Outcome.Result != "applied" || own.Reverted != "" || own.Pending != look.Pending {
		return
	}
	s.Applied = true
	if own.Left > 0 {
		until := time.Now().Add(own.Left).Truncate(time.Second)
		s.Until = &until
	}
}

// drift names the ways in which a target is not as its own record has it. Where a release
// is applied that waits, the links are its own, but for those that no release would have so.
func drift(look *phases.Look, plan *phases.Plan, applied bool) []string {
	var ways []string
	for _, link := range slices.Sorted(maps.Keys(look.Recorded)) {
		if applied && !slices.Contains(look.ByHand, link) {
			continue
		}
		if at := look.Links[link]; at != look.Recorded[link] {
			ways = append(ways, fmt.Sprintf("%s points at %s, not at %s", link, orNothing(at), look.Recorded[link]))
		}
	}
	if look.Live == "" {
		return ways // the units of nothing that rel did are not its business
	}
	for _, unit := range plan.Restart {
		if u := look.Units[unit]; !u.Up() {
			ways = append(ways, fmt.Sprintf("unit %s is %s", unit, orNothing(u["ActiveState"])))
		}
		if exe := look.Stale[unit]; exe != "" {
			ways = append(ways, fmt.Sprintf("unit %s runs %s, which is of another release", unit, exe))
		}
	}
	return ways
}

// straighten is what makes a target as its own record has it: with the live commit named,
// since without it the tip of the branch would go live instead.
func straighten(look *phases.Look) string {
	words := "rel start --force"
	if commitName.MatchString(look.LiveCommit) {
		words += " --sha " + phases.Short(look.LiveCommit)
	}
	if len(look.ByHand) > 0 {
		words += " --accept-drift"
	}
	return words + "{here}"
}

// compare sets the target against the journal of this operator, who need not be
// the only one.
func (s *targetStatus) compare(history machine.History) {
	live := history.Live()
	if live == nil {
		return
	}
	s.Journal = live.ID
	known, err := history.Find(s.Live)
	switch {
	case s.Live == live.ID:
	case s.Live > live.ID && known == nil && err == nil:
		s.Notes = append(s.Notes, fmt.Sprintf("promoted from elsewhere: this journal has %s for live", live.ID))
	default:
		s.Drift = append(s.Drift, fmt.Sprintf("it has %s for live, the journal %s", orNothing(s.Live), live.ID))
	}
}

func (c *statusCmd) print(h *house, list []targetStatus, history machine.History) error {
	if c.JSON {
		encoder := json.NewEncoder(github.ForJSON(h.std.out))
		encoder.SetIndent("", "  ")
		return encoder.Encode(statusJSON{jsonSchema, list})
	}
	return atOnce(h.std.out, func(out io.Writer) {
		for i := range list {
			list[i].print(out, history, h.advice())
		}
	})
}

func (s *targetStatus) print(out io.Writer, history machine.History, a advice) {
	line := func(format string, args ...any) {
		fmt.Fprintf(out, "    %s\n", a.placed(show.Flat(fmt.Sprintf(format, args...))))
	}
	if s.Error != "" {
		fmt.Fprintf(out, "%s\n", show.Flat(s.Error))
		if cure := a.explain(s.fault).cure; cure != "" {
			line("next: %s", remote.Clean(cure))
		}
		return
	}
	runs, commit, subject := s.Live, s.Commit, ""
	if s.Applied {
		runs, commit = s.Pending, s.Pending[strings.LastIndex(s.Pending, "-")+1:]
	}
	if past, _ := history.Find(runs); past != nil {
		subject = "  " + past.Start.Plan.Subject
	}
	fmt.Fprintln(out, show.Flat(fmt.Sprintf("%s  %s  %s%s", s.Host, orNothing(runs), shortOr(commit, "no commit"), subject)))
	since := ""
	if s.Since != nil {
		since = fmt.Sprintf("since %s, by %s", zoned(*s.Since), s.By)
	}
	switch {
	case s.Applied:
		line("applied, and waits to be confirmed%s: rel resume %s{here}", s.until(), s.Pending)
		line("confirmed before it: %s  %s  %s", orNothing(s.Live), shortOr(s.Commit, "no commit"), since)
	case since != "":
		line("%s", since)
	}
	for _, link := range slices.Sorted(maps.Keys(s.Links)) {
		line("%s -> %s", link, s.Links[link])
	}
	for _, unit := range slices.Sorted(maps.Keys(s.Units)) {
		line("%s %s  %s", unit, orNothing(s.Units[unit]), s.Executables[unit])
	}
	for _, r := range s.Back[:min(len(s.Back), backShown)] {
		state := "usable"
		if !r.Usable {
			state = "no longer in the store"
		}
		line("way back: %s  %s  %s", r.ID, shortOr(r.Commit, "no commit"), state)
	}
	for _, note := range append(s.Notes, s.waiting()...) {
		line("note: %s", note)
	}
	for _, way := range s.Drift {
		line("drift: %s", way)
	}
	if s.straight != "" {
		line("next: %s, which makes it as its record has it", s.straight)
	}
}

// backShown is how many ways back are shown; all of them are in the JSON.
const backShown = 5

// until says when what waits goes back.
func (s *targetStatus) until() string {
	if s.Until == nil {
		return ""
	}
	return fmt.Sprintf(" until %s (%s more), or goes back by itself", s.Until.Local().Format(time.TimeOnly), time.Until(*s.Until).Round(time.Second))
}

func (s *targetStatus) waiting() (notes []string) {
	if s.Hold.Alive() {
		notes = append(notes, "held by "+s.Hold.String())
	}
	switch {
	case s.Pending == "", s.Applied:
	case s.Unguarded:
		notes = append(notes, s.Pending+" is not confirmed, and nothing takes it back by itself: rel resume "+bare(s.Pending)+"{here}")
	default:
		notes = append(notes, s.Pending+" is not confirmed; it goes back by itself if it is not in time")
	}
	return notes
}
