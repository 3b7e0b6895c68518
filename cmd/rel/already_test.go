package main

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// TestNothingToDo: a start of what is live asks each host once, and each check; it takes
// no hold and records nothing. (What it is all to look at: phases' TestAlreadyLive, and
// the lab's.)
func TestNothingToDo(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("there is no ssh to resolve names with")
	}
	s, stop := newScene(t, cutting{}, next)
	defer stop()
	if code, said, _ := s.rel("start"); code != exitOK {
		t.Fatalf("exit %d: %s", code, said)
	}
	live, ledger := s.events()[0].Promotion, len(s.target.ledger)
	for _, progress := range []string{"plain", "json"} {
		recorded, before := len(s.events()), s.wire.counts()
		code, said, _ := s.rel("start", "--progress="+progress)
		result := live + " already live and healthy on prod: the newest\n"
		if progress == "json" {
			var ev journal.Event
			if err := json.Unmarshal([]byte(said[strings.Index(said, "{"):]), &ev); err != nil || ev.Promotion != live || ev.State != machine.Healthy || ev.Seq != 0 {
				t.Errorf("it says %q (%v)", said, err)
			}
			result = ""
		}
		if code != exitOK || !strings.HasSuffix(said, result) {
			t.Errorf("exit %d: %s", code, said)
		}
		now := s.wire.counts()
		delete(now, "shell") // which wait for scripts
		delete(before, "shell")
		for name, n := range before {
			if now[name] -= n; now[name] == 0 {
				delete(now, name)
			}
		}
		if want := map[string]int{"pin": 1, "look": 1, "sync look": 1}; !maps.Equal(now, want) {
			t.Errorf("it ran %v, want %v", now, want)
		}
		if n := len(s.events()); n != recorded || len(s.target.ledger) != ledger {
			t.Errorf("the journal has %d events, before %d; the ledger %d lines, before %d", n, recorded, len(s.target.ledger), ledger)
		}
	}
	// Another operator's journal has nothing against it, and neither has this one against
	// what another operator made live since.
	elsewhere := []string{"--journal", filepath.Join(s.dir, "elsewhere", "journal.db")}
	if code, said, _ := s.rel(append(elsewhere, "start")...); code != exitOK || !strings.Contains(said, live+" already live") {
		t.Errorf("with an empty journal: exit %d: %s", code, said)
	}
	time.Sleep(time.Second) // two operators' promotions of one second have one name
	if code, said, _ := s.rel(append(elsewhere, "start", "--force")...); code != exitOK || strings.Contains(said, "already live") {
		t.Errorf("--force: exit %d: %s", code, said)
	}
	forced := s.target.live
	if code, said, _ := s.rel("start"); code != exitOK || forced == live || !strings.Contains(said, forced+" already live") {
		t.Errorf("made live from elsewhere: exit %d: %s", code, said)
	}
	// But where it has for live what the target has not, a promotion brings them together.
	time.Sleep(time.Second)
	if code, said, _ := s.rel("start", "--force"); code != exitOK {
		t.Fatalf("exit %d: %s", code, said)
	}
	mine := s.target.live
	s.target.live = forced
	s.build.files["/tmp/app.env"] = s.target.releases[forced].manifest
	s.target.files["/tmp/app.env"] = s.target.releases[forced].manifest
	if code, said, _ := s.rel("start"); code != exitOK || s.target.live == forced || s.target.live == mine {
		t.Errorf("the journal has %s for live: exit %d, and %s: %s", mine, code, s.target.live, said)
	}
}
