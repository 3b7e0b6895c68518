package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// inspectOperator looks at the operator's own machine, and returns the plan that
// rel.toml makes, if it makes one.
func (h *house) inspectOperator(ctx context.Context, f *findings) (plan phases.Plan, known bool) {
	if version, err := remote.Client(ctx); err != nil {
		f.warn("ssh", "install OpenSSH's client", "there is no ssh that works here (%v): ssh -G tells what the SSH configuration says", err)
	} else {
		f.ok("ssh", "%s", version)
	}
	socket, keys, err := remote.AgentKeys()
	judgeAgent(f, socket, keys, err)

	err = h.open()
	if err == nil {
		plan, err = h.config.Plan()
	}
	if err != nil {
		for _, one := range parted(err) {
			f.explained("rel.toml", f.withEditor(one))
		}
	} else {
		f.ok("rel.toml", "%s: %s, on %s and %s", h.config.Path(), plan.App, plan.Build.Host, phases.CountText(len(plan.Targets), "target"))
	}
	if h.journal != nil {
		inspectJournal(f, h.journal)
	}
	return plan, err == nil
}

// withEditor opens the file where something is wrong with it.
func (a advice) withEditor(err error) explanation {
	e := a.explain(err)
	var c *config.Error
	if errors.As(err, &c) && e.cure == "" {
		switch e.cure = "${EDITOR:-vi} " + quoted(c.Path); {
		case c.None:
			e.cure = a.placed("rel init{here}")
		case c.Line > 0:
			e.cure = fmt.Sprintf("${EDITOR:-vi} +%d %s", c.Line, quoted(c.Path))
		}
	}
	return e
}

// parted are the errors that were joined into one.
func parted(err error) []error {
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		return several.Unwrap()
	}
	return []error{err}
}

func judgeAgent(f *findings, socket string, keys int, err error) {
	switch {
	case socket == "":
		f.ok("agent", "there is none (SSH_AUTH_SOCK is not set): keys come from files")
	case err != nil:
		f.warn("agent", `eval "$(ssh-agent)" && ssh-add`, "nobody answers at %s, which SSH_AUTH_SOCK names: %v", socket, err)
	case keys == 0:
		f.warn("agent", "ssh-add", "it holds no keys")
	default:
		f.ok("agent", "it holds %s", phases.CountText(keys, "key"))
	}
}

// inspectJournal looks at the journal, and takes no part in it.
func inspectJournal(f *findings, j *journal.Journal) {
	dir, network, err := j.Place()
	switch {
	case err != nil:
		f.fail("journal", "ls -ld "+dir, "%v", err)
	case network != "":
		f.warn("journal", "--journal, or REL_JOURNAL, on a disk of this machine",
			"%s is on %s, where a lock may not be one, and a mapped file not what the others see", dir, network)
	}
	if err := j.Room(); err != nil {
		f.failed("journal", err)
	}
	head, err := j.Verify()
	switch {
	case err != nil:
		f.failed("journal", err)
	case f.has("journal"):
	case head.Seq == 0:
		f.ok("journal", "there is none yet: nothing was promoted from here (%s)", j.Path())
	default:
		f.ok("journal", "%s, all sound: %s", phases.CountText(int(head.Seq), "record"), j.Path())
	}
	var claimed *journal.ClaimedError
	if err := j.Claimed(); errors.As(err, &claimed) {
		f.warn("claim", "rel watch{here}, to wait for it", "%v", claimed)
	} else if err != nil {
		f.failed("claim", err)
	} else {
		f.ok("claim", "no other rel is at work here")
	}
}

// maxSkew is how much two clocks may differ before it is worth a word. Nothing that
// rel decides depends on it; but people compare the times in logs.
const maxSkew = 5 * time.Second

// skewed is by how much a host's clock is surely ahead, or behind; zero, if it may be
// right.
func skewed(i *phases.Inspection) time.Duration {
	if least := i.Skew.Abs() - i.Doubt; least > maxSkew {
		return i.Skew
	}
	return 0
}

// judgeClock compares the operator's clock with those of all hosts: where all differ
// in the same way, it is the operator's that is wrong.
func judgeClock(f *findings, all []*examined, history machine.History, now time.Time) {
	ahead, behind, asked := 0, 0, 0
	for _, p := range all {
		if p.inspection == nil {
			continue
		}
		asked++
		switch by := skewed(p.inspection); {
		case by > 0:
			ahead++
		case by < 0:
			behind++
		}
	}
	last := history.Updated()
	cure := "set this machine's clock by the network's"
	switch {
	case last.Sub(now) > maxSkew:
		f.warn("clock", cure, "it is %s, and the journal's last record is of %s", utc(now), utc(last))
	case asked > 1 && (ahead == asked || behind == asked):
		f.warn("clock", cure, "it is %s, and no host's clock agrees", utc(now))
	default:
		f.ok("clock", "it is %s", utc(now))
	}
}

// zoned is a time on the operator's clock, which says so: ids, and what hosts print, are in UTC.
func zoned(t time.Time) string { return t.Local().Format(time.DateTime + " MST") }

func utc(t time.Time) string { return fmt.Sprint(t.UTC().Format(time.DateTime), " UTC") }
