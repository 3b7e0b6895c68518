// Package phases is what each step of a promotion does to the hosts. It is the
// only package that says git, nix, ln, systemctl or curl's job.
//
// A [Phase] is a row of a table: its name, the state that is true once it is
// done, and the func that does it. [Forward] is the table of a promotion,
// [Back] that of a rollback, [Adopting] that of taking over what is there. What a promotion was started with is its [Plan],
// what its phases found and made are its [Facts]; a phase reads both, writes
// only facts, and reports through [Promotion.Note] and the hosts' output.
//
// Every phase may be cut at any instant and run again: it looks before it
// acts, and what it finds done it leaves.
//
// The scripts that run on hosts are the POSIX sh files beside the phases that
// own them. They get their data from the environment and standard input, never
// spliced into code, and answer in key=value lines.
package phases

import (
	"context"
	"time"
)

// Phase is one step of a promotion.
type Phase struct {
	// Name is what the phase does, and the event that moves the state machine.
	Name string
	// State is what is true once the phase is done. States are on disk: their
	// spelling never changes.
	State string
	// Run makes State true, or returns why it could not.
	Run func(context.Context, *Promotion) error
	// Holds looks at the hosts and says why State is no longer true although
	// Run once made it so; empty, if it still is. Nil means that nothing can
	// take State away again.
	Holds func(context.Context, *Promotion) (lost string, err error)
	// Uncut phases are finished, not stopped, when the operator interrupts:
	// a target must not be left between two releases.
	Uncut bool
	// Deadline bounds one attempt at the phase, and Silence how long no host may be
	// heard of meanwhile; zero, where each question has a deadline of its own.
	Deadline, Silence time.Duration
}

// copySilence is how long a copy may be silent: one path may take a while to be hashed.
const copySilence = 10 * time.Minute

// Forward takes a new commit live.
var Forward = []Phase{
	{Name: "sync", State: "synced", Run: Sync, Deadline: 10 * time.Minute, Silence: 5 * time.Minute},
	{Name: "verify", State: "verified", Run: Verify, Deadline: 5 * time.Minute, Silence: 2 * time.Minute},
	{Name: "build", State: "built", Run: Build, Holds: built, Deadline: 3 * time.Hour, Silence: time.Hour},
	{Name: "copy", State: "copied", Run: Copy, Holds: copied, Deadline: 3 * time.Hour, Silence: copySilence},
	{Name: "apply", State: "applied", Run: Apply, Holds: applied, Uncut: true, Deadline: 30 * time.Minute},
	{Name: "health", State: "healthy", Run: Health, Deadline: 30 * time.Minute},
}

// Back makes a recorded release live again. It needs neither the origin nor,
// unless the release was collected on a target, the build host.
var Back = []Phase{
	{Name: "verify", State: "verified", Run: VerifyTargets, Deadline: 5 * time.Minute, Silence: 2 * time.Minute},
	{Name: "copy", State: "copied", Run: Copy, Holds: copied, Deadline: 3 * time.Hour, Silence: copySilence},
	{Name: "apply", State: "applied", Run: Apply, Holds: applied, Uncut: true, Deadline: 30 * time.Minute},
	{Name: "health", State: "healthy", Run: Health, Deadline: 30 * time.Minute},
}

// Adopting records what the targets run already.
var Adopting = []Phase{
	{Name: "adopt", State: "healthy", Run: Adopt, Deadline: 10 * time.Minute},
}

// Promotion is what the phases work on.
type Promotion struct {
	ID   string
	Plan Plan
	// Operator is who acts, and Key the fingerprint of their SSH key, for the
	// targets' records.
	Operator, Key string
	// Anchor is where the operator's journal is now; nil without one.
	Anchor func() Anchor
	// Hold is the right to change the targets.
	Hold  *Hold
	Facts Facts
	// Build is the build host; nil in a rollback that does not need it.
	Build Host
	// Targets are in the plan's order.
	Targets []Host
	// Attempt numbers the run of the current phase, from 1.
	Attempt int
	// Note records something a phase found or did on a host, for people.
	Note func(host, text string)
	// Line takes a line that a host printed.
	Line func(host, line string)
	// Tick is told how far things are that take a while; nil, if nobody looks on.
	Tick func(host string, t Tick)
	// Pulse is told whenever a host is heard of.
	Pulse *Pulse
	// Recall is the release of a promotion that the operator's journal knows, nil of any other;
	// nil without a journal.
	Recall func(promotion string) *Release
	// Seen is what the hosts have answered this run of late; nil to ask each time.
	Seen *Seen
	// ahead sends what is built while the rest is; nil, if nothing is built.
	ahead *ahead
	// early dials what a release is confirmed over while it is applied; nil before.
	early *early
}

// Drop ends what a phase has left under way for the next one. It is for who does not go on
// to that.
func (p *Promotion) Drop() {
	p.ahead.drop()
	p.early.take().drop()
	p.ahead, p.early = nil, nil
}

// site is the plan's entry for target i.
func (p *Promotion) site(i int) Site { return p.Plan.Targets[i] }
