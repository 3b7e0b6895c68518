package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/cmd/rel/show/vttest"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// pausing holds a host's script up, once, until it is let go.
func (s *scripted) pausing(script string) (reached <-chan struct{}, letGo func()) {
	at, gone := make(chan struct{}), make(chan struct{})
	var once sync.Once
	noise := func(name string, out io.Writer) {
		if name == script {
			once.Do(func() {
				_, _ = io.WriteString(out, "a line of "+script+"\n")
				close(at)
				<-gone
			})
		}
	}
	s.noise.Store(&noise)
	return at, sync.OnceFunc(func() { close(gone) })
}

// beside runs rel, and returns a func that waits for it.
func (s *scene) beside(args ...string) func() outcome {
	var o outcome
	var done sync.WaitGroup
	done.Go(func() { o.code, o.out, _ = s.rel(args...) })
	return func() outcome {
		done.Wait()
		return o
	}
}

var clock = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `)

// TestWatch: who watches is shown what the owner is, from the middle of a phase on, each
// thing once, and ends as the owner does.
func TestWatch(t *testing.T) {
	for story, c := range []struct {
		code       int
		script     string
		last, says string
	}{
		next: {exitOK, "build", "healthy on prod: the newest", "✔ healthy in"},
		sick: {exitReverted, "build", ", once a fix is pushed; or rel resume ", `check "who" on prod failed`},
	} {
		if c.script == "" {
			continue
		}
		t.Run(stories[story], func(t *testing.T) {
			t.Parallel()
			s, stop := newScene(t, cutting{}, story)
			defer stop()
			reached, letGo := s.grind.pausing(c.script)
			defer letGo()
			owner := s.beside("start")
			<-reached
			id := s.events()[0].Promotion
			var named, unnamed syncBuffer
			var watching sync.WaitGroup
			codes := [2]int{-1, -1}
			for i, args := range [][]string{{"watch", id[:12]}, {"watch"}} {
				out := []*syncBuffer{&named, &unnamed}[i]
				watching.Go(func() {
					codes[i] = run(t.Context(), append(append([]string{}, s.flags...), args...), stdio{out: out, err: out})
				})
			}
			await(t, func() bool {
				return strings.Contains(named.String(), "a line of build") && strings.Contains(unnamed.String(), "a line of build")
			})
			letGo()
			own := owner()
			watching.Wait()
			for i, said := range []string{named.String(), unnamed.String()} {
				if codes[i] != c.code || own.code != c.code {
					t.Errorf("it ended with %d, its owner with %d; want %d\n%s", codes[i], own.code, c.code, said)
				}
				said = clock.ReplaceAllString(said, "")
				for _, ev := range s.events() {
					if ev.Kind == journal.Note && strings.Count(said, ev.Host+": "+ev.Text+"\n") != 1 || strings.Contains(said, "| "+ev.Text) && ev.Text != "" {
						t.Errorf("%q is not there once:\n%s", ev.Text, said)
					}
				}
				// The words at the end are the owner's.
				at := strings.Index(own.out, "rel: ")
				if at >= 0 && !strings.HasSuffix(said, own.out[at:]) {
					t.Errorf("the owner ends with\n%s\nand who watches with\n%s", own.out[at:], said)
				}
				if !strings.Contains(said, c.last) || !strings.Contains(said, c.says) {
					t.Errorf("nothing is said of %q or %q:\n%s", c.last, c.says, said)
				}
			}
			if code, said, _ := s.rel("watch", id); code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("of one that is over: exit %d, %s", code, said)
			}
		})
	}
}

// await waits until something is so, for a minute.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to be so")
		}
	}
}

// TestWatchAlone: of nothing that runs, and of what nobody is at work on any more.
func TestWatchAlone(t *testing.T) {
	j, rel := logged(t)
	if o := rel("watch"); o.code != exitOK || o.err != "nothing runs: no rel is at work here\n" || o.out != "" {
		t.Errorf("nothing runs: exit %d, %s%s", o.code, o.out, o.err)
	}
	if o := rel("watch", "nope"); o.code != exitUsage {
		t.Errorf("of none: exit %d, %s", o.code, o.err)
	}
	if o := rel("watch", liveID); o.code != exitOK || !strings.Contains(o.out, liveID+" healthy on choiros-prod, choiros-prod-2: 漢字 in names") {
		t.Errorf("of a healthy one: exit %d, %s%s", o.code, o.out, o.err)
	}
	o := rel("watch", failID, "--progress=quiet")
	if want := "rel: apply failed: choiros-prod: hypervisor did not stay up for 4s\ntargets: choiros-prod runs 03eba31 (" + liveID +
		")\nnext:    rel resume " + failID + "\nlog:     " + j.Path() + "\n"; o.code != exitReverted || o.err != want {
		t.Errorf("of one that failed: exit %d\n%swant\n%s", o.code, o.err, want)
	}
	name, release, err := j.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	cut := failing()
	for i := range cut.events {
		cut.events[i].Promotion = "20261125-000000-68aace9"
	}
	cut.events = cut.events[:9]
	cut.keep(t, j)
	name(cut.events[0].Promotion)
	log, err := j.Output(cut.events[0].Promotion, "build", 1)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var ended atomic.Bool
	done := make(chan outcome)
	go func() {
		o := rel("watch", "--progress=quiet")
		ended.Store(true)
		done <- o
	}()
	time.Sleep(3 * watchPoll)
	if ended.Load() {
		t.Fatal("it does not wait for its owner")
	}
	release() // as the kernel does for one that was killed
	o = <-done
	if want := "rel: its rel is gone: promotion " + cut.events[0].Promotion + " is verified, cut in build\n" +
		"targets: rel status --journal " + j.Path() + " says what they run\nnext:    rel resume " + cut.events[0].Promotion + " --journal " + j.Path() + "\nlog:     " +
		log.Name() + "\n"; o.code != exitInterrupted || o.err != want {
		t.Errorf("its owner was killed: exit %d\n%swant\n%s", o.code, o.err, want)
	}
	if o, want := rel("watch"), "nothing runs: no rel is at work here\npromotion "+cut.events[0].Promotion+" is verified, cut in build: its rel is gone\n"+
		"next:    rel resume "+cut.events[0].Promotion+" --journal "+j.Path()+"\n"; o.code != exitOK || o.err != want {
		t.Errorf("whoever names none: exit %d\n%swant\n%s", o.code, o.err, want)
	}
	given := &chronicler{id: cut.events[0].Promotion}
	given.add(journal.Event{Kind: journal.Moved, From: "verified", State: machine.Aborted})
	given.keep(t, j)
	if o := rel("watch", given.id, "--progress=quiet"); o.code != exitFailed || !strings.Contains(o.err, "was given up, and is aborted") {
		t.Errorf("of one that was given up: exit %d, %s", o.code, o.err)
	}
}

// TestWatchForetells: who comes to a promotion that is at work is told how long its phases
// take as a rule, and how long the one at work has taken already.
func TestWatchForetells(t *testing.T) {
	j, _ := logged(t)
	cut := failing()
	for i := range cut.events {
		cut.events[i].Promotion = "20261125-000000-68aace9"
	}
	cut.events = cut.events[:9]
	cut.keep(t, j)
	list, err := j.Events(cut.events[0].Promotion)
	if err != nil {
		t.Fatal(err)
	}
	begun := list[len(list)-1].At
	terminal := vttest.New(100, 24)
	tty := show.NewTTY(terminal, func() (int, int, bool) { return 100, 24, true }, unpainted, func() time.Time { return begun.Add(90 * time.Second) })
	w := &watch{house: &house{journal: j, printer: tty}, id: cut.events[0].Promotion}
	if err := w.show(); err != nil {
		t.Fatal(err)
	}
	block := terminal.String()
	for _, want := range []string{"✔ verify", "⠋ build      1m30s", "· apply      usually 2s"} {
		if !strings.Contains(block, want) {
			t.Errorf("the block has no %q:\n%s", want, block)
		}
	}
}

// TestWatchResumeInVain: a resume that fails before it has recorded anything says so, and
// who watches is told that and not how the run before it ended.
func TestWatchResumeInVain(t *testing.T) {
	j, rel := logged(t)
	ssh := filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(ssh, []byte("Host *\n    ProxyCommand /bin/false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := rel("resume", failID, "--progress=quiet", "--ssh-config", ssh)
	events, err := j.Events(failID)
	if err != nil || events[len(events)-1].Kind != journal.Left {
		t.Fatalf("it leaves nothing: %v\n%s", err, own.err)
	}
	what, _, _ := strings.Cut(own.err, "\n")
	if o := rel("watch", failID, "--progress=quiet"); o.code != own.code || !strings.HasPrefix(o.err, what+"\n") {
		t.Errorf("its owner ends with %d\n%sand who watches with %d\n%s", own.code, own.err, o.code, o.err)
	}
}
