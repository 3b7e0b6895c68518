package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// refusedLate starts a promotion that is refused once it is opened: somebody moves the
// build host's checkout before the build.
func refusedLate(t *testing.T, s *scene) (id string) {
	t.Helper()
	reached, letGo := s.grind.pausing("build")
	defer letGo()
	started := s.beside("start")
	<-reached
	s.build.mu.Lock()
	s.build.head = oldCommit
	s.build.mu.Unlock()
	letGo()
	if o := started(); o.code != exitRefused {
		t.Fatalf("exit %d: %s", o.code, o.out)
	}
	s.build.head = newCommit
	return s.events()[0].Promotion
}

// What was refused stays open. Without an id it is the one at work last that is gone on
// with, and none that a later one has overtaken.
func TestResumeTheLast(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	defer stop()
	older := refusedLate(t, s)
	time.Sleep(time.Second) // ids have seconds
	last := refusedLate(t, s)
	code, said, _ := s.rel("resume")
	if want := "note: going on with " + last + "; also stopped, and left as it is: " + older + " "; code != exitOK || s.target.live != last || !strings.Contains(said, want) {
		t.Errorf("exit %d, and %s is live, not %s: %s", code, s.target.live, last, said)
	}
	if code, said, _ := s.rel("resume"); code != exitRefused || !strings.Contains(said, "there is no promotion to go on with\n") {
		t.Errorf("exit %d: %s", code, said)
	}
	if code, said, _ := s.rel("resume", older); code != exitRefused || !strings.Contains(said, older+" was overtaken: "+last+" is live since") {
		t.Errorf("exit %d: %s", code, said)
	}
}

// Who goes on with an older one, by its id, and is stopped again, goes on with that.
func TestResumeTheOlder(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	defer stop()
	older := refusedLate(t, s)
	time.Sleep(time.Second)
	last := refusedLate(t, s)
	s.build.head = oldCommit
	if code, said, _ := s.rel("resume", older); code != exitRefused || strings.Contains(said, "also stopped") {
		t.Fatalf("exit %d: %s", code, said)
	}
	s.build.head = newCommit
	if code, said, _ := s.rel("resume"); code != exitOK || s.target.live != older || !strings.Contains(said, "also stopped, and left as it is: "+last+" ") {
		t.Errorf("exit %d, and %s is live, not %s: %s", code, s.target.live, older, said)
	}
}

// Of several promotions the one comes first that the targets may run, and that would have
// all others refused until it is settled; else the newest.
func TestResumeOneOfSeveral(t *testing.T) {
	for _, c := range []struct{ name, first, second, next string }{
		{"one is applied", "applied", "new", "20260101-000000-aaaaaaa"},
		{"one was cut in apply", "copied, cut", "new", "20260101-000000-aaaaaaa"},
		{"neither was applied", "copied", "synced", "20260102-000000-bbbbbbb"},
	} {
		pasts := []*machine.Past{{ID: "20260101-000000-aaaaaaa", State: c.first}, {ID: "20260102-000000-bbbbbbb", State: c.second}}
		if state, isCut := strings.CutSuffix(c.first, ", cut"); isCut {
			pasts[0].State, pasts[0].Unsettled = state, &journal.Event{Phase: "apply"}
		}
		if past, err := new(resumeCmd).choose(machine.NewHistory(pasts)); err != nil || past.ID != c.next {
			t.Errorf("%s: %+v, %v", c.name, past, err)
		}
	}
}
