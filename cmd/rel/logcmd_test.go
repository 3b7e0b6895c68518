package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// keep appends what was told to a journal.
func (c *chronicler) keep(t *testing.T, j *journal.Journal) {
	t.Helper()
	for _, ev := range c.events {
		j.Operator = ev.Operator
		if _, err := j.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
}

// logged is a journal with one promotion that was rolled back, the rollback, and one that
// failed; and rel, to read it with.
func logged(t *testing.T) (j *journal.Journal, rel func(args ...string) outcome) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "journal.db")
	j = journal.New(path)
	live, _ := living(t)
	live.keep(t, j)
	failing().keep(t, j)
	return j, func(args ...string) outcome {
		var out, said syncBuffer
		code := run(t.Context(), append(args, "--journal", path), stdio{out: &out, err: &said})
		return outcome{code, out.String(), said.String()}
	}
}

func TestLogFilters(t *testing.T) {
	_, rel := logged(t)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"", []string{failID, liveID}},
		{"-n 1", []string{failID}},
		{"-n 0", []string{failID, liveID}},
		{"--failed", []string{failID}},
		{"--operator ana", []string{failID, liveID}},
		{"--operator ana --failed", []string{failID}},
		{"--operator bo", nil}, // who took it up is not who opened it
		{"--since 2026-11-22", []string{failID}},
		{"--since 2026-11-20 -n 1", []string{failID}},
		{"--since 2026-11-20", []string{failID, liveID}},
		{"--since 2026-11-24", nil},
		{"--failed --since 2026-11-22 --operator mbp -n 3", []string{failID}},
	} {
		o := rel(strings.Fields("log --json " + c.args)...)
		var got []string
		for line := range strings.Lines(o.out) {
			var p promotionJSON
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			got = append(got, p.ID)
		}
		if o.code != exitOK || !slices.Equal(got, c.want) {
			t.Errorf("log %s: exit %d, %v, want %v", c.args, o.code, got, c.want)
		}
		table := rel(strings.Fields("log " + c.args)...)
		if lines := strings.Count(table.out, "\n"); len(c.want) > 0 && lines != 1+len(c.want) || len(c.want) == 0 && table.err != "no such promotions\n" {
			t.Errorf("log %s: %s%s", c.args, table.out, table.err)
		}
	}
}

func TestLogOfOne(t *testing.T) {
	j, rel := logged(t)
	for _, attempt := range []int{1, 2} {
		file, err := j.Output(failID, "build", attempt)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.WriteString("18:32:29 choiros-grind: building " + strings.Repeat("I", attempt) + "\n")
		file.Close()
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"68aa", exitOK, "promotion    " + failID},
		{"03eba31 --manifest", exitOK, "RELEASE_SHORT_SHA=03eba31\n"},
		{failID + " --output build", exitOK, "18:32:29 choiros-grind: building II\n"},
		{failID + " --output build --attempt 1", exitOK, "18:32:29 choiros-grind: building I\n"},
		{failID + " --output build --attempt 3", exitUsage, "has no attempt 3 at build; it has sync (1 attempt), verify (1 attempt), build (2 attempts), copy (1 attempt), apply (1 attempt)"},
		{failID + " --output health", exitUsage, "has no health phase that was begun; it has sync"},
		{failID + " --output copy", exitOK, "nothing was printed in attempt 1 at copy"},
		{"nope", exitUsage, `no promotion is called "nope"`},
		{"--output build", exitUsage, "--output and --manifest are of one promotion"},
		{"68aa --failed", exitUsage, "an id names one"},
		{"68aa --json --manifest", exitUsage, "one at a time"},
		{"68aa --attempt 2", exitUsage, "--attempt is of a phase's output"},
		{"--since noon", exitUsage, "neither a duration (36h, 7d) nor a date"},
	} {
		o := rel(strings.Fields("log " + c.args)...)
		if o.code != c.code || !strings.Contains(o.out+o.err, c.says) {
			t.Errorf("log %s: exit %d, %s%s", c.args, o.code, o.out, o.err)
		}
	}
	unbuilt := failing()
	unbuilt.events = unbuilt.events[:3]
	for i := range unbuilt.events {
		unbuilt.events[i].Promotion = "20261125-000000-68aace9"
	}
	unbuilt.keep(t, j)
	if o := rel("log", "20261125", "--manifest"); o.code != exitRefused || !strings.Contains(o.err, "it never came to be built (it is new)") {
		t.Errorf("a manifest of nothing: exit %d, %s%s", o.code, o.out, o.err)
	}
}

// The exit status of a run is what it recorded; of an older rel's, what its events say.
func TestExitStatus(t *testing.T) {
	stop := func(kind journal.Kind, phase string) []journal.Event {
		return []journal.Event{{Kind: journal.Intent, Phase: phase, Attempt: 1}, {Kind: kind, Phase: phase, Attempt: 1}}
	}
	left, _ := machine.Leave("x", "apply failed", machine.Ending{Exit: exitHeld})
	moved := func(from, to string) journal.Event { return journal.Event{Kind: journal.Moved, From: from, State: to} }
	for name, c := range map[string]struct {
		events []journal.Event
		want   int
	}{
		"healthy":               {[]journal.Event{moved("applied", "healthy")}, exitOK},
		"given up":              {[]journal.Event{moved("built", "aborted")}, exitFailed},
		"given up and put back": {append(stop(journal.Failed, "apply"), left, moved("applied", "reverted")), exitReverted},
		"recorded":              {append(stop(journal.Failed, "apply"), left), exitHeld},
		"interrupted":           {stop(journal.Interrupted, "copy"), exitInterrupted},
		"cut in a phase":        {stop(journal.Failed, "build")[:1], exitInterrupted},
		"cut between":           {[]journal.Event{moved("new", "synced")}, exitInterrupted},
		"taken up, and cut":     {append(stop(journal.Failed, "build"), left, journal.Event{Kind: journal.Resumed}), exitInterrupted},
		"failed in build":       {stop(journal.Failed, "build"), exitFailed},
		"failed in apply":       {stop(journal.Failed, "apply"), exitPerson},
		"unhealthy, and back":   {append(stop(journal.Failed, "health"), moved("applied", "copied")), exitReverted},
		"unhealthy, and kept":   {append([]journal.Event{moved("copied", "applied")}, stop(journal.Failed, "health")...), exitPerson},
	} {
		teller := &chronicler{}
		teller.open("x", machine.Start{Schema: 1, Kind: machine.Forward, Plan: tellPlan(liveCommit, "s")})
		for _, ev := range c.events {
			teller.add(ev)
		}
		if got := exitStatus(teller.row(t).past, teller.events); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// Reading is all that the log does: no journal is made, and none changed.
func TestLogChangesNothing(t *testing.T) {
	j, rel := logged(t)
	before, err := os.ReadFile(j.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"", failID, "--json", failID + " --json", "--failed"} {
		if o := rel(strings.Fields("log " + args)...); o.code != exitOK {
			t.Errorf("log %s: exit %d, %s", args, o.code, o.err)
		}
	}
	if after, err := os.ReadFile(j.Path()); err != nil || string(after) != string(before) {
		t.Errorf("the journal was changed: %v", err)
	}
}
