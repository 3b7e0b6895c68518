package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// The lines that end a failure are no commands to GitHub, whatever a host has said, and
// the failure is one.
func TestFailsOnGitHub(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "true")
	var said bytes.Buffer
	h := &house{globals: &globals{}, std: stdio{err: github.Defused(&said)}, work: &phases.Promotion{ID: id}}
	code := h.fail(t.Context(), &machine.PhaseError{Phase: "build", Err: &remote.ExitError{
		Host: "grind", Script: "build.sh", Status: 1, Tail: []string{"::add-path::/evil", "100%", "##[set-env]x"}}})
	if code != exitFailed {
		t.Errorf("exit %d", code)
	}
	for line := range strings.Lines(said.String()) {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "::") && !strings.HasPrefix(text, "::error title=rel%3A build::build failed") || strings.Contains(text, "##[") {
			t.Errorf("a command: %s", line)
		}
	}
	if !strings.HasPrefix(said.String(), "::error ") || !strings.Contains(said.String(), "or rel resume "+id) || !strings.Contains(said.String(), ": :add-path::") {
		t.Errorf("it says\n%s", said.String())
	}
}

// What is said of a target is one line, whatever is in it.
func TestStatusSaysOneLine(t *testing.T) {
	var status bytes.Buffer
	(&targetStatus{Host: "h", Live: "x", Notes: []string{"a\n::error::b"}}).print(&status, machine.History{}, advice{})
	if want := "h  x  no commit\n    note: a ::error::b\n"; status.String() != want {
		t.Errorf("status says %q, want %q", status.String(), want)
	}
}

// A target that could not be asked is told with what to do about it.
func TestStatusOfUnasked(t *testing.T) {
	s := &targetStatus{Error: "no password", fault: &remote.SudoError{Host: "h", By: "sudo", Err: errNobodyThere}}
	var out bytes.Buffer
	s.print(&out, machine.History{}, advice{given: typedAs(t, "status")})
	if want := "no password\n    next: rel status, where there is a terminal to ask for the password on\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
}

// What waits to be confirmed is what a target runs, whatever is confirmed still.
func TestStatusOfWaiting(t *testing.T) {
	since, until := time.Date(2026, 11, 22, 22, 50, 26, 0, time.Local), time.Now().Add(90*time.Second)
	s := &targetStatus{Host: "h", Live: "20261122-225019-03eba31", Commit: "03eba31a0d1a3c1c1a9a1f3c6b3c8a1f0e9d7b21", Since: &since, By: "ana",
		Pending: "20261122-230000-68aace9", Applied: true, Until: &until}
	var out bytes.Buffer
	s.print(&out, machine.History{}, advice{})
	want := "h  20261122-230000-68aace9  68aace9\n    applied, and waits to be confirmed until " + until.Format(time.TimeOnly) +
		" (1m30s more), or goes back by itself: rel resume 20261122-230000-68aace9\n" +
		"    confirmed before it: 20261122-225019-03eba31  03eba31  since 2026-11-22 22:50:26 " + since.Format("MST") + ", by ana\n"
	if out.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", out.String(), want)
	}
	look := &phases.Look{Links: map[string]string{"/a": "2", "/b": "hand"}, Recorded: map[string]string{"/a": "1", "/b": "1"}, ByHand: []string{"/b"}}
	if ways := drift(look, &phases.Plan{}, true); len(ways) != 1 || !strings.Contains(ways[0], "/b points at hand") {
		t.Errorf("drift is %q", ways)
	}
	if ways := drift(look, &phases.Plan{}, false); len(ways) != 2 {
		t.Errorf("drift is %q", ways)
	}
}

