package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	s := newState("/var/lib/rel-lab", maxTargets)
	seen := map[string]bool{}
	for _, h := range s.Hosts {
		if link := "vb-" + h.Machine; len(link) > 15 {
			t.Errorf("%s is too long for the name of an interface", link)
		}
		if seen[h.Machine] || seen[h.Name] {
			t.Errorf("%s (%s) is named twice", h.Name, h.Machine)
		}
		seen[h.Machine], seen[h.Name] = true, true
	}
	if other := newState("/var/lib/rel-lab-2", 1); other.Bridge == s.Bridge {
		t.Errorf("two folders have one bridge, %s", s.Bridge)
	}
}

func TestCleanDir(t *testing.T) {
	for dir, want := range map[string]string{
		"":                  DefaultDir,
		"/var/lib/x/../lab": "/var/lib/lab",
		"/":                 "two levels deep",
		"/home":             "two levels deep",
		"/var/lib/a b":      "letters",
		"/var/lib/a,b":      "letters",
	} {
		got, err := cleanDir(dir)
		if got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("cleanDir(%q) = %q, %v, want %q", dir, got, err, want)
		}
	}
}

func TestDownLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := design(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.checkOurs(); err == nil || !strings.Contains(err.Error(), "not a lab's folder") {
		t.Errorf("a folder that is no lab's: got %v", err)
	}
	if err := os.WriteFile(statePath(dir), []byte(`{"dir": "/elsewhere/lab"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.checkOurs(); err == nil {
		t.Error("a lab.json that was copied from another lab is taken for this one's")
	}
}
