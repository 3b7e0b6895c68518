package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

type doctorCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// examineTimeout bounds the questions to a host that was reached. The longest are
// those that it asks others: its origin, its caches.
const examineTimeout = time.Minute

// Run looks whether a promotion would find all that it needs, and shows everything
// that it would not. It changes nothing, here or on any host.
func (c *doctorCmd) Run(ctx context.Context, h *house) error {
	ctx, stop := h.interruptible(ctx)
	defer stop()
	operator := &findings{advice: h.advice()}
	groups := []*findings{operator}
	plan, known := h.inspectOperator(ctx, operator)
	if known {
		groups = append(groups, h.inspectHosts(ctx, &plan, operator)...)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c.JSON {
		if err := writeFindingsJSON(github.ForJSON(h.std.out), groups); err != nil {
			return err
		}
	} else {
		file, ok := h.std.out.(*os.File)
		paint := h.paint(ok && term.IsTerminal(int(file.Fd())))
		if err := atOnce(h.std.out, func(out io.Writer) { writeFindings(out, paint, groups) }); err != nil {
			return err
		}
	}
	if code := exitOf(groups); code != exitOK {
		return &exitError{code}
	}
	return nil
}

// inspectHosts asks all hosts at once, and then judges what they answered.
func (h *house) inspectHosts(ctx context.Context, plan *phases.Plan, operator *findings) []*findings {
	dialer := h.dialer()
	dialer.ReadOnly = true
	build := &examined{host: h.host(dialer, plan.Build), advice: operator.advice, site: plan.Build, builds: true, dialled: make(chan struct{})}
	all := []*examined{build}
	for _, site := range plan.Targets {
		all = append(all, &examined{host: h.host(dialer, site), advice: operator.advice, site: site, dialled: make(chan struct{})})
	}
	// A journal that cannot be read has been complained of.
	head, unread := h.journal.Head()
	var wait sync.WaitGroup
	for _, p := range all {
		wait.Go(func() { p.examine(ctx, plan) })
		if p.builds {
			continue
		}
		wait.Go(func() { p.lookFrom(ctx, build) })
		if unread == nil {
			wait.Go(func() { p.compareLedger(ctx, h, plan.App, head) })
		}
	}
	wait.Wait()
	history, _ := h.history()
	var groups []*findings
	for _, p := range all {
		groups = append(groups, p.judge(plan, history, largest(all)))
	}
	judgeOwnChecks(operator, plan, askOwnChecks(ctx, plan, all[1:]))
	judgeClock(operator, all, history, time.Now())
	return groups
}

// examined is a host, and what could be learnt of it.
type examined struct {
	*host
	advice advice
	site   phases.Site
	builds bool
	// dialled is closed once it was connected to, or was not: then reached says why.
	dialled chan struct{}
	reached error
	login   login

	inspection *phases.Inspection
	inspected  error
	look       *phases.Look
	looked     error
	traces     *phases.Traces
	traced     error
	checks     []probed
	view       *view
	// ledger is what the target's record says of the journal; empty, if it was not
	// asked.
	ledger   string
	compared error
}

// login is how the operator got in.
type login struct{ user, address, key, hostKey string }

// examine asks the host everything that is to be known of it.
func (p *examined) examine(ctx context.Context, plan *phases.Plan) {
	open, err := p.connect(ctx)
	var sudo *remote.SudoError
	if errors.As(err, &sudo) {
		err = nil // what needs root says so; the rest can be asked all the same
	}
	if p.reached = err; err == nil {
		p.login = login{open.User(), open.Address(), open.Key(), open.HostKey()}
	}
	close(p.dialled)
	if err != nil {
		return
	}
	ctx, cancel := p.patiently(ctx)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() { p.inspection, p.inspected = phases.Inspect(ctx, p, plan, p.site, p.builds) })
	if !p.builds {
		wait.Go(func() { p.traces, p.traced = phases.FindTraces(ctx, p, plan) })
		wait.Go(func() {
			if p.look, p.looked = phases.LookAt(ctx, p, nil, plan, ""); p.looked == nil {
				p.checks = askChecks(ctx, plan, p, "target", p.look)
			}
		})
	}
	wait.Wait()
}

// patiently bounds what the host is asked; it was reached, and falls silent.
func (p *examined) patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	silent := &remote.LostError{Host: p.name, Err: fmt.Errorf("no answer within %s", examineTimeout)}
	return context.WithTimeoutCause(ctx, examineTimeout, silent)
}

// compareLedger sets the journal against the target's own record.
func (p *examined) compareLedger(ctx context.Context, h *house, app string, head journal.Head) {
	<-p.dialled
	if p.reached != nil {
		return
	}
	ctx, cancel := p.patiently(ctx)
	defer cancel()
	p.ledger, p.compared = h.compare(ctx, p.host, app, head)
}

// largest is the size of the largest release that is live on any target.
func largest(all []*examined) (bytes int64) {
	for _, p := range all {
		if p.traces != nil {
			bytes = max(bytes, p.traces.Bytes)
		}
	}
	return bytes
}

// judge is what there is to be said of the host.
func (p *examined) judge(plan *phases.Plan, history machine.History, release int64) *findings {
	f := &findings{host: p.name, advice: p.rooted()}
	if p.reached != nil {
		f.failed("reached", p.reached)
		return f
	}
	judgeLogin(f, p.login)
	if p.inspected != nil {
		f.failed("login", p.inspected)
	} else {
		p.judgeInspection(f, plan, release)
	}
	if p.builds {
		return f
	}
	if p.looked != nil {
		f.failed("root", p.looked)
	} else {
		p.judgeLook(f, plan, history, release)
		judgeChecks(f, p.checks)
	}
	switch {
	case p.looked != nil || !p.look.Root: // the same would be said twice
	case p.traced != nil:
		f.failed("leftovers", p.traced)
	default:
		p.judgeTraces(f, plan, history)
	}
	switch {
	case p.looked != nil || !p.look.Root:
	case p.compared != nil:
		f.failed("ledger", p.compared)
	case p.ledger != "":
		f.ok("ledger", "%s", p.ledger)
	}
	if p.view != nil {
		judgeView(f, p.view, p.login, plan.Via)
	}
	return f
}
