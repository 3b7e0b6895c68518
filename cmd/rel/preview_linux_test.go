package main

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"choir.chat/rel/phases"
	"choir.chat/rel/remote/lab"
)

// TestPlan: what rel plan tells is what start then does; and nothing was changed by it.
func TestPlan(t *testing.T) {
	w := newWorld(t, 2)
	w.rel("plan") // the host keys, and what a fetch does
	unchanged := w.unchanged()
	o := w.must(exitOK, "plan")
	o.mentions(t, "choiros-prod no release yet", "nothing -> ", "derivations", "rel start does it")
	if _, code := w.previewed("plan", "--json", "--detailed-exitcode"); code != exitChanges {
		t.Errorf("something to do ends with %d", code)
	}
	unchanged()
	w.must(exitOK, "start")

	w.bump(lab.Bump{})
	commit := w.bump(lab.Bump{Only: "sandbox"})
	w.rel("plan", "--build")
	unchanged = w.unchanged()
	told, code := w.previewed("plan", "--build", "--json")
	unchanged()
	target := &told.Targets[0]
	if code != exitOK || !told.Changes || told.Commit != commit || len(target.New) != 2 || target.New[0].ID != commit || target.New[0].Subject != "sandbox: version 3" {
		t.Errorf("it tells of %s, with %+v: exit %d", told.Commit, target.New, code)
	}
	w.must(exitOK, "start")
	past := w.past()
	for i, output := range past.Facts.Build.Outputs {
		if told.Artifacts[i] != output {
			t.Errorf("it told of %+v, and it is %+v", told.Artifacts[i], output)
		}
	}
	if sent := past.Facts.Copy.Targets[target.Host]; sent.Paths != target.Missing || sent.Unpacked != target.MissingBytes {
		t.Errorf("it told of %d paths and %d bytes; %d and %d were sent", target.Missing, target.MissingBytes, sent.Paths, sent.Unpacked)
	}

	w.must(exitOK, "plan", "--detailed-exitcode").mentions(t, "nothing would change")
	w.exec("choiros-prod", "ln -sfn /bin/true /opt/choiros/bin/desktop")
	w.exec(w.BuildHost(), "echo x >>/opt/choiros/workspace/README.md")
	o = w.must(exitRefused, "plan")
	o.mentions(t, "refused: choiros-prod: /opt/choiros/bin/desktop was repointed by hand", "refused: choiros-grind: ", "README.md", "would refuse")
	w.must(exitRefused, "plan", "--accept-drift").mentions(t, "uncommitted")
}

// previewed is what rel plan prints as JSON.
func (w *world) previewed(args ...string) (v previewed, code int) {
	w.t.Helper()
	o := w.rel(args...)
	if err := json.Unmarshal([]byte(o.out), &v); err != nil {
		w.t.Fatalf("%v: %s%s", err, o.out, o.err)
	}
	return v, o.code
}

// TestStartAsks: on a terminal a start shows what comes with the commit, and goes on with a
// yes alone.
func TestStartAsks(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	commit := w.bump(lab.Bump{})
	start := func(term, progress string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program(t), "start", "--config", w.config, "--journal", w.journal, "--ssh-config", w.SSHConfigPath(), "--progress", progress)
		cmd.Env = append(cmd.Environ(), "CI=", "TERM="+term)
		return cmd
	}
	unchanged := w.unchanged()
	question := "promote " + phases.Short(commit) + "? [y/N] "
	for _, on := range [][2]string{{"dumb", "auto"}, {"xterm", "quiet"}} {
		code, screen, _ := onTerminal(t, start(on[0], on[1]), typing{at: question, open: true})
		before, _, _ := strings.Cut(screen, question)
		if code != exitRefused || !strings.Contains(before, "choiros: version 2") || !strings.Contains(screen, "the answer was no") {
			t.Errorf("%s, --progress %s: exit %d\n%s", on[0], on[1], code, screen)
		}
	}
	unchanged()
	if code, screen, _ := onTerminal(t, start("xterm", "auto"), typing{question, "y", true}); code != exitOK {
		t.Errorf("exit %d\n%s", code, screen)
	}
}

// TestRefusedUnasked: what the targets would refuse is told before anybody is asked.
func TestRefusedUnasked(t *testing.T) {
	p := &phases.Promotion{Targets: []phases.Host{&host{name: "h"}}}
	look := &phases.Look{Root: true, Nix: "nix", Systemd: true, Free: 1 << 40}
	if err := refusal(p, []*phases.Look{look}); err != nil {
		t.Error(err)
	}
	look.Pending = "20261122-230000-68aace9"
	var refused *phases.Refusal
	if err := refusal(p, []*phases.Look{look}); !errors.As(err, &refused) || refused.Reason != phases.Unconfirmed {
		t.Errorf("what waits to be confirmed is no reason: %v", err)
	}
}

