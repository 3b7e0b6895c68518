package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

type watchCmd struct {
	ID string `arg:"" optional:"" help:"Promotion; by default the one that a rel on this machine is at work on."`
}

// watchPoll is how often it is looked whether there is anything new.
const watchPoll = 300 * time.Millisecond

// Run follows a promotion that another rel on this machine is at work on. It reads the
// journal and the files of the hosts' output, and reaches no host: whatever becomes of
// it, the promotion goes on.
func (c *watchCmd) Run(ctx context.Context, h *house) (err error) {
	if err := h.openJournal(); err != nil {
		return err
	}
	w := &watch{house: h, asked: c.ID != ""}
	if w.asked {
		if w.id, err = h.named(c.ID); err != nil {
			return err
		}
	}
	if err := h.openPrinter(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, watchEnds()...)
	defer stop()
	over, err := w.follow(ctx)
	h.closePrinter()
	switch {
	case err != nil:
		return err
	case !over:
		return w.stop()
	}
	return w.end()
}

// watchEnds are the signals that end the watching: under nohup SIGHUP is none.
func watchEnds() []os.Signal {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	return ends
}

// named is the id of the promotion that is called so. One that is at work need not be
// recorded yet.
func (h *house) named(word string) (string, error) {
	if working := h.working(); working != "" && strings.HasPrefix(working, word) {
		return working, nil
	}
	history, err := h.history()
	if err != nil {
		return "", err
	}
	past, err := find(history, word)
	if err != nil {
		return "", err
	}
	return past.ID, nil
}

// watch is somebody who looks on.
type watch struct {
	house *house
	// id is the promotion; empty as long as none is known to be at work. asked says that
	// it was named.
	id    string
	asked bool
	// pid is the rel that is at work on it; zero without one.
	pid int
	// events are those that were shown, and after is the number of the last of the
	// journal that was read.
	events []journal.Event
	after  int64
	tail   tail
	// patient says that it was told what is waited for.
	patient bool
}

// follow shows what happens until nobody is at work on the promotion any more, which it
// reports, or ctx ends.
func (w *watch) follow(ctx context.Context) (over bool, err error) {
	for {
		// In this order: what its owner records before it is gone is seen.
		holder, err := w.holder()
		if err == nil {
			err = w.show()
		}
		// A commit of somebody else's that takes long is waited for.
		var busy *journal.BusyError
		if err != nil && !errors.As(err, &busy) {
			return false, err
		}
		if err == nil && !w.goesOn(holder) {
			return true, nil
		}
		select {
		case <-time.After(watchPoll):
		case <-ctx.Done():
			return false, nil
		}
	}
}

// holder is the rel that is at work here; nil without one.
func (w *watch) holder() (*journal.Claim, error) {
	var claimed *journal.ClaimedError
	err := w.house.journal.Claimed()
	if !errors.As(err, &claimed) {
		return nil, err
	}
	if w.id == claimed.Holder.Promotion {
		w.pid = claimed.Holder.PID
	}
	return &claimed.Holder, nil
}

// goesOn reports whether there is more to come. Who has named no promotion is shown all
// of one rel: a start may adopt before it promotes.
func (w *watch) goesOn(holder *journal.Claim) bool {
	switch {
	case holder == nil:
		return false
	case w.id != "" && holder.Promotion == w.id:
		return true
	case w.asked || w.id != "" && holder.PID != w.pid:
		return false
	case holder.Promotion == "":
		if !w.patient {
			w.house.printer.Say(fmt.Sprintf("pid %d, of %s, has no promotion to show yet", holder.PID, holder.Operator))
		}
		w.patient = true
		return true
	}
	w.house.printer.Say(fmt.Sprintf("watching promotion %s, of %s (pid %d)", holder.Promotion, holder.Operator, holder.PID))
	w.id, w.pid, w.events, w.after = holder.Promotion, holder.PID, nil, 0
	return true
}

// show shows what is new: what the hosts have printed, and what was recorded.
func (w *watch) show() error {
	if w.id == "" {
		return nil
	}
	line := w.house.printer.Line
	// First the output: the notes that are in it are recorded by then.
	w.tail.fetch()
	first := len(w.events) == 0
	fresh, err := w.fresh()
	if err != nil {
		return err
	}
	if first && len(fresh) > 0 {
		if past, err := machine.Replay(fresh); err == nil {
			w.house.foretell(past.Start.Kind, machine.New)
		}
	}
	attached := 0
	for i := range fresh {
		w.tail.expect(&fresh[i])
		if fresh[i].Kind == journal.Intent {
			attached = i
		}
	}
	w.tail.print(line)
	for i := range fresh {
		ev := &fresh[i]
		switch {
		case ev.Kind == journal.Note || ev.Kind == journal.Opened || ev.Kind == journal.Resumed:
		case first && i < attached:
			// What was printed before somebody looked is for `rel log --output`.
		case ev.Kind == journal.Intent:
			w.tail.finish(line)
			w.tail.open(w.house.journal.OutputPath(w.id, ev.Phase, ev.Attempt), first)
			for j := range fresh[i:] {
				w.tail.expect(&fresh[i+j])
			}
		default:
			w.tail.fetch()
			w.tail.print(line)
		}
		w.house.printer.Event(*ev)
	}
	w.events = append(w.events, fresh...)
	return nil
}

// fresh are the promotion's events that were not shown yet. Of the journal no more is
// read than those.
func (w *watch) fresh() (fresh []journal.Event, err error) {
	if len(w.events) == 0 {
		if fresh, err = w.house.journal.Events(w.id); len(fresh) > 0 {
			w.after = fresh[len(fresh)-1].Seq
		}
		return fresh, err
	}
	for {
		ev, found, err := w.house.journal.At(w.after + 1)
		if err != nil && len(fresh) > 0 {
			return fresh, nil // it comes again, or goes
		}
		if !found || err != nil {
			return fresh, err
		}
		w.after++
		if ev.Promotion == w.id {
			fresh = append(fresh, ev)
		}
	}
}
