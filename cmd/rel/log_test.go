package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what was printed with a file of testdata/log.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "log", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// abroad is where the golden files were written: times are told as the reader's.
func abroad(t *testing.T) {
	t.Helper()
	before := time.Local
	time.Local = time.FixedZone("", 2*60*60)
	t.Cleanup(func() { time.Local = before })
}

// chronicler writes promotions as they would be recorded, a second apart.
type chronicler struct {
	at     time.Time
	seq    int64
	id     string
	who    journal.Operator
	events []journal.Event
}

func (c *chronicler) open(id string, start machine.Start) {
	c.id, c.events = id, nil
	c.add(journal.Event{Kind: journal.Opened, State: machine.New, Text: start.Plan.Subject, Data: encoded(start)})
}

func (c *chronicler) add(ev journal.Event) {
	c.seq++
	c.at = c.at.Add(time.Second)
	ev.Seq, ev.At, ev.Promotion, ev.Operator = c.seq, c.at, c.id, c.who
	c.events = append(c.events, ev)
}

// phase is an attempt that notes something and reaches a state.
func (c *chronicler) phase(name string, attempt int, from, state string, facts *phases.Facts, notes ...string) {
	c.begin(name, attempt, notes...)
	c.add(journal.Event{Kind: journal.Moved, Phase: name, Attempt: attempt, From: from, State: state, Millis: 2100, Data: encoded(facts)})
}

// begin is an attempt whose end is to come; notes are "host: text".
func (c *chronicler) begin(name string, attempt int, notes ...string) {
	c.add(journal.Event{Kind: journal.Intent, Phase: name, Attempt: attempt})
	for _, note := range notes {
		host, text, _ := strings.Cut(note, ": ")
		c.add(journal.Event{Kind: journal.Note, Phase: name, Attempt: attempt, Host: host, Text: text})
	}
}

func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func (c *chronicler) row(t *testing.T) logRow {
	t.Helper()
	past, err := machine.Replay(c.events)
	if err != nil {
		t.Fatal(err)
	}
	return logRow{past: past, events: c.events}
}

const (
	liveID = "20261121-100000-03eba31"
	failID = "20261122-225129-68aace9"
	backID = "20261123-090000-03eba31"
)

func tellPlan(commit, subject string) phases.Plan {
	return phases.Plan{App: "choiros", Branch: "main", Commit: commit, Subject: subject, Build: phases.Site{Host: "choiros-grind"},
		Targets: []phases.Site{{Host: "choiros-prod"}, {Host: "choiros-prod-2"}}}
}

func tellRelease(id, commit string) *phases.Release {
	artifact := phases.Artifact{Name: "hypervisor", Flake: "./hypervisor#hypervisor", Binary: "bin/hypervisor", Link: "/opt/choiros/bin/hypervisor"}
	path := storePath(commit, "hypervisor-"+commit[:3])
	return &phases.Release{ID: id, Commit: commit, Outputs: []phases.Output{{Artifact: artifact, Path: path}},
		CreatedAt: time.Date(2026, 11, 22, 20, 51, 40, 0, time.UTC), Repo: "/opt/choiros/workspace",
		Closure: []string{storePath(commit, "libc"), path}, Bytes: 17301504}
}

var (
	liveCommit = "03eba31" + strings.Repeat("0", 33)
	failCommit = "68aace9" + strings.Repeat("0", 33)
)

// failing is a promotion that was stopped, resumed on the next day by another, and whose
// release did not stay up.
func failing() *chronicler {
	c := &chronicler{at: time.Date(2026, 11, 22, 20, 51, 28, 0, time.UTC), who: journal.Operator{Name: "ana@mbp", Key: "SHA256:2mTbQ"}}
	release := tellRelease(failID, failCommit)
	c.open(failID, machine.Start{Schema: 1, Kind: machine.Forward, Plan: tellPlan(failCommit, "login: ask twice, \x1b[31mfor sure"), Why: "the demo"})
	c.phase("sync", 1, "new", "synced", &phases.Facts{Sync: &phases.Synced{Before: map[string]string{"choiros-grind": liveCommit, "choiros-prod": liveCommit}}},
		"choiros-grind: 03eba31 -> 68aace9")
	c.phase("verify", 1, "synced", "verified", &phases.Facts{Verify: &phases.Verified{Targets: map[string]phases.TargetBefore{
		"choiros-prod": {Live: liveID, Commit: liveCommit}, "choiros-prod-2": {}}}},
		"choiros-prod: ready; runs "+liveID, "choiros-prod-2: ready; runs no release yet")
	c.begin("build", 1, ": undecided")
	c.add(journal.Event{Kind: journal.Interrupted, Phase: "build", Attempt: 1, Millis: 65000, Text: "interrupted by the operator"})
	c.at = c.at.Add(10 * time.Hour)
	c.who = journal.Operator{Name: "bo@pc"}
	c.add(journal.Event{Kind: journal.Resumed, State: "verified"})
	c.phase("build", 2, "verified", "built", &phases.Facts{Build: release}, "choiros-grind: 1 artifact, 2 paths, 16.5 MiB")
	c.phase("copy", 1, "built", "copied", &phases.Facts{Copy: &phases.Copied{Targets: map[string]phases.Sent{
		"choiros-prod": {Paths: 1, Bytes: 7340032, Unpacked: 17301504, Millis: 500, Way: phases.Direct, Why: "it is there sooner",
			Bases: map[string]string{release.Outputs[0].Path: storePath(liveCommit, "hypervisor-03e")},
			Ahead: []phases.Sent{{Paths: 1, Bytes: 900, Way: phases.Relayed}}},
		"choiros-prod-2": {}}}}, "choiros-prod: 1 of 2 paths")
	c.begin("apply", 1)
	c.add(journal.Event{Kind: journal.Failed, Phase: "apply", Attempt: 1, Millis: 4000, Text: "choiros-prod: hypervisor did not stay up for 4s",
		Data: encoded(&phases.Facts{Apply: &phases.Applied{Targets: map[string]phases.Outcome{
			"choiros-prod": {Attempt: 1, Result: "reverted", Unit: "hypervisor", Text: "hypervisor did not stay up for 4s"}, "choiros-prod-2": {}}}})})
	ev, _ := machine.Leave(failID, "apply failed: choiros-prod: hypervisor did not stay up for 4s", machine.Ending{Exit: exitReverted,
		Targets: []string{"choiros-prod runs 03eba31 (" + liveID + ")"}, Next: "rel resume " + failID})
	c.add(ev)
	return c
}

