package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// house is one run of rel: the rooms, put together as a command needs them.
type house struct {
	globals *globals
	// given is what this run was started with.
	given   given
	std     stdio
	version string

	config  *config.File
	journal *journal.Journal
	printer show.Printer
	// said is what the printer writes to.
	said  *outlet
	hosts []*host
	// changes says that the command is one that changes targets.
	changes bool
	// claimed names the promotion that the app is claimed for; release ends
	// the claim.
	claimed func(promotion string)
	release func()
	outputs *outputs
	// hold is the right to change the targets, while there is one.
	hold atomic.Pointer[phases.Hold]
	// beats wait for the heartbeats of holds that were let go.
	beats []func()
	// work is the promotion at work, for the words that end a failure.
	work *phases.Promotion
	// left names the promotion that this run has recorded, and failed in.
	left string
	desk desk
	// deaf ends the heed that is paid to signals; nil as long as none is.
	deaf func()
	// agreed is the commit that the operator has said yes to.
	agreed string
}

// open reads the configuration and finds the journal.
func (h *house) open() error {
	c, err := config.Read(h.globals.Config)
	if err != nil {
		return err
	}
	h.config = c
	return h.openJournal()
}

// openJournal needs the configuration only for the app's name.
func (h *house) openJournal() error {
	path := h.globals.Journal
	if path == "" {
		if h.config == nil {
			c, err := config.Read(h.globals.Config)
			if err != nil {
				return err
			}
			h.config = c
		}
		state := os.Getenv("XDG_STATE_HOME")
		if !filepath.IsAbs(state) {
			home, err := os.UserHomeDir()
			if err != nil {
				return err
			}
			state = filepath.Join(home, ".local", "state")
		}
		path = filepath.Join(state, "rel", h.config.App, "journal.db")
	}
	h.journal = journal.New(path)
	h.journal.Operator.Name = operatorName()
	return nil
}

// claim takes the app for this run, and leaves it when the house is closed.
func (h *house) claim() error {
	name, release, err := h.journal.Acquire()
	if err != nil {
		return err
	}
	h.claimed, h.release = name, release
	return h.journal.Room()
}

// begin readies the house for a command that goes by the journal: it claims the
// app, and reads what happened.
func (h *house) begin(ctx context.Context, w waits) (machine.History, error) {
	if err := h.openJournal(); err != nil {
		return machine.History{}, err
	}
	if err := h.claimPatiently(ctx, w); err != nil {
		return machine.History{}, err
	}
	history, err := h.history()
	if err != nil {
		return machine.History{}, err
	}
	return history, h.openPrinter()
}

// operatorName is user@host; under sudo, of who called it.
func operatorName() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	host, _ := os.Hostname()
	return strings.Join(strings.Fields(remote.Clean(name+"@"+host)), " ")
}

// history reads what happened, as far back as matters.
func (h *house) history() (machine.History, error) {
	return machine.Recall(h.journal)
}

// dialer opens connections as the operator's ssh would.
func (h *house) dialer() *remote.Dialer {
	return &remote.Dialer{ConfigFile: h.globals.SSHConfig, Ask: h.asker(), Tell: h.insist}
}

// insist tells also who wants to be told nothing: whose key is new, that one is to be
// touched, or what a question is about.
func (h *house) insist(text string) {
	if _, quiet := h.printer.(quietPrinter); quiet {
		fmt.Fprintln(h.std.err, text)
		return
	}
	h.tell(text)
}

// tell shows the operator what is not recorded; where there is no printer yet, as it is.
func (h *house) tell(text string) {
	if h.printer != nil {
		h.printer.Say(text)
		return
	}
	fmt.Fprintln(h.std.err, text)
}

// close ends what is open. Nothing of a promotion is lost by it.
func (h *house) close() {
	h.forgetSignals()
	h.restoreTerminal()
	h.closePrinter()
	for _, host := range h.hosts {
		host.Close()
	}
	for _, wait := range h.beats {
		wait()
	}
	h.unclaim()
}

// unclaim leaves the app to the next run.
func (h *house) unclaim() {
	if h.release != nil {
		h.release()
		h.release = nil
	}
}

// reach connects to the plan's hosts, all at once, and hands them to the
// promotion. A rollback reaches for the build host only when it needs it.
func (h *house) reach(ctx context.Context, p *phases.Promotion, kind machine.Kind) error {
	dialer := h.dialer()
	build := h.host(dialer, p.Plan.Build)
	p.Build, p.Targets = build, nil
	var now []*host
	if kind == machine.Forward {
		now = append(now, build)
	}
	for _, site := range p.Plan.Targets {
		target := h.host(dialer, h.today(site))
		p.Targets, now = append(p.Targets, target), append(now, target)
	}
	err := connectAll(ctx, now)
	for _, host := range now {
		if key := host.key(); key != "" {
			h.journal.Operator.Key = key
		}
	}
	p.Operator, p.Key = h.journal.Operator.Name, h.journal.Operator.Key
	return err
}

// today is a recorded host with the way to root that rel.toml has for it now. It may
// have been hardened since, and that must not keep anybody from going back.
func (h *house) today(site phases.Site) phases.Site {
	c, err := config.Read(h.globals.Config)
	if err != nil {
		return site
	}
	for i := range c.Target {
		if t := &c.Target[i]; t.Host == site.Host {
			site.Become, site.BecomeCommand, site.BecomePassword = c.RootOf(t)
		}
	}
	return site
}

// reached are the promotion's targets that could be connected to.
func (h *house) reached(p *phases.Promotion) (targets []phases.Host) {
	for _, target := range p.Targets {
		if target.(*host).connected() {
			targets = append(targets, target)
		}
	}
	return targets
}

// reachedAny reports whether any host could be connected to.
func (h *house) reachedAny() bool { return slices.ContainsFunc(h.hosts, (*host).connected) }
