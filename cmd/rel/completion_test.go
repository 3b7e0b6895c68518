package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// completing is an operator's files, in a folder of its own.
type completing struct{ dir, journal, ssh, timeout string }

func newCompleting(t *testing.T) *completing {
	t.Helper()
	dir := t.TempDir()
	c := &completing{dir: dir, journal: filepath.Join(dir, "journal.db"), ssh: filepath.Join(dir, "ssh"), timeout: "1m"}
	if err := os.WriteFile(c.ssh, []byte("Host choiros-grind choiros-prod *.example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

// record is a promotion that came as far as the state.
func (c *completing) record(t *testing.T, id, subject, state string) {
	t.Helper()
	data, err := json.Marshal(machine.Start{Schema: 1, Kind: machine.Forward, Plan: phases.Plan{Commit: strings.Repeat("a", 40), Subject: subject}})
	if err != nil {
		t.Fatal(err)
	}
	j := journal.New(c.journal)
	for _, ev := range []journal.Event{{Kind: journal.Opened, Data: data}, {Kind: journal.Moved, From: "new", State: state}} {
		ev.Promotion = id
		if _, err := j.Append(ev); err != nil {
			t.Fatal(err)
		}
	}
}

// ask is what a shell is told of the words.
func (c *completing) ask(t *testing.T, words ...string) string {
	t.Helper()
	t.Setenv("REL_JOURNAL", c.journal)
	t.Setenv("REL_SSH_CONFIG", c.ssh)
	t.Setenv("REL_COMPLETION_TIMEOUT", c.timeout)
	var out, err syncBuffer
	if code := run(t.Context(), append([]string{"__complete", "--"}, words...), stdio{out: &out, err: &err}); code != exitOK || err.String() != "" {
		t.Fatalf("completing %q: exit %d: %s", words, code, err.String())
	}
	return out.String()
}

func TestCompleteWords(t *testing.T) {
	c := newCompleting(t)
	for _, ask := range []struct {
		line []string
		want string
	}{
		{[]string{"sta"}, "start|status"},
		{[]string{"__"}, ""},
		{[]string{"nonsense", ""}, ""},
		{[]string{"--prog"}, "--progress"},
		{[]string{"log", "--ver"}, "--verify|--version"},
		{[]string{"log", "--verify", "--ver"}, "--version"},
		{[]string{"start", "--progress", ""}, "auto|tty|plain|json|quiet"},
		{[]string{"--progress=q"}, "--progress=quiet"},
		{[]string{"start", "--grind", "choiros-"}, "choiros-grind|choiros-prod"},
		{[]string{"start", "--prod=choiros-p"}, "--prod=choiros-prod"},
		{[]string{"start", "--prod", "choiros-prod", "--pro"}, "--prod|--prod-repo|--progress"},
		{[]string{"start", "-m", ""}, ""},
		{[]string{"start", "-mwhy", "--forc"}, "--force"},
		{[]string{"start", "--sha", "abc", "--sh"}, ""},
		{[]string{"--config", ""}, ":files"},
		{[]string{"start", "--journal=x"}, ":files"},
		{[]string{"start", ""}, ""},
		{[]string{"completion", ""}, "bash|zsh|fish"},
		{[]string{"completion", "--", "z"}, "zsh"},
		{[]string{"completion", "zsh", ""}, ""},
		{[]string{"completion", "--"}, "--help|--config|--journal|--ssh-config|--progress|--color|--yes|--version"},
		{nil, ""},
	} {
		var got []string
		for line := range strings.Lines(c.ask(t, ask.line...)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		slices.Sort(got)
		want := strings.Split(ask.want, "|")
		if ask.want == "" {
			want = nil
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q completes to %q, want %q", ask.line, got, want)
		}
	}
	if _, err := os.Stat(c.journal); err == nil {
		t.Error("there is a journal now")
	}
}

func TestCompletePromotions(t *testing.T) {
	c := newCompleting(t)
	if got := c.ask(t, "resume", ""); got != "" {
		t.Errorf("without a journal: %q", got)
	}
	if entries, err := os.ReadDir(c.dir); err != nil || len(entries) != 1 {
		t.Errorf("completion made a file: %v %v", entries, err)
	}
	c.record(t, "20260101-000000-aaaaaaa", "one", "copied")
	c.record(t, "20260102-000000-aaaaaaa", "two", "healthy")
	c.record(t, "20260103-000000-aaaaaaa", "three", "reverted")
	c.record(t, "20260104-000000-aaaaaaa", "four: \x1b[2J\ttab", "built")
	four := "20260104-000000-aaaaaaa\tbuilt: four: tab\n"
	three := "20260103-000000-aaaaaaa\treverted: three\n"
	two := "20260102-000000-aaaaaaa\thealthy: two\n"
	one := "20260101-000000-aaaaaaa\tcopied: one\n"
	for _, ask := range []struct{ command, word, want string }{
		{"log", "", four + three + two + one},
		{"log", "20260103", three},
		// The first was overtaken by the second: it can be given up, and not gone on with.
		{"resume", "", four},
		{"abort", "", four + one},
		{"unlock", "", four + one},
		{"rollback", "", two},
		{"status", "", ""},
	} {
		if got := c.ask(t, ask.command, ask.word); got != ask.want {
			t.Errorf("rel %s %s completes to\n%s, want\n%s", ask.command, ask.word, got, ask.want)
		}
	}
	for i := range 30 {
		c.record(t, fmt.Sprintf("20260201-0000%02d-aaaaaaa", i), "many", "healthy")
	}
	if n := strings.Count(c.ask(t, "log", ""), "\n"); n != newest {
		t.Errorf("%d promotions are offered, want %d", n, newest)
	}
	if got := c.ask(t, "log", "--journal", filepath.Join(c.dir, "other.db"), ""); got != "" {
		t.Errorf("another journal has %q", got)
	}
}

// A journal that is busy, or is no journal, completes nothing, and soon.
func TestCompleteBusy(t *testing.T) {
	c := newCompleting(t)
	c.record(t, "20260101-000000-aaaaaaa", "one", "healthy")
	file, err := os.OpenFile(c.journal, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	c.timeout = "80ms"
	started := time.Now()
	if got := c.ask(t, "log", ""); got != "" {
		t.Errorf("a journal that is busy has %q", got)
	}
	// It waits for five seconds where an answer matters.
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("the shell stood still for %s", took)
	}
	c.journal, c.timeout = c.ssh, "1m"
	if got := c.ask(t, "log", ""); got != "" {
		t.Errorf("what is no journal has %q", got)
	}
}
