package phases

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestManifest(t *testing.T) {
	r := &Release{
		ID: "20261122-183229-dc8876b", Commit: "dc8876b2f6c1c9d0e0f1a2b3c4d5e6f708192a3b", Repo: "/opt/choiros/workspace",
		CreatedAt: time.Date(2026, 11, 22, 18, 32, 29, 0, time.UTC),
		Outputs: []Output{{Artifact: Artifact{Name: "vibe-desktop", Binary: "bin/desktop"},
			Path: "/nix/store/00000000000000000000000000000000-desktop-1"}},
	}
	const want = `RELEASE_SHA=dc8876b2f6c1c9d0e0f1a2b3c4d5e6f708192a3b
RELEASE_SHORT_SHA=dc8876b
RELEASE_CREATED_AT=2026-11-22T18:32:29Z
RELEASE_ID=20261122-183229-dc8876b
REPO_ROOT=/opt/choiros/workspace
GIT_DIRTY=false
VIBE_DESKTOP_PATH=/nix/store/00000000000000000000000000000000-desktop-1
VIBE_DESKTOP_BIN=/nix/store/00000000000000000000000000000000-desktop-1/bin/desktop
`
	text := r.Manifest()
	if string(text) != want {
		t.Errorf("the manifest is\n%s\nwant\n%s", text, want)
	}
	values, err := ParseManifest(text)
	if err != nil || values["VIBE_DESKTOP_BIN"] != r.Outputs[0].Target() || len(values) != 8 {
		t.Errorf("it reads as %v, %v", values, err)
	}
}

// The manifest is data: nothing in it is ever run.
func TestParseManifest(t *testing.T) {
	values, err := ParseManifest([]byte("# comment\n\nA=$(touch /x)\nB=`id`;\"'\\n\nC=a=b\nD=\n"))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"A": "$(touch /x)", "B": "`id`;\"'\\n", "C": "a=b", "D": ""} {
		if values[key] != want {
			t.Errorf("%s is %q, want %q", key, values[key], want)
		}
	}
	for _, bad := range []string{"A", "=x", "1A=x", "A B=x", "export A=x", "A=1\nA=2", "$(id)=x"} {
		if _, err := ParseManifest([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte("A=b\n"))
	f.Add([]byte("A=$(touch /x)\nB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := ParseManifest(data)
		if err == nil {
			for key := range values {
				if !isName(key) {
					t.Errorf("%q is no name", key)
				}
			}
		}
	})
}

func TestOutPath(t *testing.T) {
	const path = "/nix/store/hlzr5a8a6mg6gdqnsdz3a8bm1j1fv3ji-desktop-1"
	// As Nix 2.8 prints it, and with the times that later ones add.
	for _, text := range []string{
		`[{"drvPath":"/nix/store/x.drv","outputs":{"out":"` + path + `"}}]`,
		`[{"drvPath":"x","outputs":{"dev":"/nix/store/y","out":"` + path + `"},"startTime":1}]`,
		`[{"outputs":{"bin":"` + path + `"}}]`,
	} {
		if got, err := outPath([]byte(text)); err != nil || got != path {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{``, `[]`, `[{},{}]`, `[{"outputs":{"a":"` + path + `","b":"` + path + `"}}]`,
		`[{"outputs":{"out":"/etc/passwd"}}]`, `[{"outputs":{"out":"` + path + `/../x"}}]`, `[{"outputs":{"out":"` + path + `\n"}}]`} {
		if got, err := outPath([]byte(text)); err == nil {
			t.Errorf("%s was taken for %q", text, got)
		}
	}
}

// What a later phase sees must be what a resume reads back.
func TestFactsRoundTrip(t *testing.T) {
	facts := Facts{
		Build:  &Release{ID: "x", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Closure: []string{"/nix/store/a"}},
		Health: &Checked{Results: []Result{{Check: "c", Verdict: Inconclusive, Attempts: 2}}},
	}
	parts, err := facts.Parts()
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) != 2 {
		t.Errorf("the parts are %v", parts)
	}
	again, err := Assemble(parts)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(facts)
	b, _ := json.Marshal(again)
	if string(a) != string(b) {
		t.Errorf("%s became %s", a, b)
	}
}

func TestParseAnswer(t *testing.T) {
	a, err := parseAnswer("prod", "x.sh", []byte("link=/a\t/b=c\nitem=1\nitem=2\nempty=\n"))
	if err != nil || a.get("link") != "/a\t/b=c" || strings.Join(a.all("item"), ",") != "1,2" || a.get("none") != "" {
		t.Errorf("got %v, %v", a, err)
	}
	if _, err := parseAnswer("prod", "x.sh", []byte("link=/a\nnot an answer\n")); err == nil {
		t.Error("a line that is no answer was passed over")
	}
}

// A target's record of a release comes to the screen, and its names to other targets.
func TestHostileRecord(t *testing.T) {
	const path = "/nix/store/00000000000000000000000000000000-x-1"
	good := func() *Release {
		return &Release{ID: "20261122-183229-adopted", Subject: "né, 友", Repo: "/srv", Closure: []string{path},
			Outputs: []Output{{Artifact: Artifact{Name: "x", Flake: ".", Binary: "bin/x", Link: "/opt/x"}, Path: path}}}
	}
	r := good()
	r.Subject = "a\x1b[2J\u202e\nb"
	if err := r.check(); err != nil || r.Subject != "a[2Jb" {
		t.Fatalf("%q, %v", r.Subject, err)
	}
	for name, spoil := range map[string]func(*Release){
		"no id":             func(r *Release) { r.ID = "" },
		"an id with a path": func(r *Release) { r.ID = "20261122-183229-a/../b" },
		"two lines of id":   func(r *Release) { r.ID += "\n" },
		"a commit":          func(r *Release) { r.Commit = "$(id)" },
		"a repository":      func(r *Release) { r.Repo = "/srv\nid" },
		"a name with ..":    func(r *Release) { r.Outputs[0].Name = "../../etc" },
		"a name with words": func(r *Release) { r.Outputs[0].Name = "x y" },
		"a flake":           func(r *Release) { r.Outputs[0].Flake = "\u200b" },
		"a binary":          func(r *Release) { r.Outputs[0].Binary = "bin/x\n" },
		"a link":            func(r *Release) { r.Outputs[0].Link = "/opt/x\x00" },
	} {
		r := good()
		spoil(r)
		if err := r.check(); err == nil || strings.ContainsFunc(err.Error(), hidden) {
			t.Errorf("%s: %v", name, err)
		}
		look, err := parseLook("prod", answer{{"json", r.brief()}})
		if err != nil || look.Release != nil {
			t.Errorf("%s: a look has %+v, %v", name, look.Release, err)
		}
	}
}
