package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/cmd/rel/show/vttest"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/remote/lab"
)

// window is a terminal that somebody looks at while a command runs on it.
type window struct {
	*vttest.Terminal
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	// acts are what is done when a text stands on the screen, one after the other.
	acts []act
}

// spinner are the marks of what is at work.
const spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// act is what is done once a text is seen.
type act struct {
	at string
	do func(*window)
}

// openWindow begins a command on a terminal of that size.
func openWindow(t *testing.T, cmd *exec.Cmd, width, height int, acts ...act) *window {
	t.Helper()
	master, slave := openTerminal(t)
	w := &window{Terminal: vttest.New(width, height), t: t, master: master, cmd: cmd, acts: acts}
	w.setSize(width, height)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color", "CI=", "GITHUB_ACTIONS=", "XTERM_VERSION=", "STY=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	err := cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *window) setSize(width, height int) {
	size := unix.Winsize{Row: uint16(height), Col: uint16(width)}
	if err := unix.IoctlSetWinsize(int(w.master.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		w.t.Fatal(err)
	}
}

// resized is an act: the window gets another size.
func resized(width, height int) func(*window) {
	return func(w *window) {
		w.drain() // it was drawn at the old one
		w.setSize(width, height)
		w.Resize(width, height)
	}
}

// watch looks on until the command has ended, and returns how that was.
func (w *window) watch() (code int) {
	w.t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	for b := make([]byte, 32<<10); ; {
		n, err := w.master.Read(b)
		if err != nil {
			break // nobody has the other end any more, or this one
		}
		_, _ = w.Write(b[:n])
		for len(w.acts) > 0 && strings.Contains(w.String(), w.acts[0].at) {
			w.acts[0].do(w)
			w.acts = w.acts[1:]
		}
	}
	_ = w.cmd.Wait()
	w.master.Close()
	if len(w.acts) > 0 {
		w.t.Errorf("nobody saw %q", w.acts[0].at)
	}
	return w.cmd.ProcessState.ExitCode()
}

// figures are what differs from run to run on a screen.
var figures = regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{7}|[0-9a-f]{7}\b|\d+(\.\d+)?( KiB| MiB| B|m?s\b)|\d+m\d+s|rel-test-\d+`)

// still is the screen without them, and with one blank where there are several.
func (w *window) still() string {
	return regexp.MustCompile(`(\S) +`).ReplaceAllString(figures.ReplaceAllString(w.String(), "#"), "$1 ")
}

// TestTerminal is the real program on real hosts, on terminals of several widths: a start,
// in whose midst the window is resized, one that fails, one that is stopped and resumed,
// and a rollback.
func TestTerminal(t *testing.T) {
	r := &recorded{world: newWorld(t, 1), t: t, program: program(t)}
	r.slowBuild(1, 2)      // a build of the lab takes no longer than a frame, which may be missed
	r.must(exitOK, "plan") // the host keys are on record then
	for _, size := range [][2]int{{60, 24}, {100, 30}, {160, 50}} {
		r.width, r.height = size[0], size[1]
		r.goesWell()
		if r.width == 100 || long || *update {
			r.fails()
			r.isStopped()
			r.isRolledBack()
		}
		r.bump(lab.Bump{})
	}
}

// recorded is a world whose operator has a terminal.
type recorded struct {
	*world
	t             *testing.T
	program       string
	width, height int
}

// run runs a command, and keeps its picture if that has a name.
func (r *recorded) run(picture, command string, acts ...act) (code int, screen string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), r.program, append(strings.Fields(command), "--yes", "--color=never")...)
	// Not as flags: what is proposed has those in it.
	cmd.Env = append(os.Environ(), "REL_CONFIG="+r.config, "REL_JOURNAL="+r.journal, "REL_SSH_CONFIG="+r.SSHConfigPath())
	window := openWindow(r.t, cmd, r.width, r.height, acts...)
	code = window.watch()
	r.t.Logf("rel %s, at %d columns: exit %d\n%s", command, r.width, code, window)
	if picture != "" {
		window.picture(r.t, fmt.Sprintf("%s-%d", picture, r.width), "rel "+command)
	}
	return code, window.still()
}

// shows holds what is on a screen against what has to be there.
func (r *recorded) shows(screen string, texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(screen, text) {
			r.t.Errorf("%d columns: %q is not there:\n%s", r.width, text, screen)
		}
	}
}

func (r *recorded) goesWell() {
	code, screen := r.run("start", "start",
		act{"· copy", resized(45, 24)}, act{" built", resized(r.width, r.height)}, act{"✔ build", resized(81, 9)}, act{"✔ apply", resized(r.width, r.height)})
	if code != exitOK {
		r.t.Errorf("%d columns: exit %d", r.width, code)
	}
	for _, phase := range machine.Forward.Table() {
		if n := strings.Count(screen, "\n✔ "+phase.Name+" #\n"); n != 1 {
			r.t.Errorf("%d columns: %s is there %d times", r.width, phase.Name, n)
		}
	}
	r.shows(screen, "\n• promotion #:", "\n    choiros-grind", "confirmed\n", "# healthy on choiros-prod: ")
	if strings.ContainsAny(screen, "│·"+spinner) {
		r.t.Errorf("%d columns: something of the block was left", r.width)
	}
}

func (r *recorded) fails() {
	r.bump(lab.Bump{Broken: "build"})
	code, screen := r.run("start-fails", "start")
	if code != exitFailed || strings.Contains(screen, "@nix") {
		r.t.Errorf("a build that fails: exit %d\n%s", code, screen)
	}
	r.shows(screen, "\n✖ build # failed\n", "· apply not begun", "\nrel: build failed: choiros-grind: the build failed", "unit 60: broken on purpos")
	failed := r.newest()
	code, screen = r.run("", "resume")
	if code != exitFailed || strings.Count(screen, "done before") != 2 {
		r.t.Errorf("it is resumed: exit %d\n%s", code, screen)
	}
	r.shows(screen, "✖ build (attempt 2) # failed")
	log, err := os.ReadFile(journal.New(r.journal).OutputPath(failed, "build", 2))
	if err != nil || !strings.Contains(string(log), "building '/nix/store/") || !strings.Contains(string(log), "> hypervisor: unit 60: broken on purpose") || strings.Contains(string(log), "@nix") {
		r.t.Errorf("the log has %v\n%s", err, log)
	}
}

// isStopped has somebody type Ctrl-C while it is built.
func (r *recorded) isStopped() {
	r.bump(lab.Bump{})
	code, screen := r.run("start-stopped", "start", act{" built", func(w *window) { _, _ = w.master.WriteString("\x03") }})
	if code != exitInterrupted {
		r.t.Errorf("%d columns: it is stopped: exit %d", r.width, code)
	}
	r.shows(screen, "\n✖ build # stopped\n", "rel resume #")
	code, screen = r.run("resume", "resume "+r.newest())
	if code != exitOK || strings.Count(screen, "done before") != 2 {
		r.t.Errorf("%d columns: it is resumed: exit %d", r.width, code)
	}
	r.shows(screen, "✔ build (attempt 2) #\n", "✔ health #\n")
}

func (r *recorded) isRolledBack() {
	if code, screen := r.run("rollback", "rollback"); code != exitOK || strings.Count(screen, "\n✔ ") != 4 {
		r.t.Errorf("it is rolled back: exit %d\n%s", code, screen)
	}
}

// staged is rel start on scripted hosts, whose build waits: begun is closed when it is at
// that, and it goes on when that is.
func staged(t *testing.T) (s *scene, cmd *exec.Cmd, begun, goOn chan struct{}) {
	t.Helper()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	t.Cleanup(stop)
	begun, goOn = make(chan struct{}), make(chan struct{})
	wait := func(script string, to io.Writer) {
		if script == "build" {
			close(begun)
			<-goOn
			for i := range 1000 {
				fmt.Fprintln(to, "line", i)
			}
		}
	}
	s.grind.noise.Store(&wait)
	flags := slices.DeleteFunc(slices.Clone(s.flags), func(flag string) bool { return strings.HasPrefix(flag, "--progress") })
	return s, exec.CommandContext(t.Context(), program(t), append(flags, "start", "--yes", "--color=never")...), begun, goOn
}

// ended is how the scene's newest promotion stands in the journal.
func (s *scene) ended(t *testing.T) string {
	t.Helper()
	history, err := machine.Recall(journal.New(s.journal))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := history.Last(1)
	if err != nil || len(ids) != 1 {
		t.Fatalf("no promotion: %v", err)
	}
	past, err := history.Find(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	return ends(past)
}

// A terminal that is closed in the midst of a phase stops the promotion as Ctrl-C does.
func TestTerminalIsClosed(t *testing.T) {
	s, cmd, begun, goOn := staged(t)
	w := openWindow(t, cmd, 80, 24, act{"• promotion", func(w *window) {
		<-begun
		w.master.Close()
		close(goOn)
	}})
	if code := w.watch(); code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	if got := s.ended(t); got != "verified, stopped in build" {
		t.Errorf("the journal has %s", got)
	}
}

// A reader that goes away stops nothing, whatever it read.
func TestReaderGoesAway(t *testing.T) {
	for _, progress := range []string{"plain", "json"} {
		t.Run(progress, func(t *testing.T) {
			s, cmd, begun, goOn := staged(t)
			cmd.Args = append(cmd.Args, "--progress="+progress)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout, cmd.Stderr = write, write
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			write.Close()
			<-begun
			read.Close()
			close(goOn)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			if got := s.ended(t); got != "healthy" {
				t.Errorf("the journal has %s", got)
			}
		})
	}
}

// A reader that reads no more holds nothing up.
func TestReaderStandsStill(t *testing.T) {
	s, cmd, begun, goOn := staged(t)
	cmd.Args = append(cmd.Args, "--progress=plain")
	cmd.Env = append(os.Environ(), "GITHUB_ACTIONS=")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = write
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	<-begun
	close(goOn)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got := s.ended(t); got != "healthy" {
		t.Errorf("the journal has %s", got)
	}
}

// After Ctrl-Z and fg it goes on, and what the shell wrote meanwhile stays.
func TestStoppedAndContinued(t *testing.T) {
	s, cmd, begun, goOn := staged(t)
	const shell = "[1]+  Stopped\n$ fg\n"
	w := openWindow(t, cmd, 80, 24, act{"• promotion", func(w *window) {
		<-begun
		w.signalled(syscall.SIGSTOP, "T")
		w.drain()
		_, _ = w.Write([]byte(shell))
		time.Sleep(5 * show.Frame) // so long that it is noticed
		w.signalled(syscall.SIGCONT, "SR")
		close(goOn)
	}})
	if code := w.watch(); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if screen := w.String(); !strings.Contains(screen, shell) || strings.Count(screen, "✔ health") != 1 {
		t.Errorf("the screen has\n%s", screen)
	}
	if got := s.ended(t); got != "healthy" {
		t.Errorf("the journal has %s", got)
	}
}

// What is typed meanwhile leaves no trace in the block.
func TestTypedMeanwhile(t *testing.T) {
	_, cmd, begun, goOn := staged(t)
	w := openWindow(t, cmd, 80, 24, act{"⠙ build", func(w *window) {
		<-begun
		_, _ = w.master.WriteString("is it\n\nthere?\n")
		time.Sleep(2 * show.Frame)
		close(goOn)
	}})
	if code := w.watch(); code != exitOK {
		t.Errorf("exit %d", code)
	}
	if screen := w.String(); strings.Contains(screen, "there?") || strings.Count(screen, "✔ sync") != 1 || strings.ContainsAny(screen, spinner) {
		t.Errorf("the screen has\n%s", screen)
	}
}

// drain reads what is written already.
func (w *window) drain() {
	w.t.Helper()
	fds := []unix.PollFd{{Fd: int32(w.master.Fd()), Events: unix.POLLIN}}
	for b := make([]byte, 4096); ; {
		if n, err := unix.Poll(fds, 50); err != nil || n == 0 {
			return
		}
		n, err := w.master.Read(b)
		if err != nil {
			w.t.Fatal(err)
		}
		_, _ = w.Write(b[:n])
	}
}

// signalled sends a signal, and waits until the process is in one of these states.
func (w *window) signalled(sig syscall.Signal, states string) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(sig); err != nil {
		w.t.Fatal(err)
	}
	for range 500 {
		text, _ := os.ReadFile(filepath.Join("/proc", fmt.Sprint(w.cmd.Process.Pid), "stat"))
		if _, after, ok := strings.Cut(string(text), ") "); ok && strings.ContainsRune(states, rune(after[0])) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Errorf("it is not in a state of %s", states)
}
