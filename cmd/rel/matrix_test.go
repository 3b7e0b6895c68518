package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote/lab"
)

// cell is one case of the matrix: in this phase, at this moment, this happens. The
// phase of a rollback is its apply.
type cell struct {
	phase, moment string
	injury        *injury
}

func (c cell) String() string { return c.phase + "." + c.moment + "." + c.injury.name }

// moments are those of an attempt. In the midst of the act is no point of the program,
// but a time.
var moments = []string{"before-intent", "after-intent", "mid-action", "after-action", "after-outcome"}

// midway is which part of an act has passed in its midst.
const midway = 0.4

// endTime is how long rel may take to end by itself, whatever happened to it.
const endTime = 4 * time.Minute

// cells are all cases, first those of the phases that change a target; or a sample, in
// which each injury and each moment interrupts something.
func cells() []cell {
	names := []string{"rollback"}
	for _, phase := range slices.Backward(phases.Forward) {
		names = append(names, phase.Name)
	}
	var all []cell
	for _, phase := range names {
		for _, moment := range moments {
			for i := range injuries {
				all = append(all, cell{phase, moment, &injuries[i]})
			}
		}
	}
	sample := []string{
		"rollback.before-intent.SIGINT", "rollback.mid-action.power", "rollback.after-outcome.sshd",
		"health.after-action.power", "apply.after-intent.hole", "apply.mid-action.SIGKILL",
		"copy.mid-action.cut", "copy.after-action.SIGKILL",
	}
	if !long {
		all = slices.DeleteFunc(all, func(c cell) bool { return !slices.Contains(sample, c.String()) })
	}
	return all
}

// TestMatrix cuts a promotion off in every phase, at every moment, in every way. After
// each the target is exactly old or exactly new and well, one resume reaches new, and
// the next has nothing to do.
func TestMatrix(t *testing.T) {
	t.Parallel()
	rel := program(t)
	all := cells()
	todo := make(chan cell, len(all))
	for _, c := range all {
		todo <- c
	}
	close(todo)
	sum := newTally()
	t.Run("labs", func(t *testing.T) {
		for i := range rounds(1, 3) {
			t.Run(fmt.Sprintf("lab-%d", i+1), func(t *testing.T) {
				m := &matrix{world: newWorld(t, 1), program: rel, took: map[string]time.Duration{}}
				m.calibrate()
				for c := range todo {
					m.next(c, sum)
				}
			})
		}
	})
	sum.report(t)
}

// matrix is what the cases of one lab have in common.
type matrix struct {
	*world
	program string
	// took is how long the act of each phase takes here.
	took map[string]time.Duration
	// other is a release that was live before the one that is.
	other *phases.Release
	done  int
}

// calibrate makes the first releases, and measures the phases.
func (m *matrix) calibrate() {
	m.t.Helper()
	m.rewrite(`confirm      = "60s"`, `confirm = "30s"`, `successes = 2`, `successes = 1`)
	m.must(exitOK, "start")
	m.bump(lab.Bump{})
	m.must(exitOK, "start")
	m.learn("")
	m.other = m.past().Release()
	m.must(exitOK, "rollback")
	m.learn("")
	m.t.Logf("the phases take %v", m.took)
}

// learn measures the phases of the newest promotion, but for the one that was harmed.
// The machine is faster at one time than at another.
func (m *matrix) learn(harmed string) {
	m.t.Helper()
	back := m.past().Start.Kind == machine.Rollback // which mostly has nothing to copy
	for _, ev := range m.events(m.newest()) {
		if ev.Kind == journal.Moved && ev.Phase != "" && ev.Phase != harmed && (ev.Phase != "copy" || !back) {
			m.took[ev.Phase] = time.Duration(ev.Millis) * time.Millisecond
		}
	}
}

// next runs a case. After one that failed the lab is brought to a healthy release,
// since each case begins with one.
func (m *matrix) next(c cell, sum *tally) {
	ran := false
	passed := m.t.Run(c.String(), func(t *testing.T) {
		ran = true
		whole := m.world
		m.world = whole.in(t)
		defer func() { m.world = whole }()
		began := time.Now()
		outcome := m.run(c)
		sum.add(c, outcome, time.Since(began))
	})
	if !passed {
		m.rel("abort", m.newest())
		m.bump(lab.Bump{})
		m.must(exitOK, "start")
	}
	if m.done++; ran && m.done%8 == 0 {
		// The stores are in memory.
		for _, host := range append(m.Targets(), m.BuildHost()) {
			m.exec(host, "nix-collect-garbage >/dev/null 2>&1")
		}
	}
}

// run is one case; it returns how the promotion that was cut off ended.
func (m *matrix) run(c cell) string {
	m.t.Helper()
	target := m.Targets()[0]
	command, phase := []string{"start"}, c.phase
	if c.phase == "rollback" {
		command, phase = []string{"rollback", m.other.ID}, "apply"
	} else {
		m.bump(lab.Bump{Only: "sandbox"})
	}
	before, last := m.standing(target), m.newest()
	m.other = m.past().Release()

	code, said, again := m.injure(c, phase, command...)
	past := m.past()
	if past.ID == last {
		m.t.Fatalf("no promotion was opened:\n%s", said)
	}
	release := linksOf(past.Release())
	m.t.Logf("%s: exit %d, the journal has it %s\n%s", c, code, past.State, said)
	m.oldOrNew(target, before.links, release, past)
	result := ended(code, again, past.State)

	if past.State != machine.Healthy {
		m.must(exitOK, "resume")
		past = m.past()
		release = linksOf(past.Release())
	}
	if now := m.standing(target); !now.is(release) || now.live != past.ID {
		m.t.Errorf("%s is to be live, and the target is\n%s", past.ID, now.text)
	}
	m.serves(past.Release().Commit)
	m.nothingLeft(target)
	m.learn(phase)
	return result
}

