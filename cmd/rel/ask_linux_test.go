package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"choir.chat/rel/cmd/rel/show"
)

// desktop is a house whose operator sits at a terminal, and what stands on its screen.
type desktop struct {
	*house
	t      *testing.T
	master *os.File
	screen syncBuffer
	// from is where on the screen is looked.
	from int
}

func newDesktop(t *testing.T) *desktop {
	master, slave := openTerminal(t)
	d := &desktop{house: &house{globals: &globals{}, std: stdio{in: slave, err: slave}}, t: t, master: master}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for b := make([]byte, 4096); ; {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			_, _ = d.screen.Write(b[:n])
		}
	}()
	t.Cleanup(func() {
		// Whoever still reads a line keeps the terminal open: a read cannot be taken back.
		_, _ = master.WriteString("\n")
		slave.Close()
		master.Close()
		<-ended
	})
	return d
}

// shown is what came to stand on the screen.
func (d *desktop) shown() string { return d.screen.String()[d.from:] }

// sees waits until text stands on the screen.
func (d *desktop) sees(text string) {
	d.t.Helper()
	for range 500 {
		if strings.Contains(d.shown(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.t.Fatalf("the screen lacks %q:\n%s", text, d.shown())
}

func (d *desktop) types(text string) {
	d.t.Helper()
	if _, err := d.master.WriteString(text); err != nil {
		d.t.Fatal(err)
	}
}

// echoes reports whether the terminal shows what is typed.
func (d *desktop) echoes() bool {
	d.t.Helper()
	state, err := unix.IoctlGetTermios(int(d.master.Fd()), unix.TCGETS)
	if err != nil {
		d.t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// answered asks, answers once the question is there, and returns what came of it.
func (d *desktop) answered(question string, secret bool, answer string) string {
	d.t.Helper()
	answers := make(chan typed, 1)
	go func() {
		text, err := d.ask(d.t.Context(), question, secret)
		answers <- typed{text, err}
	}()
	d.sees(question)
	if d.echoes() == secret {
		d.t.Errorf("while it asks %q, echo is %t", question, d.echoes())
	}
	d.types(answer + "\n")
	got := <-answers
	if got.err != nil {
		d.t.Fatal(got.err)
	}
	return got.text
}

// A question that nobody answered neither takes the answer of the next, nor has it
// shown; and what was typed meanwhile is nobody's answer.
func TestAskAfterSilence(t *testing.T) {
	d := newDesktop(t)
	for _, late := range []string{"", "late\n", "half"} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errInterrupted)
		text, err := d.ask(ctx, "first? ", true)
		cancel()
		if text != "" || !errors.Is(err, errInterrupted) {
			t.Fatalf("got %q, %v", text, err)
		}
		d.sees("first? ")
		if !d.echoes() {
			t.Error("the terminal still hides what is typed")
		}
		d.types(late)
		time.Sleep(50 * time.Millisecond) // for whoever would take it
		d.from = len(d.screen.String())
		if got := d.answered("second? ", true, "canary"); got != "canary" {
			t.Errorf("after %q the answer is %q", late, got)
		}
		if got := d.answered("third? ", false, " yes "); got != "yes" {
			t.Errorf("after %q the last answer is %q", late, got)
		}
		if !d.echoes() || strings.Contains(d.shown(), "canary") {
			t.Errorf("echo is %t, and the screen has\n%s", d.echoes(), d.shown())
		}
	}
}

// A house that is left while it asks leaves a terminal that shows what is typed.
func TestLeftWhileAsking(t *testing.T) {
	d := newDesktop(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := d.ask(ctx, "secret? ", true)
		ended <- err
	}()
	d.sees("secret? ")
	if d.echoes() {
		t.Fatal("the terminal shows what is typed")
	}
	d.close()
	if !d.echoes() {
		t.Error("the terminal still hides what is typed")
	}
	cancel(errInterrupted)
	if err := <-ended; !errors.Is(err, errInterrupted) {
		t.Errorf("it ended with %v", err)
	}
}

// The live view keeps off a question that is open.
func TestAskUnderLiveView(t *testing.T) {
	d := newDesktop(t)
	tty := show.NewTTY(d.std.err, func() (int, int, bool) { return 80, 24, true }, unpainted, time.Now)
	go tty.Animate()
	d.printer = tty
	d.printer.Event(began)
	ended := make(chan string, 1)
	go func() {
		text, _ := d.ask(t.Context(), "secret? ", true)
		ended <- text
	}()
	d.sees("secret? ")
	time.Sleep(2 * show.Frame)
	if !strings.HasSuffix(d.shown(), "secret? ") {
		t.Errorf("it is drawn over: %q", d.shown())
	}
	d.types("canary\n")
	if got := <-ended; got != "canary" {
		t.Errorf("the answer is %q", got)
	}
	d.from = len(d.screen.String())
	d.sees("sync")
	d.close()
}

// The terminal shows nothing of what is typed while a block is drawn there, and again
// once none is. A shell finds what was typed.
func TestTypedUnderLiveView(t *testing.T) {
	d := newDesktop(t)
	d.globals.Progress = "tty"
	d.std.tty = func() (int, bool) { return 80, true }
	if err := d.openPrinter(); err != nil {
		t.Fatal(err)
	}
	silent := func(when string) {
		t.Helper()
		if d.echoes() {
			t.Errorf("the terminal shows what is typed %s", when)
		}
	}
	silent("under a block")
	if got := d.answered("go on? ", false, "yes"); got != "yes" {
		t.Errorf("the answer is %q", got)
	}
	silent("after a question")
	hushed, err := unix.IoctlGetTermios(int(d.master.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	hushed.Lflag |= unix.ECHO // as a shell does that has it meanwhile
	if err := unix.IoctlSetTermios(int(d.master.Fd()), unix.TCSETS, hushed); err != nil {
		t.Fatal(err)
	}
	d.continued()
	silent("after Ctrl-Z and fg")
	d.continued()
	d.types("rel log\n")
	d.close()
	if !d.echoes() {
		t.Error("the terminal still hides what is typed")
	}
	if line, err := readLine(d.std.in); line != "rel log" {
		t.Errorf("the shell reads %q, %v", line, err)
	}
}

// Who would not see the question, since standard error goes to a file, is not asked.
func TestStartUnseen(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	defer stop()
	master, slave := openTerminal(t)
	defer master.Close()
	defer slave.Close()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	code := run(t.Context(), append(slices.Clone(s.flags), "start"), stdio{in: slave, out: slave, err: said})
	text, err := os.ReadFile(said.Name())
	if err != nil || code != exitOK || strings.Contains(string(text), "[y/N]") {
		t.Errorf("exit %d, %v: %s", code, err, text)
	}
}
