package phases

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
)

//go:embed beat.sh
var beatScript string

const (
	// heartbeat is how often a hold is renewed: of those within its lifetime three
	// may be late.
	heartbeat = 4 * time.Second
	// beatTimeout is how long the answer to a heartbeat may take before the
	// script that gives it is started anew.
	beatTimeout = 12 * time.Second
)

// Enter says which phase the promotion is in, for those who find it held.
func (h *Hold) Enter(phase string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phase = phase
	close(h.entered)
	h.entered = make(chan struct{})
}

// Keep renews the hold until stop is called, and wait has waited for the last heartbeat. The returned context ends, with a
// *[HoldLostError] as its cause, when a target says that someone else has it. A
// target that cannot be reached is tried again and again: as long as nobody has
// come, the hold is still there.
func (h *Hold) Keep(ctx context.Context) (kept context.Context, stop func() (wait func())) {
	kept, lost := context.WithCancelCause(ctx)
	// An interrupt does not end the heartbeats: an apply is finished first.
	beats, end := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	for _, target := range h.promotion.Targets {
		if h.epoch(target.Name()) > 0 {
			group.Go(func() { h.keep(beats, target, lost) })
		}
	}
	return kept, func() func() {
		end()
		return func() {
			group.Wait()
			lost(nil)
		}
	}
}

func (h *Hold) keep(ctx context.Context, target Host, lost context.CancelCauseFunc) {
	for ctx.Err() == nil {
		err := h.beat(ctx, target)
		var gone *HoldLostError
		if errors.As(err, &gone) {
			lost(gone)
			return
		}
		select {
		case <-time.After(heartbeat):
		case <-ctx.Done():
		}
	}
}

// beat sends heartbeats through one script until that ends. They go over the connection
// that is open: what is sent to the target beside them leaves them room (remote's uplink).
func (h *Hold) beat(ctx context.Context, target Host) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	phases, lines := io.Pipe()
	answers, said := io.Pipe()
	heard := make(chan error)
	go func() {
		defer answers.Close() // what is said after a line without end is not waited for
		for scanner := bufio.NewScanner(answers); scanner.Scan(); {
			var err error
			if who, ok := strings.CutPrefix(scanner.Text(), "lost="); ok {
				err = &HoldLostError{Host: target.Name(), Holder: parseHolder(printable(who))}
			}
			select {
			case heard <- err:
			case <-ctx.Done():
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		s := h.promotion.onTarget(target, "beat.sh", holdPart+beatScript,
			map[string]string{"OPERATOR": h.promotion.Operator, "KEY": h.promotion.Key})
		s.Stdin, s.Stdout, s.Lasts = phases, said, true
		_, err := target.Run(ctx, s)
		said.CloseWithError(err)
		phases.CloseWithError(io.ErrClosedPipe)
		ended <- err
	}()
	err := h.send(ctx, lines, heard, ended)
	// Its input ends, and it does; what does not is cut off.
	lines.Close()
	select {
	case <-ended:
	case <-time.After(time.Second):
		cancel(err)
		<-ended
	}
	return err
}

// printable is text from a host without what a terminal would obey: the heartbeats'
// answers are read as they come, and not cleaned as those of other scripts are.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
}

// send writes a line for each heartbeat, and waits for its answer.
func (h *Hold) send(ctx context.Context, lines io.Writer, heard, ended chan error) error {
	for {
		h.mu.Lock()
		phase, entered := h.phase, h.entered
		h.mu.Unlock()
		// Does not block for long: the script reads, or it ends.
		go func() { _, _ = io.WriteString(lines, phase+"\n") }()
		select {
		case err := <-heard:
			if err != nil {
				return err
			}
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(beatTimeout):
			return fmt.Errorf("no answer to a heartbeat within %s", beatTimeout)
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(heartbeat):
		case <-entered:
		case err := <-ended:
			ended <- err
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
