package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "choir.chat/rel"

// arrows are the imports that the rooms may have of one another, and no more:
// see ARCHITECTURE in the README.
var arrows = map[string][]string{
	"cmd/rel":              {"cmd/rel/config", "cmd/rel/github", "cmd/rel/nearest", "cmd/rel/proposal", "cmd/rel/show", "journal", "machine", "phases", "remote"},
	"cmd/rel/config":       {"cmd/rel/nearest", "phases", "remote"},
	"cmd/rel/github":       nil,
	"cmd/rel/nearest":      nil,
	"cmd/rel/proposal":     {"cmd/rel/config", "phases", "remote"},
	"cmd/rel/show":         {"cmd/rel/github", "journal", "machine", "phases", "remote"},
	"cmd/rel/show/vttest":  nil,
	"cmd/rel-lab":          {"remote/lab"},
	"cmd/rel-dist":         nil,
	"cmd/rel-bench":        {"journal", "remote/lab", "remote/lab/link"},
	"machine":              {"journal", "phases"},
	"journal":              nil,
	"phases":               {"phases/serve"},
	"remote":               nil,
	"remote/lab":           {"remote/lab/link"},
	"remote/lab/link":      nil,
	"phases/serve/nixtest": nil,
	"phases/serve":         nil,
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestArrows(t *testing.T) {
	for _, line := range goList(t, "-f", `{{.ImportPath}}:{{join .Imports ","}}`, "./...") {
		room, imports, _ := strings.Cut(strings.TrimPrefix(line, module+"/"), ":")
		allowed, known := arrows[room]
		if !known {
			t.Errorf("%s is a room that the house does not have", room)
		}
		for name := range strings.SplitSeq(imports, ",") {
			to, ours := strings.CutPrefix(name, module+"/")
			if ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s", room, to)
			}
		}
	}
}

// The rel that touches production must not hold a laboratory, and few rooms
// may know what a socket, a bucket or a terminal is.
func TestDependencies(t *testing.T) {
	forbidden := map[string]map[string]string{
		"cmd/rel": {module + "/remote/lab": "the lab is for tests"},
		"machine": {"golang.org/x/crypto/ssh": "sockets belong to remote", "github.com/alecthomas/kong": "the command line belongs to the door"},
		"journal": {"net": "the journal reaches nobody", "github.com/looplab/fsm": "what a state means is the machine's business"},
		"phases":  {"golang.org/x/crypto/ssh": "sockets belong to remote", "go.etcd.io/bbolt": "buckets belong to the journal"},
		"remote":  {"go.etcd.io/bbolt": "buckets belong to the journal"},
	}
	for room, list := range forbidden {
		deps := goList(t, "-deps", "./"+room)
		for name, why := range list {
			if slices.Contains(deps, name) {
				t.Errorf("%s depends on %s: %s", room, name, why)
			}
		}
	}
}

// Below these versions are known holes.
func TestFloors(t *testing.T) {
	floors := map[string][3]int{
		// CVE-2026-78662 and CVE-2026-56855: a hostile host stalls its client for ever;
		// before 0.52, CVE-2026-42508: a revoked authority still vouches for hosts.
		"golang.org/x/crypto": {0, 56, 0},
	}
	for name, floor := range floors {
		version := goList(t, "-m", "-f", "{{.Version}}", name)[0]
		var v [3]int
		if _, err := fmt.Sscanf(version, "v%d.%d.%d", &v[0], &v[1], &v[2]); err != nil {
			t.Fatalf("%s %s: %v", name, version, err)
		}
		if slices.Compare(v[:], floor[:]) < 0 {
			t.Errorf("%s is %s, below %v", name, version, floor)
		}
	}
}

// Every package says once what it is for.
func TestPackageDocs(t *testing.T) {
	for room := range arrows {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		docs := 0
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s has %d package docs", room, docs)
		}
	}
}

// A wrong struct tag must not wait for an operator to find it.
func TestParser(t *testing.T) {
	var c cli
	parser, err := newParser(&c, stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"start", "--grind", "g", "--prod", "a", "--prod", "b", "--sha", "abc", "-m", "why", "--allow-downgrade"},
		{"resume"}, {"resume", "2026"}, {"rollback", "-m", "why"}, {"log", "--json", "-n", "3"}, {"log", "id", "--verify"},
		{"status", "--json"}, {"doctor", "--json"}, {"abort", "id"}, {"--journal", "x", "--progress=json", "log"},
	} {
		if _, err := parser.Parse(args); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, command := range parser.Model.Children {
		if !strings.HasSuffix(command.Help, ".") {
			t.Errorf("the help of %s is %q", command.Name, command.Help)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--help"}, exitOK, "130  interrupted; can be resumed"},
		{[]string{"--version"}, exitOK, "devel"},
		{[]string{"start", "--wait", "10"}, exitUsage, "rel: --wait: \"10\" is not a duration such as 90s or 10m\n"},
		{[]string{"strat"}, exitUsage, "rel: unexpected argument strat\ndid you mean rel start?\n"},
		{[]string{"stat"}, exitUsage, "rel: unexpected argument stat\ndid you mean rel status?\n"},
		{nil, exitUsage, "Usage: rel <command> [flags]\n"},
		{[]string{"log", "--progress=loud"}, exitUsage, "--progress"},
		{[]string{"abort"}, exitUsage, "<id>"},
	} {
		var out, err syncBuffer
		if code := run(t.Context(), c.args, stdio{out: &out, err: &err}); code != c.code {
			t.Errorf("rel %v: exit %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String()+err.String(), c.says) {
			t.Errorf("rel %v says %q, nothing of %q", c.args, out.String()+err.String(), c.says)
		}
	}
}
