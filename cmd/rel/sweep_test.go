package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// classes are what rel makes of a cut.
const (
	smooth   = "went through"
	resent   = "went through: what was not sent was sent again"
	asked    = "went through: what went on was asked for again"
	unsent   = "not sent"
	failed   = "failed"
	unknown  = "unknown"
	unhelped = "?"
)

// class is how rel says, and has recorded, that the run ended.
func (s *scene) class(code int, said string, events []journal.Event) string {
	wanted := code == s.wanted()
	switch {
	case wanted && (strings.Contains(said, "is looked for again") || strings.Contains(said, "undecided; trying again")):
		return asked
	case wanted && (strings.Contains(said, "nothing was sent, connecting again") || strings.Contains(said, "; trying again in ")):
		return resent
	case wanted:
		return smooth
	case len(events) == 0:
		return unsent
	}
	last := events[len(events)-1]
	if last.Kind == journal.Left && len(events) > 1 {
		last = events[len(events)-2]
	}
	switch {
	case last.Kind == journal.Intent || last.Kind == journal.Failed && strings.Contains(last.Text, "the connection was lost"):
		return unknown
	case last.Kind == journal.Failed || last.Kind == journal.Moved:
		return failed
	}
	return unhelped
}

// wanted is how `rel start` ends if nothing is cut.
func (s *scene) wanted() int {
	if s.story == sick {
		return exitReverted
	}
	return exitOK
}

// result is what came of a case.
type result struct {
	name, class  string
	code, second int
	took         time.Duration
	faults       []string
	said         string
}

func (r *result) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// play cuts a promotion once and goes on with it: to its end, or, if it is sick, back.
func play(t testing.TB, c sweepCase, usual map[string]int) (r result) {
	t.Helper()
	began := time.Now()
	s, stop := newScene(t, c.cutting, c.story)
	defer stop()
	defer func() { r.took = time.Since(began) }()
	r.name = c.String()
	var hung bool
	if r.code, r.said, hung = s.rel("start"); hung {
		r.fault("rel start hangs")
		return r
	}
	r.name += " " + s.wire.name
	s.consistent(&r)
	events := s.events()
	r.class = s.class(r.code, r.said, events)
	s.truthful(&r, c.cutting, usual)
	if len(events) > 0 {
		past, err := machine.Replay(events)
		if err != nil {
			r.fault("what is recorded cannot be read: %v", err)
		} else if status := exitStatus(past, events); status != r.code {
			r.fault("it ended with %d, and %d is on record", r.code, status)
		}
	}
	switch {
	case len(events) == 0:
		r.second = s.goOn(&r, s.wanted(), "start")
	case r.code != exitOK && s.story != sick:
		r.second = s.goOn(&r, exitOK, "resume")
	}
	if events = s.events(); s.story == sick && len(events) > 0 {
		r.second = s.goOn(&r, exitOK, "abort", events[0].Promotion)
	}
	s.finished(&r)
	return r
}

// goOn is the run of rel after the one that was cut.
func (s *scene) goOn(r *result, want int, args ...string) int {
	code, said, hung := s.rel(args...)
	r.said += "\n--- " + args[0] + "\n" + said
	if hung {
		r.fault("rel %s hangs", args[0])
	} else if code != want {
		r.fault("rel %s ended with %d", args[0], code)
	}
	s.consistent(r)
	return code
}

// sweepCase is a cut in a story.
type sweepCase struct {
	cutting
	story int
}

func (c sweepCase) String() string {
	where := fmt.Sprintf("%s, byte %d %s", stories[c.story], c.at, []string{"up", "down"}[c.direction])
	if c.command > 0 {
		where = fmt.Sprintf("%s, command %d %s", stories[c.story], c.command, map[bool]string{false: "asked for", true: "run"}[c.ran])
	}
	if c.all {
		where += ", every connection"
	}
	return where
}

// consistent is what holds once no job runs, wherever it was cut: the links are all
// those of one release.
func (s *scene) consistent(r *result) {
	if links := s.target.idle(); !maps.Equal(links, s.old) && !maps.Equal(links, s.new) {
		r.fault("the links are of no one release: %v", links)
	}
}

// once are the scripts that a run of rel sends again only if the host surely has not
// run them; others it may ask twice.
var once = map[string]bool{"pin": true, "sync move": true, "build": true, "receive": true, "send": true, "unpack": true}

