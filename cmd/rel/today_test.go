package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// TestToday: a host that was hardened since its last promotion is gone to as rel.toml
// has it now, and one that rel.toml no longer has as it was.
func TestToday(t *testing.T) {
	config := filepath.Join(t.TempDir(), "rel.toml")
	text := `app = "app"
repo = "/srv/app"
become = "sudo"
[build]
host = "grind"
[[target]]
host = "prod"
[[artifact]]
name = "web"
flake = ".#web"
binary = "bin/web"
link = "/opt/app/bin/web"
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &house{globals: &globals{Config: config}}
	for host, want := range map[string]string{"prod": "sudo", "old": "doas"} {
		if got := h.today(phases.Site{Host: host, Become: "doas"}).Become; got != want {
			t.Errorf("%s becomes root with %q, want %q", host, got, want)
		}
	}
	h.globals.Config = filepath.Join(filepath.Dir(config), "none.toml")
	if got := h.today(phases.Site{Host: "prod"}).Become; got != "" {
		t.Errorf("without rel.toml it is %q", got)
	}
}

// TestBarred: once a target may have been changed, nothing is "refused before any change".
func TestBarred(t *testing.T) {
	for phase, want := range map[string]int{"verify": exitRefused, "apply": exitPerson, "health": exitPerson} {
		for _, err := range []error{&remote.SudoError{Host: "prod"}, &remote.ForwardError{Host: "prod"}} {
			if e := explain(&machine.PhaseError{Phase: phase, Err: err}); e.code != want {
				t.Errorf("%s: %v: exit %d, want %d", phase, err, e.code, want)
			}
		}
	}
	if e := explain(&machine.PhaseError{Phase: "apply", Err: errors.New("x")}); e.code != exitPerson {
		t.Errorf("exit %d", e.code)
	}
}
