package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/phases"
)

// A damaged journal lies where its operator put it: nothing else there is moved.
func TestRestore(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "rel.db")
	for _, name := range []string{"rel.db", "notes"} {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(home, "backups"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := "mkdir H/rel.damaged && mv H/rel.db H/backups H/rel.damaged, to begin a new history: there is no backup that is whole"
	if got := restore("", path); got != strings.ReplaceAll(want, "H", home) {
		t.Errorf("got %s", got)
	}
	if got := restore("", home); got != "name a file in it with --journal or REL_JOURNAL: it is a folder" {
		t.Errorf("of a folder, got %s", got)
	}
	if got := restore("", ""); got != "there is no backup that is whole" {
		t.Errorf("of nothing, got %s", got)
	}
	if got := restore("/a b/1", "/a b/journal.db"); got != "cp '/a b/1' '/a b/journal.db'" {
		t.Errorf("with a backup, got %s", got)
	}
}

// What a host says is never typed where a shell would take it for something else.
func TestHostileCures(t *testing.T) {
	apply := func(o phases.Outcome) string {
		return advice{}.explainApply(&phases.ApplyError{Host: "h", Outcome: o}).cure
	}
	for got, want := range map[string]string{
		apply(phases.Outcome{Result: "stuck", Unit: "x.service"}):                              "ssh h 'journalctl -u x.service'",
		apply(phases.Outcome{Result: "stuck", Unit: "x;id"}):                                   "ssh h 'journalctl -u …'",
		apply(phases.Outcome{Result: "refused", Text: "/nix/store/x is damaged in the store"}): "ssh h 'nix-store --delete --ignore-liveness /nix/store/x'",
		apply(phases.Outcome{Result: "refused", Text: "$(id) is damaged in the store"}):        "ssh h 'nix-store --delete --ignore-liveness …'",
		strings.TrimPrefix(advice{}.explainOne(&phases.HeldError{Holder: phases.Holder{Promotion: "`id`"}}).cure, "rel start --wait 10m, to wait for it; or, to take it away, "): "rel unlock … -m WHY --force",
		(&targetStatus{Pending: "a b", Unguarded: true}).waiting()[0]: "a b is not confirmed, and nothing takes it back by itself: rel resume …{here}",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What cannot be written has not been shown.
func TestFullOutput(t *testing.T) {
	full := errors.New("no space left")
	err := atOnce(writerFunc(func([]byte) (int, error) { return 0, full }), func(out io.Writer) { fmt.Fprintln(out, "x") })
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// Without a host that was reached, who is held knows nothing of the targets.
func TestStandingUnreached(t *testing.T) {
	for _, c := range []struct {
		changes bool
		code    int
		want    string
	}{
		{false, exitDamaged, ""}, {false, exitHeld, ""}, {true, exitFailed, "unchanged; nothing was begun"},
		{true, exitHeld, "what the other promotion makes of them; rel status tells"},
	} {
		h := &house{changes: c.changes}
		if got := strings.Join(h.standing(t.Context(), explanation{code: c.code}), "\n"); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
	if e := (advice{}).withEditor(&config.Error{Path: config.Name, None: true}); e.cure != "rel init" {
		t.Errorf("without a file: %s", e.cure)
	}
}

// What only root can mend says so, and how whoever logs in there becomes root, where that
// is known.
func TestCureOfReadOnly(t *testing.T) {
	r := &phases.Refusal{Reason: phases.ReadOnly, Host: "prod", Thing: "/home/deploy/shop", Items: []string{"deploy"}}
	for as, want := range map[string]string{
		"":     "as root on prod: chown -R deploy /home/deploy/shop",
		"sudo": "ssh prod 'sudo chown -R deploy /home/deploy/shop'",
	} {
		if e := (advice{become: map[string]string{"prod": as}}).explainRefusal(r); e.cure != want || e.code != exitRefused || e.what != "prod: /home/deploy/shop is not all writable for the login user deploy" {
			t.Errorf("as %q: got %+v", as, e)
		}
	}
}
