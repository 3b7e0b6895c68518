package phases

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocket(t *testing.T) {
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000:0016":                         "0.0.0.0:22",
		"00000000000000000000000001000000:01BB": "[::1]:443",
		"00000000000000000000000000000000:0050": "[::]:80",
		"0000000000000000FFFF00000100007F:0050": "127.0.0.1:80",
		"B80D0120000000000000000067452301:0051": "[2001:db8::123:4567]:81",
	} {
		if got, ok := socket(text); !ok || got != netip.MustParseAddrPort(want) {
			t.Errorf("%s is %v, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", ":", "0100007F", "0100007F:", "0100007F:0000", "0100007F:1FFFF", "00007F:0050", "x:y", "0100007F:-1"} {
		if got, ok := socket(text); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}

// inspected is a host that says one thing.
type inspected struct {
	local
	says string
}

func (h *inspected) Run(context.Context, Script) ([]byte, error) { return []byte(h.says), nil }

// TestInspectAnswers: rows that are short, double or nonsense cost no more than
// themselves.
func TestInspectAnswers(t *testing.T) {
	host := &inspected{local{name: "h"}, strings.Join([]string{
		"root=yes", "checkout=no", "unit=a.service\tsimple\tactive\t/opt/x/bin/a\t-\tb.service c.target\t{ x=y }",
		"unit=a.service\tsimple", "unit=", "port=a.service\t0100007F:1F90", "port=a.service\tnonsense", "port=b.service\t0100007F:1F90", "link=/opt/x/bin/a", "",
	}, "\n")}
	s, err := InspectServed(t.Context(), host, "", true)
	if err != nil {
		t.Fatal(err)
	}
	a := s.Services[0]
	if len(s.Services) != 2 || len(a.Listens) != 1 || len(a.After) != 2 || a.File != "" || a.Command != "{ x=y }" || s.Links[0].End != "" {
		t.Errorf("got %+v", s)
	}
	host.says = "no row\n"
	if _, err := InspectServed(t.Context(), host, "", true); err == nil {
		t.Error("what is no row was taken")
	}
	if _, err := InspectSource(t.Context(), host, ""); err == nil {
		t.Error("what is no row was taken")
	}
}

// TestInspectSource: of a checkout it is known what there is, whatever Nix there is, and
// nothing in it is touched.
func TestInspectSource(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[2])
	before := mtimes(t, dir)
	host := &local{name: "h", env: []string{"PATH=" + nixless(t)}}
	s, err := InspectSource(t.Context(), host, dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Checkout != "yes" || s.Within != "" || s.Branch != "main" || s.Head != r.commits[2] || s.Origin != r.origin || s.NixError == "" {
		t.Errorf("got %+v", s)
	}
	if after := mtimes(t, dir); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	deep := filepath.Join(dir, "deep")
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]string{deep: "yes", t.TempDir(): "none", filepath.Join(dir, "nowhere"): "none"} {
		if s, err := InspectSource(t.Context(), host, where); err != nil || s.Checkout != want || s.Within == "" && where == deep {
			t.Errorf("%s: %+v, %v", where, s, err)
		}
	}
}

// nixless is a PATH without Nix.
func nixless(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"git", "sed", "timeout", "grep", "cut", "tr", "awk", "date"} {
		for _, from := range filepath.SplitList(os.Getenv("PATH")) {
			if _, err := os.Stat(filepath.Join(from, name)); err == nil {
				if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	return dir
}
