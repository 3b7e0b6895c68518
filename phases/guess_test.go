package phases

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// TestGuess: what is woven while the targets are asked is sent where it is what they lack,
// and only there.
func TestGuess(t *testing.T) {
	const other = "/nix/store/22222222222222222222222222222222-y"
	lacks := "missing=" + farPath + "\nfree=99999999\nroom=99999999\n"
	for _, c := range []struct {
		name    string
		targets int
		said    string
		live    *Release
		// trips are those of the copy, woven how often it is woven.
		trips, woven int
		fails        bool
	}{
		{"as guessed", 1, lacks + "accept= zstd gzip\n", &Release{Closure: []string{other}}, 2, 1, false},
		{"as guessed, three targets", 3, lacks + "accept= zstd gzip\n", &Release{Closure: []string{other}}, 2, 1, false},
		{"no zstd there", 1, lacks + "accept= gzip\n", &Release{Closure: []string{other}}, 3, 2, false},
		{"it has all", 1, strings.TrimPrefix(lacks, "missing="+farPath+"\n") + "accept= zstd gzip\n", &Release{Closure: []string{other}}, 2, 1, false},
		{"it has lost what it had", 1, lacks + "accept= zstd gzip\n", &Release{Closure: []string{farPath}}, 3, 1, false},
		{"the journal knows nothing", 1, lacks + "accept= zstd gzip\n", nil, 3, 1, false},
		{"it does not work", 1, lacks + "accept= zstd gzip\n", &Release{Closure: []string{other}}, 3, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, site := newFar(c.targets)
				p.Recall = func(id string) *Release {
					if id != "live" {
						t.Errorf("it asks for %q", id)
					}
					return c.live
				}
				p.Facts.Verify = &Verified{Targets: map[string]TargetBefore{}}
				for _, target := range p.Targets {
					p.Facts.Verify.Targets[target.Name()] = TargetBefore{Live: "live"}
				}
				if err := Build(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				site.answers["receive.sh"] = c.said
				if c.fails {
					site.failures["bundle.sh"] = errors.New("no room")
				}
				if got := trips(t, func() error { return Copy(t.Context(), p) }); got != c.trips {
					t.Errorf("the copy takes %d round trips, want %d", got, c.trips)
				}
				if n := p.Build.(*far).count("bundle.sh"); n != c.woven {
					t.Errorf("it is woven %d times, want %d", n, c.woven)
				}
			})
		})
	}
}

// TestBases: what a path may go as a patch to is found here as the targets find it.
func TestBases(t *testing.T) {
	path := func(hash, name string) string { return "/nix/store/" + strings.Repeat(hash, 32) + "-" + name }
	live := []string{path("a", "web-1.2"), path("b", "web-1.3"), path("c", "glibc-2.38-66"), path("d", "server"), path("e", "server-2-bin"), path("f", "x")}
	large := []string{path("0", "web-1.2"), path("1", "web-2.0"), path("2", "glibc-2.39"), path("3", "server-3"), path("4", "server"), path("f", "x"), path("5", "y"), path("6", "web")}
	dir := t.TempDir()
	for name, list := range map[string][]string{"live": live, "large": large} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(list, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(receiveScript, `awk -v OFS="$tab" '`)
	program, _, found := strings.Cut(rest, `' "$state/live/closure"`)
	if !found {
		t.Fatal("receive.sh looks for them in another way")
	}
	cmd := exec.Command("awk", "-v", "OFS=\t", program, "live", "large")
	cmd.Dir = dir
	said, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	a, err := parseAnswer("prod", "receive.sh", said)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bases(live, large), a.table("base"); len(want) < 5 || !maps.Equal(got, want) {
		t.Errorf("it finds\n%s\nand a target\n%s", fmt.Sprint(got), fmt.Sprint(want))
	}
}
