package main

import (
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// hush has the terminal not show what is typed while a block is drawn there: an Enter would
// move the block down a row, and leave its first line above it. What is typed stays for the
// shell. A process that is stopped or killed cannot undo it; shells do, for any that is.
func (h *house) hush() {
	if h.std.in == nil || !term.IsTerminal(int(h.std.in.Fd())) || !inFront(int(h.std.in.Fd())) {
		return
	}
	h.desk.hushing.Lock()
	defer h.desk.hushing.Unlock()
	if loud, err := unix.IoctlGetTermios(int(h.std.in.Fd()), getTermios); err == nil && h.desk.loud == nil {
		h.desk.loud = loud
		h.hushAgain()
	}
}

// hushAgain hushes a terminal of which is known how it was.
func (h *house) hushAgain() {
	hushed := *h.desk.loud
	hushed.Lflag &^= unix.ECHO | unix.ECHONL
	_ = unix.IoctlSetTermios(int(h.std.in.Fd()), setTermios, &hushed)
}

// unhush has it show that again. In the background the terminal is the shell's, which has
// it as it wants: who changed it there would be stopped.
func (h *house) unhush() {
	h.desk.hushing.Lock()
	defer h.desk.hushing.Unlock()
	if h.desk.loud != nil && inFront(int(h.std.in.Fd())) {
		_ = unix.IoctlSetTermios(int(h.std.in.Fd()), setTermios, h.desk.loud)
	}
	h.desk.loud = nil
}

// prepareTerminal has the terminal give lines, show what is typed unless it is
// a secret, and forget what was typed so far.
func (h *house) prepareTerminal(secret bool) error {
	fd := int(h.std.in.Fd())
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return err
	}
	asking := *before
	asking.Iflag |= unix.ICRNL
	asking.Lflag |= unix.ICANON | unix.ISIG | unix.ECHO
	if secret {
		asking.Lflag &^= unix.ECHO
	}
	h.desk.while.Store(&asking)
	h.desk.before.Store(before)
	if err := unix.IoctlSetTermios(fd, setTermiosAndFlush, &asking); err != nil {
		return err
	}
	select {
	case <-h.desk.lines:
		h.desk.lines = nil
	default:
	}
	return nil
}

// retakeTerminal has the terminal be as the question wants it that is open, or else the
// block that is drawn: a shell that had it meanwhile need not have kept that. Nor is it to
// be asked how it was before: it may have kept just that.
func (h *house) retakeTerminal() {
	h.desk.hushing.Lock()
	defer h.desk.hushing.Unlock()
	switch asked := h.desk.before.Load() != nil; {
	case !asked && h.desk.loud == nil || !inFront(int(h.std.in.Fd())):
	case asked:
		_ = unix.IoctlSetTermios(int(h.std.in.Fd()), setTermiosAndFlush, h.desk.while.Load())
	default:
		h.hushAgain()
	}
}

// restoreTerminal puts the terminal back as it was before the question that is
// open, if one is. Half an answer is not left for the shell to show.
func (h *house) restoreTerminal() {
	if before := h.desk.before.Swap(nil); before != nil {
		_ = unix.IoctlSetTermios(int(h.std.in.Fd()), setTermiosAndFlush, before)
	}
}