// TestShortPreview: of what was adopted a start says what plan says of it.
func TestShortPreview(t *testing.T) {
	p := &phases.Promotion{Targets: []phases.Host{&host{name: "a"}, &host{name: "b"}}, Plan: phases.Plan{Commit: failCommit}}
	lines := strings.Join(shortPreview(p, []*phases.Look{{Live: liveID}, {}}, make([]phases.History, 2)), "\n")
	for _, want := range []string{"a: an adopted release -> 68aace9", "b: no release yet -> 68aace9"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is not in\n%s", want, lines)
		}
	}
}

func TestCompareLink(t *testing.T) {
	for origin, want := range map[string]string{
		"git@github.com:choir/rel.git":                   "https://github.com/choir/rel/compare/a...b",
		"https://someone:secret@github.com/choir/rel":    "https://github.com/choir/rel/compare/a...b",
		"ssh://git@gitlab.example.org:2222/g/s/rel.git/": "https://gitlab.example.org/g/s/rel/-/compare/a...b",
		"https://codeberg.org/choir/rel.git":             "https://codeberg.org/choir/rel/compare/a...b",
		"git@bitbucket.org:choir/rel.git":                "https://bitbucket.org/choir/rel/branches/compare/b%0Da",
		"/srv/git/rel.git":                               "",
		"git://10.0.0.1/rel.git":                         "",
		"https://github.com/a\x1b[31m/b":                 "",
		"https://github.com/a b/c":                       "",
		"host:path/to/repo":                              "",
		"":                                               "",
	} {
		if got := compareLink(origin, "a", "b"); got != want {
			t.Errorf("%q: %s, want %s", origin, got, want)
		}
	}
}

func TestWritePreview(t *testing.T) {
	since := time.Date(2026, 11, 22, 18, 32, 29, 0, time.UTC)
	store := "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-web-"
	web := phases.Artifact{Name: "web", Binary: "bin/web", Link: "/opt/app/bin/web"}
	seen := &phases.Preview{Commit: "189a81d0", Subject: "a new front page", Built: true, Paths: 40, Bytes: 90 << 20,
		Artifacts: []phases.Output{{Artifact: web, Path: store + "2"}},
		Targets: []phases.TargetPreview{
			{
				Host: "prod", Live: "20261122-183229-8513b9c", Since: &since, By: "ana@mbp",
				History: phases.History{Commit: "8513b9c0", Origin: "git@github.com:choir/app.git",
					New: []phases.Commit{{ID: "189a81d0", Author: "ana", Subject: "a new front page"}}, More: 3,
					Gone: []phases.Commit{{ID: "77777770", Author: "ben", Subject: "a hotfix"}}},
				Links: []phases.LinkChange{{Link: web.Link, From: store + "1/bin/web", To: store + "2/bin/web"}},
				Packages: []phases.PackageChange{{Name: "openssl", From: []string{"3.0.1"}, To: []string{"3.0.2"}, Bytes: 2048},
					{Name: "web", From: []string{"1"}, To: []string{"1"}, Bytes: -100}, {Name: "zlib", Added: true, To: []string{"1.3"}, Bytes: 1 << 20}},
				Missing: 3, MissingBytes: 12 << 20, About: 2 << 20,
				Refusals: []*phases.Refusal{{Reason: phases.Downgrade, Host: "prod", Thing: "8513b9c0"}},
			},
			{Host: "prod-2"},
		}}
	var b strings.Builder
	plan := &phases.Plan{Restart: []string{"web"}, Checks: []phases.Check{{Name: "up"}}}
	writePreview(&b, judgePreview(seen, plan, advice{}), func(_, text string) string { return text })
	const want = `189a81d a new front page

prod runs 8513b9c (20261122-183229-8513b9c) since 2026-11-22 18:32:29 UTC, by ana@mbp
  commits   189a81d  ana  a new front page
            and 3 more
  undone    7777777  ben  a hotfix
  compare   https://github.com/choir/app/compare/8513b9c0...189a81d0
  links     /opt/app/bin/web  0123456…-web-1/bin/web -> 0123456…-web-2/bin/web
  packages  openssl  3.0.1 -> 3.0.2  +2.0 KiB
            web      1 rebuilt       -100 B
            zlib     new 1.3         +1.0 MiB
  copy      3 of 40 paths, 12.0 MiB unpacked, up to about 2.0 MiB to send

prod-2 no release yet
  copy      nothing: it has all 40 paths

  build     all is built: 40 paths, 90.0 MiB
  restart   web
  checks    up
`
	if got, _, _ := strings.Cut(b.String(), "\nrefused:"); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(b.String(), "\nrefused: prod: ") || !strings.HasSuffix(b.String(), "rel start would refuse to begin\n") {
		t.Errorf("it ends\n%s", b.String())
	}
}
