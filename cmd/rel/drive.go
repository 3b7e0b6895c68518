package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
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
				h.printer.close()
				fmt.Fprintln(h.std.err, "rel: left at once; what runs on the hosts goes on")
				if h.work != nil && h.work.ID != "" {
					fmt.Fprintf(h.std.err, "next:    rel resume %s\n", h.work.ID)
				}
				os.Exit(exitInterrupted)
			}
			h.printer.say(stopText(h.work))
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

func stopText(p *phases.Promotion) string {
	if p == nil || p.ID == "" {
		return "stopping; nothing has begun"
	}
	return "stopping at the next safe point: an apply is finished first, everything else stops here (again: leave at once)"
}

// drive takes the machine to its end and keeps the hosts' output.
func (h *house) drive(ctx context.Context, m *machine.Machine) error {
	defer h.watchSilence()()
	if err := m.Run(ctx); err != nil {
		return err
	}
	if err := h.journal.Backup(); err != nil {
		h.printer.say("warning: " + err.Error())
	}
	return nil
}

// outputs keeps what the hosts print: a file for each attempt at a phase.
type outputs struct {
	house *house

	mu   sync.Mutex
	file *os.File
	// phase and attempt are what the file is for.
	phase   string
	attempt int
	heard   time.Time
	waiting bool
	// tail are the last lines of the attempt, for the words that end a failure.
	tail []string
}

// tailLines is how many lines a failure repeats.
const tailLines = 30

// event follows the machine from attempt to attempt.
func (o *outputs) event(ev journal.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = time.Now()
	if ev.Kind == journal.Intent {
		o.phase, o.attempt, o.waiting, o.tail = ev.Phase, ev.Attempt, true, nil
		o.shut()
	}
	if ev.Kind == journal.Moved || ev.Kind == journal.Failed || ev.Kind == journal.Interrupted {
		o.waiting = false
	}
	if o.phase != "" && ev.Kind == journal.Note {
		o.write(ev.Promotion, ev.Host, ev.Text)
	}
}

func (o *outputs) line(promotion, host, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = time.Now()
	if o.tail = append(o.tail, text); len(o.tail) > tailLines {
		o.tail = o.tail[1:]
	}
	o.write(promotion, host, text)
}

func (o *outputs) write(promotion, host, text string) {
	if o.file == nil && o.phase != "" {
		// Best effort: a promotion does not fail for want of a log file.
		o.file, _ = o.house.journal.Output(promotion, o.phase, o.attempt)
	}
	if o.file != nil {
		fmt.Fprintf(o.file, "%s %s: %s\n", time.Now().UTC().Format(time.TimeOnly), host, text)
	}
}

func (o *outputs) shut() {
	if o.file != nil {
		o.file.Close()
		o.file = nil
	}
}

// promotion is a new one whose output goes to the printer and the log files.
func (h *house) promotion() *phases.Promotion {
	p := &phases.Promotion{}
	h.work = p
	h.outputs = &outputs{house: h}
	p.Line = func(host, text string) {
		h.outputs.line(p.ID, host, text)
		h.printer.line(host, text)
	}
	return p
}

// show is what the machine shows recorded events to.
func (h *house) show(ev journal.Event) {
	h.outputs.event(ev)
	h.printer.event(ev)
}

// silence is how long nothing is heard before the operator is told what is
// being waited for.
const silence = 30 * time.Second

// watchSilence says what is waited for when nothing has been heard for a while.
func (h *house) watchSilence() (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(silence)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			o := h.outputs
			o.mu.Lock()
			phase, quiet, waiting := o.phase, time.Since(o.heard), o.waiting
			o.mu.Unlock()
			if waiting && quiet >= silence {
				h.printer.say(fmt.Sprintf("%s: nothing heard for %s; still waiting", phase, quiet.Round(time.Second)))
			}
		}
	}()
	return func() { close(done) }
}