// What the environment says of colours, and of who looks on.
func TestEnvironment(t *testing.T) {
	cases := []struct {
		env     string
		color   string
		painted [2]bool // with a terminal, and without
	}{
		{"", "auto", [2]bool{true, false}}, {"NO_COLOR=1", "auto", [2]bool{}}, {"NO_COLOR=1 CLICOLOR_FORCE=1", "auto", [2]bool{}},
		{"CLICOLOR=0", "auto", [2]bool{}}, {"CLICOLOR_FORCE=1", "auto", [2]bool{true, true}}, {"CLICOLOR_FORCE=0", "auto", [2]bool{true, false}},
		{"NO_COLOR=1", "always", [2]bool{true, true}}, {"CLICOLOR_FORCE=1", "never", [2]bool{}},
	}
	for _, c := range cases {
		t.Run(c.env+" "+c.color, func(t *testing.T) {
			setAll(t, c.env)
			h := &house{globals: &globals{Color: c.color}}
			for i, isTTY := range []bool{true, false} {
				if got := h.paint(isTTY)(show.Red, "x") != "x"; got != c.painted[i] {
					t.Errorf("terminal %t: painted %t", isTTY, got)
				}
			}
		})
	}
	printers := []struct {
		env, progress string
		width         int
		want          show.Printer
	}{
		{"", "auto", 80, &show.TTY{}}, {"", "auto", 39, &show.Plain{}}, {"", "auto", 0, &show.Plain{}}, {"", "tty", 0, nil},
		{"CI=true", "auto", 80, &show.Plain{}}, {"CI=false", "auto", 80, &show.TTY{}}, {"GITHUB_ACTIONS=true", "auto", 80, &show.Plain{}},
		{"CI=1", "tty", 80, &show.TTY{}}, {"", "plain", 80, &show.Plain{}}, {"", "quiet", 80, quietPrinter{}}, {"", "json", 80, &jsonPrinter{}},
	}
	for _, c := range printers {
		t.Run(fmt.Sprint(c.env, " ", c.progress, " ", c.width), func(t *testing.T) {
			setAll(t, c.env)
			h := &house{globals: &globals{Progress: c.progress}, std: stdio{err: new(syncBuffer), tty: func() (int, bool) { return c.width, c.width > 0 }}}
			err := h.openPrinter()
			if is, want := fmt.Sprintf("%T", h.printer), fmt.Sprintf("%T", c.want); is != want || (err != nil) != (c.want == nil) {
				t.Errorf("it is %s, %v; want %s", is, err, want)
			}
			h.closePrinter()
		})
	}
}

// setAll sets the variables, and none other that printers heed.
func setAll(t *testing.T, env string) {
	for _, name := range []string{"NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI", "GITHUB_ACTIONS"} {
		t.Setenv(name, "")
	}
	for _, set := range strings.Fields(env) {
		name, value, _ := strings.Cut(set, "=")
		t.Setenv(name, value)
	}
}

// stuck is a terminal that stands still until it is freed, and then says how it goes on.
type stuck struct {
	bytes.Buffer
	free chan error
}

func (s *stuck) Write(b []byte) (int, error) {
	if err := <-s.free; err != nil {
		return 0, err
	}
	return s.Buffer.Write(b)
}

// A terminal that stands still holds nobody up, and one that is gone is told of once.
func TestOutlet(t *testing.T) {
	to, hung := &stuck{free: make(chan error)}, 0
	o := &outlet{to: to, gone: func() { hung++ }}
	line := []byte(strings.Repeat("x", 1<<10-1) + "\n")
	for range 3 << 10 {
		_, _ = o.Write(line)
	}
	to.free <- nil
	to.free <- nil
	o.flush()
	_, _ = o.Write([]byte("last\n"))
	to.free <- nil
	o.flush()
	if got := to.String(); len(got) > 2*outletCap+2<<10 || !strings.HasSuffix(got, "messages were not taken and are not shown\nlast\n") {
		t.Errorf("%d bytes, at the end %q", len(got), got[len(got)-80:])
	}
	_, _ = o.Write(line)
	to.free <- &os.PathError{Err: syscall.EIO}
	o.flush()
	_, _ = o.Write(line) // would wait for ever
	o.flush()
	if hung != 1 {
		t.Errorf("it was told of %d times", hung)
	}
	// A pipe that nobody reads is no terminal.
	to = &stuck{free: make(chan error, 1)}
	o = &outlet{to: to, gone: func() { hung++ }}
	to.free <- syscall.EPIPE
	_, _ = o.Write(line)
	o.flush()
	if hung != 1 || !o.failed {
		t.Error("a pipe that is closed is taken for a terminal")
	}
}

// A terminal that is lost is an interrupt, and only one, however often it is told of.
func TestHangUp(t *testing.T) {
	h := &house{std: stdio{err: new(syncBuffer)}}
	ctx, stop := h.interruptible(t.Context())
	defer h.forgetSignals() // those of other tests
	defer stop()
	for range 3 {
		hangUp() // a second that counted would end the test
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatal("it goes on")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !errors.Is(context.Cause(ctx), errInterrupted) {
		t.Errorf("it ended with %v", context.Cause(ctx))
	}
}
