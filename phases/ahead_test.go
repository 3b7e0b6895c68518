package phases

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestAheadHears: what a build host says of what it has built is taken as what it says of
// all, and no more of it than that.
func TestAheadHears(t *testing.T) {
	const path = "/nix/store/00000000000000000000000000000000-web"
	built := "built=web\t" + `[{"outputs":{"out":"` + path + `"}}]` + "\n"
	for name, said := range map[string]string{
		"what was not asked for": "told=shell\n",
		"nothing of it":          "told=web\n",
		"no infos":               built + "path=" + path + "\ntold=web\n",
		"a path that is none":    strings.ReplaceAll(built, "/nix/store/", "/etc/../") + "told=web\n",
		"no answer":              "web\ntold=web\n",
		"without end":            strings.Repeat(built, toldCap/len(built)+1),
		"a line without end":     strings.Repeat("x", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			a := &ahead{promotion: Promotion{Build: &local{name: "grind"}, Plan: Plan{Artifacts: []Artifact{{Name: "web"}}}}}
			finished := make(chan *Release, 1)
			if err := a.read(strings.NewReader(said), finished); err == nil || len(finished) != 0 {
				t.Errorf("it is taken: %v", err)
			}
		})
	}
}

// TestAheadBegins: Nix's own lines say when there is something to wait for, and only those.
func TestAheadBegins(t *testing.T) {
	for line, begins := range map[string]bool{
		"building '/nix/store/x-web.drv'...":                               true,
		"building '/nix/store/x-web.drv' on 'ssh://far'...":                true,
		"copying path '/nix/store/x-libc' from 'https://cache.example'...": true,
		"web> building '/nix/store/x'":                                     false,
		"evaluating derivation 'web'...":                                   false,
	} {
		if beginning.MatchString(line) != begins {
			t.Errorf("%q: want %v", line, begins)
		}
	}
}

// TestAheadFails: what goes wrong ahead is told, and is no failure.
func TestAheadFails(t *testing.T) {
	noted := ""
	p := &Promotion{Build: &local{name: "grind"}, Targets: []Host{&local{name: "prod"}, &local{name: "prod-2"}}, Note: func(host, text string) { noted += host + ": " + text + "\n" }}
	a := &ahead{done: make(chan struct{}), cancel: func() {}, failure: errors.New("no room"),
		sent: map[string][]Sent{
			"prod":   {{Paths: 2, Bytes: 100, Unpacked: 1000}, {Paths: 1, Bytes: 20, Unpacked: 24}},
			"prod-2": {{Paths: 1, Bytes: 10, Relayed: true, Why: "no route"}, {Paths: 1, Bytes: 20, Why: "all is well"}},
		}}
	p.ahead = a
	time.AfterFunc(10*time.Millisecond, func() { close(a.done) })
	before, err := p.arrived(t.Context())
	if err != nil || len(before["prod"]) != 2 || p.ahead != nil {
		t.Errorf("it is %+v, %v", before, err)
	}
	if want := `prod: 3 paths, 120 B for 1.0 KiB, while the rest was built
prod-2: 2 paths, 30 B for 0 B, while the rest was built, through this machine (no route)
grind: what was built could not be sent before the rest was: no room
`; noted != want {
		t.Errorf("it notes\n%s", noted)
	}
}
