package show

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"choir.chat/rel/cmd/rel/show/vttest"
	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

var update = flag.Bool("update", false, "write the golden files anew")

// stage is a printer on a terminal, with a time of its own.
type stage struct {
	*TTY
	*vttest.Terminal
	at time.Time
}

func newStage(width, height int) *stage {
	s := &stage{Terminal: vttest.New(width, height), at: time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)}
	s.TTY = NewTTY(s.Terminal, func() (int, int, bool) { return s.Terminal.Width, s.Terminal.Height, true }, unpainted, func() time.Time { return s.at })
	return s
}

// passes is so much time, with a frame at its end.
func (s *stage) passes(d time.Duration) {
	s.at = s.at.Add(d)
	s.drew = s.at
	s.draw(func() []string { return nil })
}

// screen is what there is on it, with what has left it at its top.
func (s *stage) shown() string { return s.Terminal.String() + "\n" }

// begins and done are events of a phase.
func (s *stage) begins(phase string) {
	s.Event(journal.Event{Kind: journal.Intent, Phase: phase, Attempt: 1})
}

func (s *stage) notes(host, text string) {
	s.Event(journal.Event{Kind: journal.Note, Host: host, Text: text})
}

func (s *stage) reaches(phase, state string, Millis int64) {
	s.Event(journal.Event{Kind: journal.Moved, Phase: phase, State: state, Millis: Millis})
}

var forward = []Step{
	{Phase: "sync", State: "synced", Usual: 400 * time.Millisecond}, {Phase: "verify", State: "verified", Usual: 200 * time.Millisecond},
	{Phase: "build", State: "built", Usual: 12 * time.Second}, {Phase: "copy", State: "copied", Usual: 75 * time.Second},
	{Phase: "apply", State: "applied", Usual: 4 * time.Second}, {Phase: "health", State: "healthy"},
}

// TestLeft: what was at work when rel went away is no longer shown as if it still were.
func TestLeft(t *testing.T) {
	s := newStage(60, 12)
	s.Expect(forward)
	s.begins("sync")
	s.passes(3 * time.Second)
	s.TTY.Close()
	if shown := s.shown(); !strings.Contains(shown, "✖ sync       3.0s  left\n") || !strings.Contains(shown, "· verify     not begun") {
		t.Errorf("it shows\n%s", shown)
	}
}

// perform is a promotion, with a look at the screen now and then.
func perform(s *stage, look func(title string)) {
	s.Say("connecting to choiros-grind, choiros-prod, 東京-prod")
	s.Expect(forward)
	s.Event(journal.Event{Kind: journal.Opened, Promotion: id, Text: "choiros: fix the login 🔑 for everybody who has more than one account"})
	s.begins("sync")
	s.passes(300 * time.Millisecond)
	s.notes("choiros-grind", "03eba31 -> 2a29dca")
	s.reaches("sync", "synced", 312)
	s.begins("verify")
	s.passes(200 * time.Millisecond)
	s.notes("choiros-prod", "ready; runs 20261122-225019-03eba31")
	s.reaches("verify", "verified", 208)

	s.begins("build")
	for i := range 7 {
		s.Line("choiros-grind", fmt.Sprintf("hypervisor-2> [%d/7] compiling 漢字%s", i+1, strings.Repeat("-x", 40)))
	}
	s.Tick("choiros-grind", phases.Tick{What: "build", Done: 3, Total: 5, Text: "now hypervisor-2, sandbox-2"})
	s.passes(7 * time.Second)
	look("at work on a build")
	s.notes("choiros-grind", "3 artifacts, 6 paths, 16.5 MiB")
	s.reaches("build", "built", 9100)

	s.begins("copy")
	sent := func(host string, done, total int64, about bool, text string) {
		s.Tick(host, phases.Tick{What: "copy", Done: done, Total: total, About: about, Unit: phases.Bytes, Text: text})
	}
	sent("choiros-prod", 0, 42<<20, true, "0 of 300 paths")
	sent("東京-prod", 1<<20, 42<<20, false, "1 of 300 paths")
	s.passes(10 * time.Second)
	sent("choiros-prod", 12<<20, 42<<20, true, "12 of 300 paths")
	sent("東京-prod", 43<<20, 42<<20, false, "299 of 300 paths")
	s.passes(0)
	look("at work on a copy")
	s.notes("choiros-prod", "300 of 300 paths, 40.0 MiB for 130.5 MiB, sent by the build host in 25s")
	s.notes("東京-prod", "300 of 300 paths, 43.0 MiB for 130.5 MiB, through this machine in 11s")
	s.reaches("copy", "copied", 25000)
	s.begins("apply")
	s.passes(20 * time.Second)
	look("longer than usual")
	s.notes("choiros-prod", "3 links repointed, 3 units restarted")
	s.reaches("apply", "applied", 21000)

	s.begins("health")
	s.Tick("choiros-prod", phases.Tick{What: `check "hypervisor"`, Done: 1, Total: 2, Unit: phases.Successes, Text: "attempt 4"})
	s.Tick("choiros-prod", phases.Tick{What: `check "sandbox"`, Total: 2, Unit: phases.Successes, Text: "attempt 3; last: connection refused"})
	s.Tick("", phases.Tick{What: `check "front"`, Total: 2, Unit: phases.Successes, Text: "attempt 1; last: it answered 502"})
	s.Say("health: nothing heard for 30s; still waiting")
	s.passes(2 * time.Second)
	look("at work on the checks")
	s.notes("choiros-prod", `check "sandbox" failed after 9 attempts (deadline of 1m5s); last: connection refused`)
	s.Event(journal.Event{Kind: journal.Failed, Phase: "health", Attempt: 1, Millis: 66000})
	s.Close()
	s.Close()
	look("what stays")
}

