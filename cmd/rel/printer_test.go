package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

const id = "20261122-183229-dc8876b"

func unpainted(_, text string) string { return text }

// began is an event that every printer shows.
var began = journal.Event{Kind: journal.Intent, Phase: "sync", Attempt: 1}

func TestJSONPrinter(t *testing.T) {
	var out, err bytes.Buffer
	p := &jsonPrinter{out: &out, err: &err}
	p.Event(began)
	p.Line("h", "not an event")
	p.Say("nor this")
	const want = `{"schema":1,"seq":0,"at":"0001-01-01T00:00:00Z","promotion":"","kind":"intent","operator":{"name":""},"phase":"sync","attempt":1,"prev":""}` + "\n"
	if out.String() != want || err.String() != "nor this\n" {
		t.Errorf("got %q and %q", out.String(), err.String())
	}
}

// Every kind of failure has its exit status, and words of its own.
func TestExplain(t *testing.T) {
	phase := func(err error) error { return &machine.PhaseError{Phase: "apply", Attempt: 1, Err: err} }
	cases := []struct {
		err  error
		code int
		says string
	}{
		{errors.New("x"), exitFailed, "x"},
		{&machine.PhaseError{Phase: "build", Err: &remote.ExitError{Host: "h", Script: "the build", Status: 1, Tail: []string{"why"}}}, exitFailed,
			"build failed: h: the build failed with status 1: why"},
		{phase(&remote.ExitError{Host: "h", Script: "start.sh", Status: 1}), exitPerson, "apply failed: h: start.sh"},
		{phase(&phases.BackError{Err: &phases.ApplyError{Host: "h", Outcome: phases.Outcome{Result: "refused"}}}), exitReverted, "h"},
		{phase(&phases.BackError{Err: phases.HostErrors{errors.New("x"), &phases.ApplyError{Outcome: phases.Outcome{Result: "stuck"}}}}), exitPerson, ""},
		{phase(&phases.UnconfirmedError{Reason: "h went back", Back: true}), exitReverted, "h went back"},
		{&machine.PhaseError{Phase: "copy", Interrupted: true, Err: errInterrupted}, exitInterrupted, "copy: stopped by the operator"},
		{phase(&phases.ApplyError{Host: "h", Outcome: phases.Outcome{Result: "reverted", Text: "u died"}}), exitReverted, "h: u died"},
		{phase(&phases.ApplyError{Host: "h", Outcome: phases.Outcome{Result: "stuck", Unit: "u"}}), exitPerson, "h"},
		{phase(&phases.ApplyError{Host: "h", Outcome: phases.Outcome{Result: "refused"}}), exitRefused, "h"},
		{phase(&phases.UnhealthyError{Results: []phases.Result{{Check: "c", Verdict: phases.Failed}}}), exitReverted, `check "c"`},
		{phase(&phases.UnhealthyError{Kept: true, Results: []phases.Result{{Check: "c", Verdict: phases.Inconclusive}}}), exitPerson, "inconclusive"},
		{phase(&phases.UnconfirmedError{Reason: "h"}), exitPerson, "cannot be confirmed"},
		{phase(&remote.LostError{Host: "h", Err: errors.New("eof")}), exitUnreachable, "lost"},
		{&remote.SudoError{Host: "h", User: "u", Said: "no"}, exitRefused, "u cannot become root"},
		{&journal.BusyError{}, exitHeld, "in use"},
		{&journal.ClaimedError{Holder: journal.Claim{PID: 7, Promotion: "p"}}, exitHeld, "pid 7"},
		{&journal.DamagedError{Backup: "/b"}, exitDamaged, "damaged"},
		{&journal.ChainError{Seq: 3}, exitDamaged, "record 3"},
		{&journal.NewerError{}, exitUsage, "schema"},
		{&idError{Name: "x"}, exitUsage, `no promotion is called "x"`},
		{&idError{Name: "20261122-183229-adopted"}, exitUsage, `no promotion is called "20261122-183229-adopted" here: what a target adopted is in the journal of whoever`},
		{&refusedError{Text: "no"}, exitRefused, "no"},
		{phases.HostErrors{&phases.Refusal{Reason: phases.Dirty, Host: "a", Thing: "/r"}, &remote.DialError{Host: "b", Err: errors.New("x")}}, exitUnreachable, "a: /r has uncommitted"},
		{phases.HostErrors{&phases.UnhealthyError{Kept: true}, &phases.ApplyError{Outcome: phases.Outcome{Result: "stuck"}}}, exitPerson, ""},
	}
	for _, c := range cases {
		e := explain(c.err)
		if e.code != c.code || !strings.Contains(e.what, c.says) {
			t.Errorf("%v: %d %q, want %d %q", c.err, e.code, e.what, c.code, c.says)
		}
	}
}