// truthful compares what rel says of the cut with what the hosts know of it.
func (s *scene) truthful(r *result, c cutting, usual map[string]int) {
	ran := s.wire.counts()
	s.target.mu.Lock()
	defer s.target.mu.Unlock()
	if r.class == unhelped {
		r.fault("exit %d is in no class", r.code)
	}
	if r.class == unsent && (!maps.Equal(s.target.links, s.old) || s.target.head != oldCommit || s.target.begun > 0) {
		r.fault("it is not recorded, and the target was changed")
	}
	if n := ran[s.wire.name]; c.ran && n > usual[s.wire.name] && once[s.wire.name] {
		r.fault("%s had run, and was sent again", s.wire.name)
	}
	if r.code == exitOK && (s.story == sick || !maps.Equal(s.target.links, s.new)) || r.code == exitReverted && !maps.Equal(s.target.links, s.old) {
		r.fault("exit %d, and the links are %v", r.code, s.target.links)
	}
}

// finished is the one end that every case of a story has.
func (s *scene) finished(r *result) {
	s.target.idle()
	events := s.events()
	if len(events) == 0 {
		r.fault("nothing is recorded")
		return
	}
	id, state := events[len(events)-1].Promotion, ""
	for _, ev := range events {
		if ev.Kind == journal.Moved {
			state = ev.State
		}
	}
	if ended := map[bool]string{false: "healthy", true: "reverted aborted"}[s.story == sick]; !strings.Contains(ended, state) {
		r.fault("the journal has it at %q", state)
	}
	audit := []string{"log"}
	if s.wire.cutting.command > 0 {
		audit = append(audit, "--verify")
	}
	if code, said, hung := s.rel(audit...); code != exitOK || hung {
		r.fault("rel %v ended with %d: %s", audit, code, said)
	}
	s.build.mu.Lock()
	head := s.build.head
	r.faults = append(r.faults, s.build.faults...)
	s.build.mu.Unlock()
	m := s.target
	m.mu.Lock()
	defer m.mu.Unlock()
	r.faults = append(r.faults, m.faults...)
	wrong := s.wrong(id, m, m.dir(id))
	wrong["a checkout is elsewhere"] = (head != newCommit || m.head != newCommit) && state != "aborted"
	wrong["it is still held"] = m.holder != nil
	wrong["it may still go back"] = m.dir(id).unfinished()
	wrong["the unit was restarted too often"] = m.restarts > m.begun
	for attempt, n := range m.applied {
		wrong[attempt+", was applied more than once"] = n > 1
	}
	for what, is := range wrong {
		if is {
			r.fault("%s", what)
		}
	}
}

// wrong are the ways in which the target may not be as the story has it.
func (s *scene) wrong(id string, m *model, k *kept) map[string]bool {
	if s.story == sick {
		return map[string]bool{
			"the links are not those of before": !maps.Equal(m.links, s.old),
			"the unit runs something else":      m.exe != s.old["/opt/app/bin/web"],
			"the release before is not live":    m.live != oldID,
			"it is confirmed":                   k.confirmed != "" || m.told("confirmed", id) > 0,
		}
	}
	wrong := map[string]bool{
		"the links are not the release's": !maps.Equal(m.links, s.new),
		"the unit runs something else":    m.exe != s.new["/opt/app/bin/web"],
		"it is not live":                  m.live != id,
		"it is not confirmed":             k.confirmed == "",
		"the manifest is not its own":     !strings.Contains(m.files["/tmp/app.env"], newCommit),
		"its record is not whole":         len(k.row("link")) != 2 || len(k.closure) != 3,
		"the ledger does not know it":     m.told("confirmed", id) != 1 || m.told("applied", id) == 0,
	}
	for _, path := range k.closure {
		wrong[path+" is missing"] = !m.store[path]
	}
	return wrong
}

