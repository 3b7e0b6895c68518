package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"
)

// promptTimeout is how long a question waits for its answer: an unattended
// terminal must not hold a promotion. It ends before the SSH handshake that
// mostly asks, so that the operator reads what really was missing.
const promptTimeout = time.Minute

// asker puts questions to the operator; nil without a terminal to ask on.
func (h *house) asker() func(question string, secret bool) (string, error) {
	if h.std.in == nil || !term.IsTerminal(int(h.std.in.Fd())) {
		return nil
	}
	return func(question string, secret bool) (string, error) {
		h.asking.Lock()
		defer h.asking.Unlock()
		if state, err := term.GetState(int(h.std.in.Fd())); err == nil {
			h.terminal.Store(state)
		}
		defer h.restoreTerminal()
		fmt.Fprint(h.std.err, question)
		type reply struct {
			text string
			err  error
		}
		replies := make(chan reply, 1)
		go func() {
			text, err := h.read(secret)
			replies <- reply{text, err}
		}()
		select {
		case r := <-replies:
			return r.text, r.err
		case <-time.After(promptTimeout):
			return "", fmt.Errorf("no answer within %s", promptTimeout)
		}
	}
}

func (h *house) read(secret bool) (text string, err error) {
	if secret {
		b, err := term.ReadPassword(int(h.std.in.Fd()))
		fmt.Fprintln(h.std.err)
		return string(b), err
	}
	return readLine(h.std.in)
}

// readLine reads a line and not a byte more: what follows may be the answer to
// another question. A line may be empty.
func readLine(in io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		n, err := in.Read(b)
		switch {
		case n == 1 && b[0] == '\n':
			return strings.TrimSpace(string(line)), nil
		case n == 1:
			line = append(line, b[0])
		case err != nil:
			return "", err
		}
	}
}

// restoreTerminal undoes what an unanswered question for a secret leaves: a
// terminal that shows nothing of what is typed.
func (h *house) restoreTerminal() {
	if state := h.terminal.Swap(nil); state != nil {
		_ = term.Restore(int(h.std.in.Fd()), state)
	}
}
