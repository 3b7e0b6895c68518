package journal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What Append returns is shown to the operator; what is read back is the audit.
// They must be one and the same, field by field.
func TestEventIsReadBackAsAppended(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	j.now = func() time.Time { return someday }
	given := []Event{
		{Promotion: "20261122-183229-dc8876b", Kind: Opened, State: "new", Text: "fix the <demo> & go",
			Data: json.RawMessage(`{"plan":{"app":"choiros","branch":"main"},"n":1.50}`)},
		{Promotion: "20261122-183229-dc8876b", Kind: Intent, Phase: "build", Attempt: 2},
		{Promotion: "20261123-080000-1234567", Kind: Resumed, State: "verified"},
		{Promotion: "20261122-183229-dc8876b", Kind: Note, Phase: "build", Attempt: 2, Host: "grind", Text: "größer"},
		{Promotion: "20261122-183229-dc8876b", Kind: Moved, Phase: "build", Attempt: 2, From: "verified", State: "built",
			Millis: 1234, Data: json.RawMessage(`{"build":null}`)},
		{Promotion: "20261123-080000-1234567", Kind: Failed, Phase: "copy", Attempt: 1, Text: "no route"},
		{Promotion: "20261123-080000-1234567", Kind: Interrupted, Phase: "copy", Attempt: 2},
	}
	var recorded []Event
	for _, ev := range given {
		recorded = append(recorded, mustAppend(t, j, ev))
	}
	got := mustRead(t, j)
	equal(t, "promotions", got.IDs, []string{"20261122-183229-dc8876b", "20261123-080000-1234567"})
	equal(t, "events", got.all(t), recorded)
	equal(t, "head", got.Head, Head{Journal: got.Head.Journal, Seq: 7, Hash: recorded[6].Hash})

	// Beside the stamps, the event is the one that was given.
	for i, ev := range recorded {
		ev.Seq, ev.At, ev.Operator, ev.Prev, ev.Hash = 0, time.Time{}, Operator{}, Hash{}, Hash{}
		equal(t, "unstamped event", ev, given[i])
	}
}

func TestEventIsStamped(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	j.now = func() time.Time { return someday }
	var prev Hash
	for seq := int64(1); seq <= 5; seq++ {
		// What a caller puts into the stamps' fields counts for nothing.
		ev := mustAppend(t, j, Event{
			Promotion: "p", Kind: Note, Seq: 77, At: time.Unix(0, 0), Operator: Operator{Name: "mallory"}, Prev: Hash{1}, Hash: Hash{2},
		})
		if ev.Seq != seq {
			t.Errorf("event %d has number %d", seq, ev.Seq)
		}
		want := time.Date(2026, 11, 22, 18, 32, 29, 123000000, time.UTC)
		if !ev.At.Equal(want) || ev.At.Location() != time.UTC {
			t.Errorf("event %d is of %v, want %v", seq, ev.At, want)
		}
		if ev.Operator != (Operator{Name: "ada@laptop", Key: "SHA256:abc"}) {
			t.Errorf("event %d is by %+v", seq, ev.Operator)
		}
		if ev.Prev != prev || ev.Hash.IsZero() {
			t.Errorf("event %d: prev %v, hash %v; the event before has %v", seq, ev.Prev, ev.Hash, prev)
		}
		prev = ev.Hash
	}
}

// Clocks jump, also back; numbers do not.
func TestEventOrderIsNotTheClocks(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	j.now = func() time.Time { return someday }
	first := mustAppend(t, j, Event{Promotion: "p", Kind: Note, Text: "first"})
	j.now = func() time.Time { return someday.Add(-time.Hour) }
	second := mustAppend(t, j, Event{Promotion: "p", Kind: Note, Text: "second"})
	equal(t, "events", mustRead(t, j).Events["p"], []Event{first, second})
}

// An event that nobody could find again is refused, before a file is made.
func TestEventWithoutPromotionOrKindIsRefused(t *testing.T) {
	t.Parallel()
	for _, ev := range []Event{{}, {Promotion: "p"}, {Kind: Note}} {
		j := fresh(t)
		if _, err := j.Append(ev); err == nil {
			t.Errorf("%+v was recorded", ev)
		}
		if _, err := os.Stat(j.path); err == nil {
			t.Errorf("%+v was refused, but made a file", ev)
		}
	}
}

// Data that is no JSON must not become half a record.
func TestEventThatCannotBeEncodedLeavesNoTrace(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	first := mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	if _, err := j.Append(Event{Promotion: "q", Kind: Note, Data: json.RawMessage(`{"a":`)}); err == nil {
		t.Error("an event whose data is cut short was recorded")
	}
	got := mustRead(t, j)
	equal(t, "promotions", got.IDs, []string{"p"})
	equal(t, "head", got.Head, Head{Journal: got.Head.Journal, Seq: 1, Hash: first.Hash})
}

// The journal holds commit messages, host names and paths: nobody else on the
// machine reads it.
func TestEventFilesArePrivate(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	for path, want := range map[string]os.FileMode{filepath.Dir(j.path): 0o700, j.path: 0o600, j.wholePath(): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
	// Nor does the first event leave its temporary file behind.
	names, err := os.ReadDir(filepath.Dir(j.path))
	if err != nil || len(names) != 2 {
		t.Errorf("the folder has %v, %v; want the database and the note of it", names, err)
	}
}

// The audit is read on a terminal, a line at a time; what an error or a host
// says must not move its cursor.
func TestEventTextIsOneLine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                            "",
		"fast-forwarded":              "fast-forwarded",
		"größer \u2192 日本":            "größer \u2192 日本",
		"first\nsecond":               "first; second",
		"\n\r\nfirst\r\n\r\nsecond\n": "first; second",
		"red\x1b[31m\a\x00 bell":      "red[31m bell",
		"tab\there":                   "tabhere",
		"caf\xe9":                     "caf\uFFFD",
		"c1 \u009b31m":                "c1 31m",
	} {
		j := fresh(t)
		ev := mustAppend(t, j, Event{Promotion: "p", Kind: Failed, Text: given})
		if ev.Text != want {
			t.Errorf("%q is recorded as %q, want %q", given, ev.Text, want)
		}
		equal(t, "read back", mustRead(t, j).Events["p"], []Event{ev})
	}
}
