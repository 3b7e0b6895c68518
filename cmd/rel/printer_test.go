package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

const id = "20261122-183229-dc8876b"

// story is a promotion that fails in its second phase, and goes on.
var story = []journal.Event{
	{Kind: journal.Opened, Promotion: id, Text: "choiros: version 2"},
	{Kind: journal.Intent, Phase: "sync", Attempt: 1},
	{Kind: journal.Note, Phase: "sync", Attempt: 1, Host: "choiros-prod", Text: "already at dc8876b"},
	{Kind: journal.Moved, Phase: "sync", Attempt: 1, From: "new", State: "synced", Millis: 1234},
	{Kind: journal.Intent, Phase: "verify", Attempt: 1},
	{Kind: journal.Failed, Phase: "verify", Attempt: 1, Millis: 65000},
	{Kind: journal.Resumed, Promotion: id, State: "synced"},
	{Kind: journal.Intent, Phase: "verify", Attempt: 2},
	{Kind: journal.Interrupted, Phase: "verify", Attempt: 2, Millis: 99},
	{Kind: journal.Moved, From: "applied", State: "copied", Text: "choiros-prod went back: unhealthy"},
	{Kind: journal.Moved, From: "copied", State: "reverted", Text: "it will not do"},
	{Kind: journal.Moved, From: "new", State: "aborted"},
}

func unpainted(_, text string) string { return text }

func TestPlainPrinter(t *testing.T) {
	var out bytes.Buffer
	p := &plainPrinter{out: &out, paint: unpainted}
	for _, ev := range story {
		p.event(ev)
	}
	p.line("choiros-grind", "building")
	p.say("connecting")
	const want = `• promotion 20261122-183229-dc8876b: choiros: version 2
▸ sync
  choiros-prod: already at dc8876b
✔ synced in 1.2s
▸ verify
✖ verify failed after 1m5s
• promotion 20261122-183229-dc8876b: going on from "synced"
▸ verify (attempt 2)
✖ verify stopped after 0.1s
↩ copied, not applied: choiros-prod went back: unhealthy
■ reverted by hand: it will not do
■ aborted by hand
  choiros-grind: | building
• connecting
`
	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d `).ReplaceAllString(out.String(), "")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The terminal's block is drawn over itself: what stays on the screen is what
// a terminal shows that obeys "up n lines, clear to the end".
func TestTTYPrinter(t *testing.T) {
	var out syncBuffer
	p := newTTY(&out, func() (int, bool) { return 40, true }, unpainted)
	for _, ev := range story[:3] {
		p.event(ev)
	}
	p.line("choiros-grind", strings.Repeat("漢", 60))
	p.mu.Lock()
	p.redraw() // as the next frame does
	p.mu.Unlock()
	p.event(story[3])
	p.event(story[4])
	p.say("note: something else")
	p.close()
	p.close()
	screen := replay(out.String())
	want := []string{
		"• promotion 20261122-183229-dc8876b: choiros: version 2",
		"✔ synced in 1.2s",
		"    choiros-prod       0.0s  already at dc8876b",
		"• note: something else",
	}
	if strings.Join(screen, "\n") != strings.Join(want, "\n") {
		t.Errorf("the screen has\n%s\nwant\n%s", strings.Join(screen, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(out.String(), "│ choiros-grind: 漢漢") {
		t.Error("the hosts' output was not shown")
	}
}

// Nothing is drawn over a question, and what was to be said meanwhile is said after it.
func TestTTYPrinterPaused(t *testing.T) {
	var out syncBuffer
	p := newTTY(&out, func() (int, bool) { return 40, true }, unpainted)
	p.event(story[1])
	p.pause()
	asked := out.String()
	p.say("stopping")
	p.event(story[2])
	time.Sleep(2 * frame)
	if got := out.String(); got != asked {
		t.Errorf("over the question it drew %q", got[len(asked):])
	}
	p.resume()
	p.event(story[3])
	p.close()
	want := []string{"• stopping", "✔ synced in 1.2s", "    choiros-prod"}
	for i, line := range replay(out.String()) {
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("line %d is %q, want %q", i, line, want)
		}
	}
}

// replay is a terminal that knows two sequences.
func replay(stream string) []string {
	var screen []string
	up := regexp.MustCompile(`\x1b\[(\d+)A\x1b\[J`)
	for stream != "" {
		if at := up.FindStringSubmatchIndex(stream); at != nil && at[0] == 0 {
			var n int
			_, _ = fmt.Sscan(stream[at[2]:at[3]], &n)
			screen, stream = screen[:len(screen)-n], stream[at[1]:]
			continue
		}
		line, rest, _ := strings.Cut(stream, "\n")
		screen, stream = append(screen, line), rest
	}
	return screen
}

func TestJSONPrinter(t *testing.T) {
	var out, err bytes.Buffer
	p := &jsonPrinter{out: &out, err: &err}
	p.event(story[1])
	p.line("h", "not an event")
	p.say("nor this")
	const want = `{"seq":0,"at":"0001-01-01T00:00:00Z","promotion":"","kind":"intent","operator":{"name":""},"phase":"sync","attempt":1,"prev":""}` + "\n"
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
		{&machine.PhaseError{Phase: "build", Err: &remote.ExitError{Host: "h", Script: "build.sh", Status: 1, Tail: []string{"why"}}}, exitFailed,
			"build failed: h: build.sh failed with status 1: why"},
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
	history := machine.History{
		past("20261122-183229-dc8876b", "dc8876b000000000"), past("20261122-190000-aaaa111", "aaaa111000000000"),
		past("20261123-000000-dc8876b", "dc8876b000000000"),
	}
	for name, want := range map[string]string{
		"20261122-183229-dc8876b": "20261122-183229-dc8876b", "20261122-18": "20261122-183229-dc8876b", "aaaa": "20261122-190000-aaaa111",
		"aaaa1110000": "20261122-190000-aaaa111", "20261123": "20261123-000000-dc8876b",
		"20261122": "", "dc8876b": "", "nope": "", "zz": "",
	} {
		got, err := find(history, name)
		if want == "" && err == nil || want != "" && (err != nil || got.ID != want) {
			t.Errorf("%q is %v, %v; want %q", name, got, err, want)
		}
	}
}

func TestNewID(t *testing.T) {
	at := time.Date(2026, 11, 22, 19, 32, 29, 0, time.FixedZone("", 3600))
	if got := newID(at, "dc8876b0123"); got != id {
		t.Errorf("got %s", got)
	}
}

func TestWriteLog(t *testing.T) {
	at := time.Date(2026, 11, 22, 18, 32, 29, 0, time.Local)
	p := &machine.Past{ID: id, State: "copied", Opened: at, Updated: at.Add(90 * time.Second), Operator: journal.Operator{Name: "ana@mbp"},
		Stopped: &journal.Event{Kind: journal.Failed, Phase: "apply"}}
	p.Start.Plan.Subject, p.Start.Why = "fix login", "demo"
	var out bytes.Buffer
	if err := writeLog(&out, machine.History{p}); err != nil {
		t.Fatal(err)
	}
	const want = `ID                       OPENED            OPERATOR  WHAT       STATE                    TOOK   WHY
20261122-183229-dc8876b  2026-11-22 18:32  ana@mbp   fix login  copied, failed in apply  1m30s  demo
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