// Every refusal has words and a cure.
func TestExplainRefusals(t *testing.T) {
	for r := range refusals {
		e := explain(&phases.Refusal{Reason: r, Host: "h", Thing: "thing", Items: []string{"item"}})
		if strings.Contains(e.what+e.cure, "{") && r != phases.Diverged {
			t.Errorf("%s has a word that nothing stands for: %+v", r, e)
		}
		want := exitRefused
		if r == phases.Held {
			want = exitHeld
		}
		if e.code != want || !strings.HasPrefix(e.what, "h: ") || e.cure == "" {
			t.Errorf("%s is explained as %+v", r, e)
		}
	}
}

func TestFind(t *testing.T) {
	past := func(id, commit string) *machine.Past {
		p := &machine.Past{ID: id}
		p.Start.Plan.Commit = commit
		return p
	}
	history := machine.NewHistory([]*machine.Past{
		past("20261122-183229-dc8876b", "dc8876b000000000"), past("20261122-190000-aaaa111", "aaaa111000000000"),
		past("20261123-000000-dc8876b", "dc8876b000000000"), past("20261121-000000-adopted", ""),
	})
	for name, want := range map[string]string{
		"20261122-183229-dc8876b": "20261122-183229-dc8876b", "20261122-18": "20261122-183229-dc8876b", "aaaa": "20261122-190000-aaaa111",
		"aaaa1110000": "20261122-190000-aaaa111", "20261123": "20261123-000000-dc8876b",
		"adopted": "20261121-000000-adopted", "adop": "20261121-000000-adopted", "20261121-000000-adopted": "20261121-000000-adopted", "20261120-000000-adopted": "",
		"20261122": "", "dc8876b": "", "nope": "", "zz": "",
	} {
		got, err := find(history, name)
		if want == "" && err == nil || want != "" && (err != nil || got.ID != want) {
			t.Errorf("%q is %v, %v; want %q", name, got, err, want)
		}
	}
	if _, err := find(history, "83229"); err == nil || err.Error() != `no promotion's id, or commit, begins with "83229"; it is in 20261122-183229-dc8876b` {
		t.Errorf("of what is in one: %v", err)
	}
}

func TestNewID(t *testing.T) {
	at := time.Date(2026, 11, 22, 19, 32, 29, 0, time.FixedZone("", 3600))
	if got := newID(at, "dc8876b0123"); got != id {
		t.Errorf("got %s", got)
	}
	// What was there before rel has no commit, and a name all the same.
	if got := newID(at, ""); got != "20261122-183229-adopted" || !promotionID.MatchString(got) {
		t.Errorf("without a commit: got %s", got)
	}
}

// TestEnds: one that was cut between two phases is told from one that was stopped there.
func TestEnds(t *testing.T) {
	for want, past := range map[string]*machine.Past{
		"synced, cut off":  {State: "synced"},
		"synced, stopped":  {State: "synced", Ending: &machine.Ending{}},
		"healthy":          {State: machine.Healthy},
		"new, cut in sync": {State: machine.New, Unsettled: &journal.Event{Phase: "sync"}},
	} {
		if got := ends(past); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
