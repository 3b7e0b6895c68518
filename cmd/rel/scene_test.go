package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/journal"
)

const sweepConfig = `app = "app"
repo = "/srv/app"
manifest = "/tmp/app.env"
confirm = "8s"

[copy]
via = "relay"

[build]
host = "grind"

[[target]]
host = "prod"

[[artifact]]
name = "web"
flake = ".#web"
binary = "bin/web"
link = "/opt/app/bin/web"

[[artifact]]
name = "worker"
flake = ".#worker"
binary = "bin/worker"
link = "/opt/app/bin/worker"

[services]
restart = ["web"]
settle = "1s"

[[check]]
name = "who"
url = "http://127.0.0.1:8080/health"
body = "${sha}"
start_period = "0s"
interval = "20ms"
deadline = "4s"

[[check]]
name = "up"
url = "http://127.0.0.1:8080/"
start_period = "0s"
interval = "20ms"
deadline = "4s"
successes = 1
`

const oldID = "20260101-000000-aaaaaaa"

var (
	oldCommit = strings.Repeat("a", 40)
	newCommit = strings.Repeat("b", 40)
)

func storePath(commit, name string) string {
	return "/nix/store/" + strings.Repeat(commit[:1], 32) + "-" + name
}

// scene is an operator, a build host and a target of a sweep's one case.
type scene struct {
	dir           string
	wire          *wire
	build, target *model
	grind, prod   *scripted
	old, new      map[string]string
	story         int
	flags         []string
	journal       string
}

// The stories that are swept: a release that follows another; the first one of a
// target; and one that does not pass its checks.
const (
	next = iota
	first
	sick
)

var stories = []string{next: "next release", first: "first release", sick: "sick release"}

// newScene makes the hosts of a story.
func newScene(t testing.TB, c cutting, story int) (s *scene, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rel-sweep-")
	if err != nil {
		t.Fatal(err)
	}
	s = &scene{dir: dir, story: story, wire: newWire(c), build: newModel(), target: newModel(), old: map[string]string{}, new: map[string]string{}}
	common := storePath(oldCommit, "libc")
	for _, m := range []*model{s.build, s.target} {
		m.store[common] = true
		m.closure = []string{common}
	}
	was := &kept{rows: []string{"kind\tstart", "origin\t" + oldID, "sha\t" + oldCommit, "from\t"},
		epoch: 1, confirmed: "2026-01-01T00:00:00Z\tana@mbp", begun: "applied", closure: []string{common}}
	for _, name := range []string{"web", "worker"} {
		link, binary := "/opt/app/bin/"+name, "/bin/"+name
		before, after := storePath(oldCommit, name), storePath(newCommit, name)
		s.target.store[before] = true
		s.build.outputs[name] = after
		s.build.closure = append(s.build.closure, after)
		s.target.commitOf[before], s.target.commitOf[after] = oldCommit, newCommit
		s.new[link] = after + binary
		if story != first {
			s.old[link] = before + binary
			was.rows = append(was.rows, "link\t"+link+"\t"+before+binary)
		}
	}
	if story != first {
		s.target.links, s.target.exe = maps.Clone(s.old), s.old["/opt/app/bin/web"]
		s.target.releases[oldID], s.target.live, s.target.epoch = was, oldID, 1
	}
	text := sweepConfig
	if story == sick {
		s.target.commitOf = map[string]string{}
		text = strings.ReplaceAll(text, `"4s"`, `"200ms"`)
	}
	grind, stopGrind := newScripted(t, "grind", s.build, s.wire)
	prod, stopProd := newScripted(t, "prod", s.target, s.wire)
	s.grind, s.prod = grind, prod
	ssh := writeSSHConfig(t, dir, grind, prod)
	config := filepath.Join(dir, "rel.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.journal = filepath.Join(dir, "state", "journal.db")
	s.flags = []string{"--config", config, "--journal", s.journal, "--ssh-config", ssh, "--progress=plain"}
	return s, func() {
		stopGrind()
		stopProd()
		s.wire.cut(nil)
		os.RemoveAll(dir)
	}
}

func newModel() *model {
	return &model{
		commits: []string{oldCommit, newCommit}, head: oldCommit, outputs: map[string]string{}, store: map[string]bool{},
		commitOf: map[string]string{}, links: map[string]string{}, files: map[string]string{}, releases: map[string]*kept{},
		applied: map[string]int{}, lock: make(chan string, 1),
	}
}

// patience is how long a run of rel may take before it counts as one that hangs.
const patience = time.Minute

// rel runs rel; one that hangs is told with all that runs at that time.
func (s *scene) rel(args ...string) (code int, said string, hung bool) {
	var out, talk syncBuffer
	done := make(chan int, 1)
	go func() {
		done <- run(context.Background(), append(slices.Clone(s.flags), args...), stdio{out: &out, err: &talk})
	}()
	select {
	case code = <-done:
		return code, talk.String() + out.String(), false
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		return 0, fmt.Sprintf("%s%s\n%s", talk.String(), out.String(), stacks[:runtime.Stack(stacks, true)]), true
	}
}

// events are those of the promotion that was opened last; it is the only one.
func (s *scene) events() []journal.Event {
	lists, err := journal.New(s.journal).Histories(0)
	if err != nil || len(lists) == 0 {
		return nil
	}
	return lists[len(lists)-1]
}
