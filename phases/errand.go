package phases

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
)

//go:embed later.sh
var laterScript string

// errand is a script of the build host's that waits for what it is to send: the session
// that it has to itself takes three round trips, and what it sends is not known yet.
type errand struct {
	loan  Loan
	early bool
	// gate is what is to be sent, once that is known.
	gate   *io.PipeReader
	opened *io.PipeWriter
	// loaded is closed when the courier has its cargo.
	loaded chan struct{}
	// code is sent with the cargo, where that may not be needed; nil, where it is.
	code   chan string
	cancel context.CancelFunc

	done chan struct{}
	got  *receipt
	sent int64
	err  error
}

// errDropped ends an errand that nobody needs.
var errDropped = errors.New("there is nothing to send")

// begin begins an errand. One that is early makes room for others, where the host has few
// sessions, and ends; it logs in once it is known to be needed.
func (c *courier) begin(ctx context.Context, loan Loan, early bool) *errand {
	e := &errand{loan: loan, early: early, loaded: make(chan struct{}), done: make(chan struct{})}
	if early {
		e.code = make(chan string, 1)
	}
	e.gate, e.opened = io.Pipe()
	ctx, e.cancel = context.WithCancel(ctx)
	run := c.push
	if c.p.Plan.Via == NixCopy {
		run = c.nixCopy
	}
	go func() {
		defer close(e.done)
		e.err = guard(c.p.Build.Name(), func() (err error) {
			e.got, e.sent, err = run(ctx, e)
			return err
		})
		// Whoever still writes to it need not.
		e.gate.CloseWithError(errDropped)
	}()
	return e
}

// later has the script's code wait for the cargo, where that is not there yet.
func (e *errand) later(s *Script) {
	if e.code != nil {
		e.code <- s.Code
		s.Code = laterScript
	}
}

// load gives it what is to be sent. The courier has its cargo.
func (e *errand) load(rows io.Reader) {
	close(e.loaded)
	go func() {
		if e.code != nil {
			select {
			case code := <-e.code:
				rows = io.MultiReader(strings.NewReader(fmt.Sprintf("%d\n%s", len(code), code)), rows)
			case <-e.done:
			}
		}
		_, err := io.Copy(e.opened, rows)
		e.opened.CloseWithError(err)
	}()
}

// wait waits for its end.
func (e *errand) wait() (*receipt, int64, error) {
	<-e.done
	e.cancel()
	return e.got, e.sent, e.err
}

// over reports whether it has ended by itself.
func (e *errand) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// end has it end with nothing sent. That takes a round trip, which nobody need wait for who
// does something else.
func (e *errand) end() {
	e.opened.CloseWithError(errDropped)
	e.cancel()
}

// drop ends it, and waits until it has ended.
func (e *errand) drop() {
	e.end()
	<-e.done
}