// living is a promotion that became healthy, and the rollback that took it off again.
func living(t *testing.T) (c *chronicler, next *machine.Past) {
	t.Helper()
	c = &chronicler{at: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), who: journal.Operator{Name: "ana@mbp"}}
	release := tellRelease(liveID, liveCommit)
	c.open(liveID, machine.Start{Schema: 1, Kind: machine.Forward, Plan: tellPlan(liveCommit, "漢字 in names")})
	c.phase("apply", 1, "copied", "applied", &phases.Facts{Build: release})
	c.phase("health", 1, "applied", "healthy", &phases.Facts{Health: &phases.Checked{Results: []phases.Result{
		{Check: "up", Host: "choiros-prod", Verdict: phases.Passed, Attempts: 2}, {Check: "page", Verdict: phases.Passed, Attempts: 1}}}},
		`choiros-prod: check "up" passed after 2 attempts`, "choiros-prod: confirmed")
	back := &chronicler{at: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC), who: journal.Operator{Name: "bo@pc"}}
	plan := tellPlan(liveCommit, "the one before")
	plan.Release, plan.From = tellRelease("20261120-100000-1111111", liveCommit), liveID
	back.open(backID, machine.Start{Schema: 1, Kind: machine.Rollback, Plan: plan})
	back.phase("health", 1, "applied", "healthy", &phases.Facts{})
	return c, back.row(t).past
}

func TestTable(t *testing.T) {
	abroad(t)
	live, next := living(t)
	working := failing().row(t)
	working.working = true
	cut := failing()
	cut.events = cut.events[:8]
	rows := []logRow{{past: next}, failing().row(t), live.row(t), working, cut.row(t)}
	for _, width := range []int{0, 200, 100, 80, 60, 40, 10} {
		var out bytes.Buffer
		writeTable(&out, width, unpainted, rows)
		golden(t, fmt.Sprintf("table-%d.txt", width), out.String())
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if w := displaywidth.String(line); width >= 40 && w > width || strings.HasSuffix(line, " ") || strings.ContainsAny(line, "\t\x1b") {
				t.Errorf("at %d: %q is %d wide", width, line, w)
			}
		}
	}
	var out bytes.Buffer
	writeTable(&out, 80, func(colour, text string) string { return "<" + colour + ":" + text + ">" }, rows)
	golden(t, "table-colour.txt", out.String())
}

func TestStory(t *testing.T) {
	abroad(t)
	path := func(id, phase string, attempt int) string {
		return fmt.Sprintf("logs/%s/%s-%d.log", id, phase, attempt)
	}
	tell := func(name string, s telling) {
		var out bytes.Buffer
		s.path, s.paint = path, unpainted
		s.write(&out)
		golden(t, name, out.String())
	}
	fail := failing().row(t)
	tell("story-failed.txt", telling{past: fail.past, events: fail.events})
	live, next := living(t)
	row := live.row(t)
	tell("story-rolled-back.txt", telling{past: row.past, events: row.events, next: next})
	tell("story-rollback.txt", telling{past: next})
	cut := failing()
	cut.events = cut.events[:9]
	row = cut.row(t)
	tell("story-cut.txt", telling{past: row.past, events: row.events})
	tell("story-at-work.txt", telling{past: row.past, events: row.events, working: true})
	given := failing()
	given.add(journal.Event{Kind: journal.Moved, From: "copied", State: machine.Reverted, Text: "it will not do"})
	row = given.row(t)
	tell("story-given-up.txt", telling{past: row.past, events: row.events})
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"36h": "20261121-230000", "7d": "20261116-110000", "90m": "20261123-093000", "2026-11-01": "20261031-230000", "0d": "20261123-110000",
		"": "", "yesterday": "", "-1h": "", "-1d": "", "2026-13-01": "", "d": "", "7": "",
	} {
		at, err := parseSince(text, now)
		if got := at.UTC().Format(idTime); want == "" && err == nil || want != "" && (err != nil || got != want) {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
}