// uncut is a promotion that nothing happens to: how many bytes pass in each direction,
// how many commands are sent, and how often each script.
func uncut(t *testing.T, story int) (whole *wire, usual map[string]int) {
	t.Helper()
	s, stop := newScene(t, cutting{}, story)
	defer stop()
	began := time.Now()
	code, said, _ := s.rel("start")
	usual = s.wire.counts()
	s.wire.mu.Lock()
	whole = &wire{passed: s.wire.passed, commands: s.wire.commands}
	s.wire.mu.Unlock()
	if code != s.wanted() {
		t.Fatalf("%s: exit %d\n%s", stories[story], code, said)
	}
	t.Logf("%s, uncut, in %s: %d bytes up, %d bytes down, %d commands: %v", stories[story],
		time.Since(began).Round(time.Millisecond), whole.passed[up], whole.passed[down], whole.commands, usual)
	return whole, usual
}

// stride is how many bytes lie between two cuts of a whole sweep.
const stride = 61

// TestCutSweep drops the stream at one place of a promotion after the other, on hosts
// that are scripted: after every 61st byte in each direction, and at every command.
// Nothing hangs, rel knows what it knows, and the next run of it reaches the end that
// the promotion would have reached uncut. Without REL_TEST_LONG it is a sample; the
// whole wants a TMPDIR in memory, since every case has a journal that is synced.
func TestCutSweep(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	// Where it is cut, go-scp closes its input from two goroutines at once: the
	// sweep is of what is ours, and runs without the detector.
	if raced {
		out, err := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestCutSweep$", ".").CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		} else {
			t.Logf("%s", out)
		}
		return
	}
	defer setPauses(setPauses(50*time.Millisecond, 50*time.Millisecond))
	began := time.Now()
	var cases []sweepCase
	usual := make([]map[string]int, len(stories))
	for story := range stories {
		var whole *wire
		whole, usual[story] = uncut(t, story)
		cases = append(cases, cuts(story, whole)...)
	}
	// In no order, but always the same: however far it comes, it has been everywhere.
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
	results := make([]result, len(cases))
	turns := make(chan int)
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for i := range turns {
				results[i] = play(t, cases[i], usual[cases[i].story])
				if r := &results[i]; len(r.faults) > 0 {
					t.Errorf("%s: %s\n%s", r.name, strings.Join(r.faults, "; "), r.said)
				}
			}
		})
	}
	for i := range cases {
		if turns <- i; i > 0 && i%500 == 0 {
			t.Logf("%d of %d cases after %s", i, len(cases), time.Since(began).Round(time.Second))
		}
	}
	close(turns)
	workers.Wait()
	report(t, results, time.Since(began))
}

// setPauses sets the pauses before rel tries again, and returns what they were.
func setPauses(again, first time.Duration) (time.Duration, time.Duration) {
	wereAgain, wasFirst := phases.Again, firstPause
	phases.Again, firstPause = again, first
	return wereAgain, wasFirst
}

// cuts are those of a story: the next release is cut everywhere; the others, whose
// beginning is the same, at every command, and after some of the bytes.
func cuts(story int, whole *wire) (list []sweepCase) {
	every, step := 2, int64(stride*rounds(397, 1))
	if story != next {
		every, step = 4, int64(stride*rounds(797, 20))
	}
	for n := 1; n <= whole.commands; n++ {
		for i, ran := range []bool{false, true} {
			if long || (n+i)%every == 0 {
				list = append(list, sweepCase{cutting{command: n, ran: ran, all: n%3 == 0}, story})
			}
		}
	}
	for direction, bytes := range whole.passed {
		for i, n := 0, step; n <= bytes; i, n = i+1, n+step {
			list = append(list, sweepCase{cutting{at: n, direction: direction, all: i%2 == 0}, story})
		}
	}
	return list
}

func report(t *testing.T, results []result, took time.Duration) {
	t.Helper()
	classes, exits, seconds := map[string]int{}, map[int]int{}, map[int]int{}
	var longest result
	broken := 0
	for _, r := range results {
		classes[r.class]++
		exits[r.code]++
		if r.code != exitOK { // a sick one is always given up
			seconds[r.second]++
		}
		if r.took > longest.took {
			longest = r
		}
		if len(r.faults) > 0 {
			broken++
		}
	}
	if broken > 0 {
		t.Errorf("%d cases of %d are broken", broken, len(results))
	}
	t.Logf("figures: cut sweep: %d cases in %s; the longest, %s, took %s", len(results), took.Round(time.Second), longest.name, longest.took.Round(time.Millisecond))
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		t.Logf("figures: %5d %s", classes[class], class)
	}
	t.Logf("figures: exit statuses: %v; where it had to go on, of that run: %v", exits, seconds)
}
