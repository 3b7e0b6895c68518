package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/cmd/rel/show"
)

// promptTimeout is how long a question waits for its answer: an unattended
// terminal must not hold a promotion. It ends before the SSH handshake that
// mostly asks, so that the operator reads what really was missing.
const promptTimeout = time.Minute

// desk is where the operator is asked: one question at a time, and one reader
// for all of them. A read from a terminal cannot be taken back; one that nobody
// answered is still there at the next question, whose line it takes.
type desk struct {
	asking sync.Mutex
	// lines is where the reader leaves its line; nil while nobody reads.
	lines chan typed
	// before is how the terminal was before the question that is open.
	before atomic.Pointer[unix.Termios]
	// while is how it is for that question.
	while atomic.Pointer[unix.Termios]
	// hushing guards loud, which is how the terminal was before it was hushed; nil while it is not.
	hushing sync.Mutex
	loud    *unix.Termios
}

// typed is a line that the operator typed.
type typed struct {
	text string
	err  error
}

// asker puts questions to the operator; nil without a terminal to ask on, or where the
// question would not be seen: who waits for an answer to it waits in vain.
func (h *house) asker() func(ctx context.Context, question string, secret bool) (string, error) {
	if h.std.in == nil || !term.IsTerminal(int(h.std.in.Fd())) || !h.isSeen() {
		return nil
	}
	return h.ask
}

// isSeen reports whether the operator sees what is asked: also on a terminal that nothing is
// drawn on, since it is a dumb one.
func (h *house) isSeen() bool {
	file, ok := github.AsItIs(h.std.err).(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask asks until ctx ends, or nobody has answered for promptTimeout. What was
// typed before the question stood there is no answer to it.
func (h *house) ask(ctx context.Context, question string, secret bool) (string, error) {
	h.desk.asking.Lock()
	defer h.desk.asking.Unlock()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, promptTimeout, fmt.Errorf("no answer within %s", promptTimeout))
	defer cancel()
	if tty, ok := h.printer.(*show.TTY); ok {
		tty.Pause()
		defer tty.Resume()
	}
	h.said.flush()
	if err := h.prepareTerminal(secret); err != nil {
		return "", err
	}
	defer h.restoreTerminal()
	fmt.Fprint(h.std.err, question)
	select {
	case line := <-h.desk.reader(h.std.in):
		h.desk.lines = nil
		if secret || line.err != nil {
			fmt.Fprintln(h.std.err)
		}
		if !secret {
			line.text = strings.TrimSpace(line.text)
		}
		return line.text, line.err
	case <-ctx.Done():
		fmt.Fprintln(h.std.err)
		return "", context.Cause(ctx)
	}
}

// reader is the one that waits for a line since the last question, or another.
func (d *desk) reader(in io.Reader) <-chan typed {
	if d.lines == nil {
		lines := make(chan typed, 1)
		go func() {
			text, err := readLine(in)
			lines <- typed{text, err}
		}()
		d.lines = lines
	}
	return d.lines
}

// longestLine is more than a terminal lets anybody type into one line.
const longestLine = 4096

// readLine reads a line, of which a terminal gives one at a time: what follows
// may be the answer to another question. A line may be empty.
func readLine(in io.Reader) (string, error) {
	line := make([]byte, longestLine)
	n, err := in.Read(line)
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(line[:n]), "\n"), nil
}
