package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"choir.chat/rel/journal"
)

// outputs keeps what the hosts print: a file for each attempt at a phase.
type outputs struct {
	house *house

	mu   sync.Mutex
	file *os.File
	// phase and attempt are what the file is for.
	phase   string
	attempt int
	written int
	heard   time.Time
	waiting bool
	// tail are the last lines of the attempt, for the words that end a failure.
	tail []string
}

const (
	// tailLines is how many lines a failure repeats.
	tailLines = 30
	// outputCap bounds an attempt's file: a host may print without end.
	outputCap = 64 << 20
)

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

// current is the last phase that was begun, and whether it is at work still.
func (o *outputs) current() (phase string, atWork bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.phase, o.waiting
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
	if o.file == nil || o.written > outputCap {
		return
	}
	n, _ := fmt.Fprintf(o.file, "%s %s: %s\n", time.Now().UTC().Format(time.TimeOnly), host, text)
	if o.written += n; o.written > outputCap {
		fmt.Fprintf(o.file, "what came after the first %d bytes is not kept\n", outputCap)
	}
}

func (o *outputs) shut() {
	if o.file != nil {
		o.file.Close()
		o.file, o.written = nil, 0
	}
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
