package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// errInterrupted is the cause of a context that the operator ended.
var errInterrupted = errors.New("interrupted by the operator")

// interruptible ends the returned context at the first Ctrl-C, SIGTERM or
// SIGHUP, which the machine takes as: stop at the next safe point. The second
// leaves at once; what runs on the hosts goes on, and resume finds it.
func (h *house) interruptible(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-done:
				return
			case <-signals:
			}
			if !first {
				if h.printer != nil {
					h.printer.close()
				}
				h.restoreTerminal()
				fmt.Fprintln(h.std.err, "rel: left at once; what runs on the hosts goes on")
				if h.work != nil && h.work.ID != "" {
					fmt.Fprintf(h.std.err, "next:    rel resume %s\n", h.work.ID)
				}
				os.Exit(exitInterrupted)
			}
			h.tell(h.stopText())
			cancel(errInterrupted)
		}
	}()
	var once sync.Once
	return ctx, func() {
		once.Do(func() {
			signal.Stop(signals)
			close(done)
			cancel(nil)
		})
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