// oldOrNew checks what the target is after the cut, before anyone has come back.
func (m *matrix) oldOrNew(target string, old, release map[string]string, past *machine.Past) {
	m.t.Helper()
	now := m.standing(target)
	switch {
	case release != nil && now.is(release):
		if now.live == past.ID {
			m.serves(past.Release().Commit)
		}
	case !now.is(old):
		m.t.Errorf("the target is neither old nor new:\n%s\nold\n%v\nnew\n%v", now.text, old, release)
	case now.live == past.ID:
		m.t.Errorf("the target has %s for live, and is not on it:\n%s", past.ID, now.text)
	}
}

// nothingLeft checks that a second resume has nothing to go on with, and that the
// journal is whole.
func (m *matrix) nothingLeft(target string) {
	m.t.Helper()
	before, lines := m.runs(target), m.appliedLines(target)
	m.must(exitRefused, "resume").mentions(m.t, "there is no promotion to go on with")
	if now := m.runs(target); now != before {
		m.t.Errorf("the second resume changed the target:\n%s\nbefore\n%s", now, before)
	}
	if now := m.appliedLines(target); now != lines {
		m.t.Errorf("the second resume applied something: %d lines in the ledger, before %d", now, lines)
	}
	m.must(exitOK, "log", "--verify")
}

// injure runs rel, harms it at the moment, and returns how it ended. again says that it
// had to connect to a host once more.
func (m *matrix) injure(c cell, phase string, command ...string) (code int, said string, again bool) {
	m.t.Helper()
	proxies, sshConfig := m.behind()
	point := filepath.Join(m.t.TempDir(), phase+"."+strings.Replace(c.moment, "mid-action", "after-intent", 1))
	if err := os.WriteFile(point+".stop", nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(m.program, append(command, "--progress=plain",
		"--config", m.config, "--journal", m.journal, "--ssh-config", sshConfig)...)
	cmd.Env = append(os.Environ(), "REL_FAULT_DIR="+filepath.Dir(point))
	var talk syncBuffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()

	m.reach(point, ended, &talk)
	proceed := func() {
		if err := os.Remove(point + ".reached"); err != nil {
			m.t.Error(err)
		}
	}
	if c.moment == "mid-action" {
		proceed()
		time.Sleep(time.Duration(midway * float64(m.took[phase])))
	}
	p := &patient{world: m.world, process: cmd, proxies: proxies, target: m.Targets()[0]}
	if err := c.injury.harm(p); err != nil {
		m.t.Errorf("%s: %v", c, err)
	}
	if c.moment != "mid-action" {
		time.Sleep(50 * time.Millisecond) // rel gets a signal before it goes on
		proceed()
	}
	mended := make(chan error, 1)
	go func() {
		if c.injury.mend != nil {
			mended <- c.injury.mend(p)
		}
		close(mended)
	}()
	select {
	case <-ended:
	case <-time.After(endTime):
		m.t.Errorf("rel did not end within %s", endTime)
		_ = cmd.Process.Kill()
		<-ended
	}
	if err := <-mended; err != nil {
		m.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), talk.String(), slices.ContainsFunc(proxies, (*proxy).again)
}

// reach waits until rel is at the point.
func (m *matrix) reach(point string, ended chan error, talk *syncBuffer) {
	m.t.Helper()
	for until := time.Now().Add(endTime); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(point + ".reached"); err == nil {
			return
		}
		if len(ended) > 0 {
			break
		}
	}
	m.t.Fatalf("rel never came to %s:\n%s", filepath.Base(point), talk.String())
}

// ended names how a run that was cut off ended.
func ended(code int, again bool, state string) string {
	switch {
	case code == exitOK && again:
		return "recovered"
	case state == machine.Healthy:
		return through
	}
	names := map[int]string{
		-1: "killed", exitInterrupted: "interrupted", exitUnreachable: "lost", exitReverted: "went back",
		exitPerson: "person", exitHeld: "held", exitFailed: "failed",
	}
	if name := names[code]; name != "" {
		return name
	}
	return fmt.Sprintf("exit %d", code)
}

// through is a promotion that nothing happened to.
const through = "went through"

// tally counts how the cases ended.
type tally struct {
	mu sync.Mutex
	// by injury, moment and phase.
	results map[string]map[string]int
	took    map[string]time.Duration
	cases   int
}

func newTally() *tally {
	return &tally{results: map[string]map[string]int{}, took: map[string]time.Duration{}}
}

func (s *tally) add(c cell, result string, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cases++
	s.took[c.injury.name] += took
	for _, key := range []string{"of " + c.injury.name, "at " + c.moment, "in " + c.phase} {
		if s.results[key] == nil {
			s.results[key] = map[string]int{}
		}
		s.results[key][result]++
	}
}

// report prints the histogram. An injury or a moment that interrupted nothing was not
// tried.
func (s *tally) report(t *testing.T) {
	t.Helper()
	t.Logf("figures: matrix: %d cases; time by injury: %v", s.cases, s.took)
	var keys []string
	for key := range s.results {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		t.Logf("figures: %-20s %v", key, s.results[key])
		if s.results[key][through] > 0 && len(s.results[key]) == 1 && !strings.HasPrefix(key, "in ") {
			t.Errorf("%s: not one case was interrupted", key)
		}
	}
}
