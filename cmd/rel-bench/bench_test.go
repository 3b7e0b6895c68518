package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/remote/lab"
	"choir.chat/rel/remote/lab/link"
)

func TestMain(m *testing.M) {
	lab.Main() // a test that is killed leaves a guard, which takes its lab down
	os.Exit(m.Run())
}

// TestQuick runs the smallest of the benchmark, so that it still runs when it is wanted.
func TestQuick(t *testing.T) {
	if err := lab.Available(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("boots real hosts, which -short leaves out")
	}
	dir := t.TempDir()
	rel := filepath.Join(dir, "rel")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", rel, "choir.chat/rel/cmd/rel")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build rel: %v\n%s", err, out)
	}
	o := options{Rel: rel, Out: filepath.Join(dir, "report.md"), Raw: filepath.Join(dir, "raw"), Pairs: 1, Quick: true, Within: 5 * time.Minute}
	if err := bench(t.Context(), o, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## Nothing changed", "**5 ms**", "| predecessor | 1 |", "| **rel** | 1 |", "- predecessor: sync "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has nothing of %q:\n%s", want, text)
		}
	}
	if raw, err := os.ReadFile(o.Raw); err != nil || strings.Count(string(raw), "\n") != 3 {
		t.Errorf("the runs are %q, %v", raw, err)
	}
	o.From = []string{o.Raw}
	if err := bench(t.Context(), o, nil); err != nil {
		t.Fatal(err)
	}
	if once, err := os.ReadFile(o.Out); err != nil || string(once) != string(text) {
		t.Errorf("reported again, %v:\n%s", err, once)
	}
}

func TestChosen(t *testing.T) {
	for _, o := range []options{{Pairs: 1, Cases: []string{"nothign"}}, {Pairs: 1, Parties: []string{"scp"}}, {}} {
		if _, err := o.chosen(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	o := options{Pairs: 5, Cases: []string{"line"}, Parties: []string{"rel", "rsync"}, RTT: []time.Duration{time.Millisecond, time.Second}}
	list, err := o.chosen()
	if err != nil || len(list) != 1 || strings.Join(list[0].parties, " ") != "rsync rel" {
		t.Fatalf("chosen are %+v, %v", list, err)
	}
	if got := list[0].places; len(got) != 2 || got[0] != (place{time.Millisecond, 20 * mbit}) || got[1] != (place{time.Second, 20 * mbit}) {
		t.Errorf("it is measured at %v", got)
	}
	o = options{Pairs: 5, All: true}
	if list, err = o.chosen(); err != nil || len(list) != len(trials) || len(list[0].places) != 8 {
		t.Errorf("all are %+v, %v", list, err)
	}
	// The cases themselves stay as they are: a slice that is cut is cut for everyone.
	if len(copiers) != 6 || copiers[0] != "predecessor" {
		t.Errorf("the copiers are %v", copiers)
	}
}

func TestReport(t *testing.T) {
	p := place{100 * time.Millisecond, 20 * mbit}
	var runs []run
	for i, n := range []time.Duration{9, 1, 3, 7} {
		runs = append(runs, run{Case: "three", Party: "predecessor", place: p, Wall: 4 * n * time.Second, Conns: 10, Rounds: 130 + i, Least: 2.5e6},
			run{Case: "three", Party: "rel", place: p, Wall: n * time.Second, Conns: 3, Rounds: 20, Beside: 6, Operator: 1500, Between: 1, Sent: 2e6,
				Memory: 3e7, Least: 2.5e6, Phases: map[string]time.Duration{"copy": n * time.Second}})
	}
	text := report([]measurement{{About: "Here; load 0.5 at the end.", Took: time.Minute, runs: runs}, {About: "Here.", Took: time.Hour, runs: []run{{Case: "nothing", Party: "rel", place: p}}}}, "Twice.")
	const preface = "# Benchmarks\n\nMeasured by `make bench`. Here:\n\n- three at 100 ms in 1m0s, load 0.5 at the end\n- nothing at 100 ms in 1h0m0s\n\nTwice.\n\n## Method"
	if !strings.HasPrefix(text, preface) {
		t.Errorf("it begins\n%s\nwant\n%s", text[:min(len(text), len(preface))], preface)
	}
	_, text, _ = strings.Cut(text, "## Three artifacts rebuilt\n")
	// 14 round trips of 100 ms, and 20 Mbit through 20 Mbit/s.
	want := `
**100 ms, 20 Mbit/s**; the limit is 2.40 s: 14 round trips of handshakes, and 2.5 MB to send.

| | runs | time | from - to | of rel's | of the limit | connections | round trips | operator <-> hosts | between the hosts | memory |
|---|---|---|---|---|---|---|---|---|---|---|
| predecessor | 4 | 20.00 s | 4.00 s - 36.00 s | 4.00 x | 8.33 x | 10 + 0 | 131 | 0 B | 0 B | - |
| **rel** | 4 | 5.00 s | 1.00 s - 9.00 s | 1.00 x | 2.08 x | 3 + 1 | 20 (6 beside handshakes) | 1.5 KB | 2.0 MB | 30.0 MB |

- **rel**: copy 5.00 s; beside build and apply 5.00 s.
`
	if text != want {
		t.Errorf("it says\n%s\nwant\n%s", text, want)
	}
	if 2*link.Dial != 14 {
		t.Errorf("a handshake is %d: the numbers above are to be others", link.Dial)
	}
}
