package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/remote"
)

// outputs keeps what the hosts print: for each attempt at a phase a file that is safe
// to show and, where that is not all of it, one with the lines as they came.
type outputs struct {
	house *house

	mu       sync.Mutex
	log, raw outputFile
	// phase and attempt are what the files are for.
	phase   string
	attempt int
	heard   time.Time
	waiting bool
	// tail are the last lines of the attempt, for the words that end a failure.
	tail show.LastLines
}

const (
	// outputCap bounds a file: a host may print without end.
	outputCap = 64 << 20
)

// event follows the machine from attempt to attempt.
func (o *outputs) event(ev journal.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = time.Now()
	if ev.Kind == journal.Intent {
		o.phase, o.attempt, o.waiting, o.tail = ev.Phase, ev.Attempt, true, show.LastLines{}
		o.shut()
	}
	if ev.Kind == journal.Moved || ev.Kind == journal.Failed || ev.Kind == journal.Interrupted {
		o.waiting = false
	}
	if o.phase != "" && ev.Kind == journal.Note {
		o.write(ev.Promotion, ev.Host, ev.Text)
	}
}

// alive says that a host was heard of.
func (o *outputs) alive() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = time.Now()
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
	o.tail.Add(host, text, show.TailLines)
	o.write(promotion, host, text)
}

func (o *outputs) write(promotion, host, text string) {
	o.log.write(func() (*os.File, error) { return o.house.journal.Output(promotion, o.phase, o.attempt) }, o.phase, host, text)
}

// rawLine keeps what a host printed as it came, where what is shown of it is another
// thing: colours, what draws over itself, what would do harm on a terminal, and lines
// that go on and on.
func (o *outputs) rawLine(promotion, host string, line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.raw.write(func() (*os.File, error) { return o.house.journal.RawOutput(promotion, o.phase, o.attempt) }, o.phase, host, string(line))
}

func (o *outputs) shut() {
	o.log.shut()
	o.raw.shut()
}

// outputFile is a file of an attempt, of lines that say when they came and whence.
type outputFile struct {
	file    *os.File
	written int
}

func (f *outputFile) write(open func() (*os.File, error), phase, host, text string) {
	if f.file == nil && phase != "" {
		// Best effort: a promotion does not fail for want of a log file.
		f.file, _ = open()
	}
	if f.file == nil || f.written > outputCap {
		return
	}
	n, _ := fmt.Fprintf(f.file, "%s %s: %s\n", time.Now().UTC().Format(time.TimeOnly), host, text)
	if f.written += n; f.written > outputCap {
		fmt.Fprintf(f.file, "what came after the first %d bytes is not kept\n", outputCap)
	}
}

func (f *outputFile) shut() {
	if f.file != nil {
		f.file.Close()
		f.file, f.written = nil, 0
	}
}

// raw takes a script's standard error as it comes. Only what a promotion's hosts print
// is kept.
func (h *house) raw(host string) io.WriteCloser {
	return &rawLines{keep: func(line []byte) {
		if h.outputs != nil {
			h.outputs.rawLine(h.work.ID, host, line)
		}
	}}
}

// rawCap is the most of a line that is held in memory: what is longer is kept in
// several.
const rawCap = 32 << 10

// rawLines keeps the lines that are not clean.
type rawLines struct {
	keep func(line []byte)
	rest []byte
	// long says that rest goes on with a line.
	long bool
}

func (r *rawLines) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n, end := bytes.IndexByte(rest, '\n'), true
		if n < 0 {
			n, end = len(rest), false
		}
		if room := rawCap - len(r.rest); n > room {
			n, end = room, false
		}
		r.rest, rest = append(r.rest, rest[:n]...), rest[n:]
		if end {
			rest = rest[1:]
		}
		if end || len(r.rest) == rawCap {
			r.flush(end)
		}
	}
	return len(b), nil
}

func (r *rawLines) flush(end bool) {
	if r.long || !end || len(r.rest) > remote.LineCap || remote.Clean(string(r.rest)) != string(r.rest) {
		r.keep(r.rest)
	}
	r.rest, r.long = r.rest[:0], !end
}

// Close keeps what did not end in a newline.
func (r *rawLines) Close() error {
	if len(r.rest) > 0 {
		r.flush(true)
	}
	return nil
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
				h.printer.Say(fmt.Sprintf("%s: nothing heard for %s; still waiting", phase, quiet.Round(time.Second)))
			}
		}
	}()
	return func() { close(done) }
}