// TestScreens compares what stands on terminals of several widths with what was once
// looked at: testdata/screens.txt, which -update writes anew.
func TestScreens(t *testing.T) {
	var got strings.Builder
	for _, width := range []int{40, 60, 100, 160} {
		s := newStage(width, 24)
		perform(s, func(title string) { fmt.Fprintf(&got, "== %s, %d columns\n%s\n", title, width, s.shown()) })
	}
	file := filepath.Join("testdata", "screens.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("they are\n%s", got.String())
	}
}

// Nothing that was said is lost, doubled or drawn over, however the window changes.
func TestScreenIsResized(t *testing.T) {
	for _, reflows := range []bool{true, false} {
		s := newStage(100, 30)
		s.Terminal.Reflows, s.TTY.screen.reflows = reflows, reflows
		sizes := [][2]int{{60, 30}, {41, 30}, {160, 40}, {40, 40}, {200, 30}}
		perform(s, func(string) {
			// Each look is at a moment when there is a block.
			s.Terminal.Resize(sizes[0][0], sizes[0][1])
			sizes = sizes[1:]
			s.passes(Frame)
			s.Say("resized")
		})
		for text, n := range map[string]int{"resized": 4, "connecting": 1, "promotion 2026": 1, "✔ build": 1, "✖ health": 1, "✔ apply": 1, "│": 0, "⠋": 0} {
			if got := strings.Count(s.shown(), text); got != n {
				t.Errorf("reflowing %t: there is %q %d times, want %d:\n%s", reflows, text, got, n, s.shown())
			}
		}
	}
}

// The block never is higher than the screen, and its lines never as wide, whatever a host
// prints.
func TestBlockFits(t *testing.T) {
	for height := 1; height < 40; height++ {
		for _, width := range []int{1, 2, 10, 40, 81} {
			s := newStage(width, height)
			most := 0
			perform(s, func(string) {
				lines := s.live()
				most = max(most, len(lines))
				for _, line := range s.TTY.screen.drawn {
					if w := displaywidth.String(line); w > max(width-1, 1) {
						t.Fatalf("a line of %d columns at %d: %q", w, width, line)
					}
				}
			})
			if most > height-1 {
				t.Errorf("a block of %d lines on a screen of %d", most, height)
			}
			if height > 3 && most < 2 {
				t.Errorf("no block on a screen of %d lines", height)
			}
		}
	}
}

// With many hosts, those that fit are shown, and it is said that there are more.
func TestBlockOfManyHosts(t *testing.T) {
	s := newStage(80, 12)
	s.Expect(forward)
	s.begins("apply")
	for i := range 50 {
		s.notes(fmt.Sprintf("prod-%d", i), "begun")
	}
	if got := s.shown(); !strings.Contains(got, "… 43 more") || strings.Count(got, "begun") != 7 {
		t.Errorf("it shows\n%s", got)
	}
}

