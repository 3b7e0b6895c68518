package show

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
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

// plainAt is a plain printer with a time of its own.
func plainAt(github bool) (p *Plain, out *bytes.Buffer, at *time.Time) {
	out, at = new(bytes.Buffer), new(time.Time)
	p = NewPlain(out, unpainted)
	p.github, p.now = github, func() time.Time { return *at }
	return p, out, at
}

func TestPlainPrinter(t *testing.T) {
	t.Setenv("GITHUB_ACTIONS", "")
	var out bytes.Buffer
	p := NewPlain(&out, unpainted)
	for _, ev := range story {
		p.Event(ev)
	}
	p.Line("choiros-grind", "building")
	p.Say("connecting")
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

// A host that prints without end does not fill the log, and what takes long is heard of.
func TestPlainIsBounded(t *testing.T) {
	p, out, at := plainAt(false)
	p.Event(journal.Event{Kind: journal.Intent, Phase: "build", Attempt: 1})
	for second := range 2 {
		for i := range 1000 {
			p.Line("grind", fmt.Sprint("line ", second, " ", i))
		}
		p.Line("prod", "one line")
		*at = at.Add(time.Second)
	}
	const built = "12 of 40 built"
	for range 25 {
		p.Tick("grind", phases.Tick{Done: 12, Total: 40, Text: "now x"})
		p.Tick("prod", phases.Tick{What: "check", Unit: phases.Successes})
		*at = at.Add(time.Second)
	}
	p.Event(journal.Event{Kind: journal.Moved, Phase: "build", State: "built", Millis: 27000})
	got := out.String()
	for text, want := range map[string]int{
		"grind: | line 0": floodLines, "grind: | line 1": floodLines, "grind: … 800 lines more in the log file\n": 2,
		"prod: | one line": 2, built + "; now x": 2, "check": 0,
	} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("%q is there %d times, want %d", text, n, want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestOnGitHub(t *testing.T) {
	p, out, _ := plainAt(true)
	p.Event(journal.Event{Kind: journal.Opened, Promotion: id, Text: "::error::subject"})
	p.Event(journal.Event{Kind: journal.Intent, Phase: "build", Attempt: 1})
	p.Line("", "::set-output name=x::y")
	p.Line("grind", "  ::add-mask::z ##[error]no")
	p.Event(journal.Event{Kind: journal.Failed, Phase: "build", Attempt: 1, Millis: 1000})
	p.Event(journal.Event{Kind: journal.Intent, Phase: "build", Attempt: 2})
	p.Close()
	const want = `00:00:00 • promotion 20261122-183229-dc8876b: ::error::subject
::group::build
00:00:00 ▸ build
00:00:00   | ::set-output name=x::y
00:00:00   grind: |   ::add-mask::z ## [error]no
::endgroup::
00:00:00 ✖ build failed after 1.0s
::group::build
00:00:00 ▸ build (attempt 2)
::endgroup::
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// What is said is one line, whatever is in it.
func TestSaysOneLine(t *testing.T) {
	p, out, _ := plainAt(true)
	p.Say("a\n::error::b\x1b[2J")
	if want := "00:00:00 • a ::error::b\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
}

// Of the lines that end a failure those are shown that do not stand above it: those that
// were left out of a flood, and those of rel's own. GitHub folds what stands above.
func TestPlainRepeatsNothing(t *testing.T) {
	for _, github := range []bool{false, true} {
		p, _, _ := plainAt(github)
		p.Event(journal.Event{Kind: journal.Intent, Phase: "sync", Attempt: 1})
		p.Line("grind", "of before")
		p.Event(journal.Event{Kind: journal.Intent, Phase: "build", Attempt: 1})
		for i := range floodLines {
			p.Line("grind", fmt.Sprint("line ", i))
		}
		p.Line("grind", "left out")
		p.Line("prod", "shown")
		want := []string{"a hint", "left out", "of before"}
		if github {
			want = []string{"a hint", "line 199", "left out", "shown", "of before"}
		}
		if got := p.Unseen([]string{"a hint", "line 199", "left out", "shown", "of before"}); !slices.Equal(got, want) {
			t.Errorf("GitHub %t: it shows %q, want %q", github, got, want)
		}
	}
}
