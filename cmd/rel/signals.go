package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"choir.chat/rel/cmd/rel/show"
)

// errInterrupted is the cause of a context that the operator ended.
var errInterrupted = errors.New("interrupted by the operator")

// stopTold is how often who waits for the end is told what is waited for. It is a variable
// for tests.
var stopTold = time.Minute

// interruptible ends the returned context at the first Ctrl-C, SIGTERM or
// SIGHUP, which the machine takes as: stop at the next safe point. The second
// leaves at once; what runs on the hosts goes on, and resume finds it. So does any that
// comes after the returned function was called: the last look takes a while, and who ends
// that is told how to go on.
//
// A SIGHUP is never the second: when a terminal is closed both the shell there and the
// kernel send one. Under nohup there is none.
func (h *house) interruptible(ctx context.Context) (context.Context, func()) {
	h.forgetSignals()
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	done, told := make(chan struct{}), stopTold
	var over atomic.Bool
	go func() {
		var again <-chan time.Time
		for first := true; ; {
			select {
			case <-done:
				return
			case <-again:
				if !over.Load() {
					h.tell(h.stopText())
				}
			case <-continued:
				h.continued()
			case s := <-signals:
				switch {
				case first && !over.Load():
					// Whoever reads what is told may stand still.
					text := h.stopText()
					cancel(errInterrupted)
					h.tell(text)
					first = false
					tick := time.NewTicker(told)
					defer tick.Stop()
					again = tick.C
				case first || s != syscall.SIGHUP:
					h.leave()
				}
			}
		}
	}()
	h.deaf = sync.OnceFunc(func() {
		signal.Stop(signals)
		signal.Stop(continued)
		close(done)
	})
	return ctx, func() {
		over.Store(true)
		cancel(nil)
	}
}

// forgetSignals has signals do again what they do to any process.
func (h *house) forgetSignals() {
	if h.deaf != nil {
		h.deaf()
	}
}

// leave ends the process at once.
func (h *house) leave() {
	h.restoreTerminal()
	h.closePrinter()
	fmt.Fprintln(h.std.err, "rel: left at once; what runs on the hosts goes on")
	if h.work != nil && h.work.ID != "" {
		fmt.Fprintf(h.std.err, "targets: %s\n", h.advice().placed("not asked: rel status{here} says what they run"))
		fmt.Fprintf(h.std.err, "next:    %s\n", h.advice().placed("rel resume "+h.work.ID+"{here}"))
	}
	os.Exit(exitInterrupted)
}

// continued takes the terminal back after Ctrl-Z and fg.
func (h *house) continued() {
	h.retakeTerminal()
	if tty, ok := h.printer.(*show.TTY); ok {
		tty.Continued()
	}
}

// stopText says where an interrupt stops the promotion.
func (h *house) stopText() string {
	phase, atWork := "", false
	if h.outputs != nil {
		phase, atWork = h.outputs.current()
	}
	switch {
	case phase == "" && h.hold.Load() != nil:
		return "stopping; what it has begun on a target is finished first (again: leave at once)"
	case phase == "":
		return "stopping; nothing has begun"
	case !atWork:
		return "stopping after " + phase
	case phase == "apply":
		return "stopping once the apply is finished, which is not cut, and before health (again: leave at once)"
	}
	return "stopping in " + phase + "; what it has begun on a target is finished (again: leave at once)"
}