// A step back has what is undone to come again.
func TestSteppedBack(t *testing.T) {
	s := newStage(80, 24)
	steps := append([]Step(nil), forward...)
	for i := range steps[:4] {
		steps[i].Done = true
	}
	s.Expect(steps)
	s.Event(journal.Event{Kind: journal.Resumed, Promotion: id, State: "copied"})
	s.Event(journal.Event{Kind: journal.Moved, From: "copied", State: "built", Text: "choiros-prod no longer has /nix/store/x"})
	s.begins("copy")
	s.reaches("copy", "copied", 2000)
	s.Close()
	const want = `• promotion 20261122-183229-dc8876b: going on from "copied"
↩ built, not copied: choiros-prod no longer has /nix/store/x
✔ sync       done before
✔ verify     done before
✔ build      done before
✔ copy       2.0s
· apply      not begun
· health     not begun
`
	if got := s.shown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A release that did not pass its checks goes back: what stays says that it was applied,
// and what failed. Whoever looks on while another run goes on from there sees it to come.
func TestTakenBack(t *testing.T) {
	s := newStage(80, 24)
	s.Expect(forward)
	for _, r := range s.TTY.rows[:3] {
		r.Done = true
	}
	s.begins("copy")
	s.reaches("copy", "copied", 2000)
	s.begins("apply")
	s.passes(3 * time.Second)
	s.notes("shop-prod", "2 links repointed")
	s.reaches("apply", "applied", 4000)
	s.begins("health")
	s.notes("shop-prod", `check "web" failed`)
	s.Event(journal.Event{Kind: journal.Failed, Phase: "health", Attempt: 1, Millis: 7000})
	s.Event(journal.Event{Kind: journal.Moved, From: "applied", State: "copied", Text: "shop-prod went back"})
	const above, done = "↩ copied, not applied: shop-prod went back\n", `✔ sync       done before
✔ verify     done before
✔ build      done before
✔ copy       2.0s
`
	if got, want := s.shown(), above+done+"↩ apply      4.0s  undone\n✖ health     7.0s  failed\n"; got != want {
		t.Errorf("while it ends it shows\n%s\nwant\n%s", got, want)
	}
	s.Event(journal.Event{Kind: journal.Resumed, Promotion: id, State: "copied"})
	resumed := above + "• promotion " + id + `: going on from "copied"` + "\n"
	if got, want := s.shown(), resumed+done+"· apply      usually 4s\n· health\n"; got != want {
		t.Errorf("as it is resumed it shows\n%s\nwant\n%s", got, want)
	}
	s.begins("apply")
	s.notes("shop-prod", "2 links repointed")
	s.reaches("apply", "applied", 4000)
	s.begins("health")
	s.Event(journal.Event{Kind: journal.Failed, Phase: "health", Attempt: 1, Millis: 7000})
	s.Event(journal.Event{Kind: journal.Moved, From: "applied", State: "copied", Text: "shop-prod went back"})
	s.Close()
	const stays = `↩ apply      4.0s  undone
    shop-prod    0.0s  2 links repointed
✖ health     7.0s  failed
`
	if got, want := s.shown(), resumed+above+done+stays; got != want {
		t.Errorf("there stays\n%s\nwant\n%s", got, want)
	}
}

// What was done in an earlier run, and is found undone, is not said not to be begun.
func TestFoundUndone(t *testing.T) {
	s := newStage(80, 24)
	steps := append([]Step(nil), forward...)
	for i := range steps[:5] {
		steps[i].Done = true
	}
	s.Expect(steps)
	s.Event(journal.Event{Kind: journal.Moved, From: "applied", State: "copied", Text: "shop-prod went back"})
	s.Event(journal.Event{Kind: journal.Moved, From: "copied", State: "built", Text: "gone"})
	s.begins("copy")
	s.Event(journal.Event{Kind: journal.Failed, Phase: "copy", Attempt: 1, Millis: 7000})
	s.Close()
	const end = `✔ build      done before
✖ copy       7.0s  failed
↩ apply      undone
· health     not begun
`
	if got := s.shown(); !strings.HasSuffix(got, end) {
		t.Errorf("it ends\n%s\nwant\n%s", got, end)
	}
}

// Who looks on from elsewhere is told late of what was: the times are those that it was at.
func TestToldLate(t *testing.T) {
	s := newStage(80, 24)
	s.Expect(forward[:2])
	began := s.at.Add(-time.Minute)
	s.Event(journal.Event{Kind: journal.Intent, Phase: "sync", Attempt: 1, At: began})
	s.Event(journal.Event{Kind: journal.Note, Host: "forge", Text: "fetched", At: began.Add(100 * time.Millisecond)})
	s.Event(journal.Event{Kind: journal.Moved, Phase: "sync", State: "synced", Millis: 120, At: began.Add(120 * time.Millisecond)})
	s.Close()
	if got := s.shown(); !strings.Contains(got, "✔ sync       0.1s\n    forge    0.1s  fetched\n") {
		t.Errorf("it shows\n%s", got)
	}
}

// Nothing is drawn over a question, and what was to be said meanwhile is said after it.
func TestTTYPrinterPaused(t *testing.T) {
	s := newStage(40, 24)
	s.Event(story[1])
	s.Pause()
	fmt.Fprint(s.Terminal, "name? ")
	s.Say("stopping")
	s.Event(story[2])
	s.passes(time.Minute)
	if got := s.shown(); got != "name?\n" {
		t.Errorf("over the question it drew\n%s", got)
	}
	fmt.Fprint(s.Terminal, "x\n")
	s.Resume()
	s.Event(story[3])
	s.Close()
	const want = `name? x
• stopping
✔ sync       1.2s
    choiros-prod  already at dc8876b
`
	if got := s.shown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What a shell wrote after Ctrl-Z stays.
func TestContinued(t *testing.T) {
	s := newStage(80, 24)
	s.Expect(forward[:2])
	s.begins("sync")
	fmt.Fprint(s.Terminal, "[1]+  Stopped\n$ fg\n")
	s.at = s.at.Add(time.Hour)
	s.Continued()
	s.reaches("sync", "synced", 3)
	s.Close()
	if got := s.shown(); !strings.Contains(got, "[1]+  Stopped\n$ fg\n") || strings.Count(got, "✔ sync") != 1 {
		t.Errorf("it shows\n%s", got)
	}
}

// In the background nothing is drawn that does not stay.
func TestInBackground(t *testing.T) {
	s := newStage(80, 24)
	s.TTY.screen.size = func() (int, int, bool) { return 80, 24, false }
	s.Expect(forward)
	s.begins("sync")
	s.Say("stopping")
	if got := s.shown(); got != "• stopping\n" {
		t.Errorf("it shows\n%s", got)
	}
}
