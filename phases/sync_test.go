package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestSync(t *testing.T) {
	r := newRepos(t)
	one, two, three := r.commits[0], r.commits[1], r.commits[2]
	cases := []struct{ name, build, target, commit string }{
		{"fast-forward", one, two, three},
		{"already there", three, three, three},
		{"not to the tip, to the commit", one, one, two},
		{"back to an older one", three, two, one},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			build, target := r.clone(c.build), r.clone(c.target)
			p := r.promotion(build, target, c.commit)
			for range 2 { // the second run finds everything done
				if err := Sync(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				if r.head(build) != c.commit || r.head(target) != c.commit {
					t.Errorf("build host at %s, target at %s, want %s", r.head(build), r.head(target), c.commit)
				}
			}
			if p.Facts.Sync.Before["grind"] != c.commit {
				t.Errorf("facts are %+v", p.Facts.Sync)
			}
		})
	}
}

// Each refusal leaves both checkouts where they were, also the sound one.
func TestSyncRefuses(t *testing.T) {
	r := newRepos(t)
	one, three := r.commits[0], r.commits[2]
	r.git(r.origin, "checkout", "-q", "-b", "side")
	side := r.commit(r.origin, "elsewhere")
	r.git(r.origin, "checkout", "-q", "main")
	touch := func(dir, name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name   string
		spoil  func(dir string)
		commit string
		want   Refusal
	}{
		{"untracked file", func(dir string) { touch(dir, "new\nline\x1b[31m") }, three,
			Refusal{Reason: Dirty, Items: []string{`?? "new\nline\033[31m"`}}},
		{"changed file", func(dir string) { touch(dir, "file") }, three, Refusal{Reason: Dirty, Items: []string{" M file"}}},
		{"own commit", func(dir string) { r.commit(dir, "mine") }, three, Refusal{Reason: Diverged}},
		{"another branch", func(dir string) { r.git(dir, "checkout", "-q", "-b", "topic") }, three,
			Refusal{Reason: WrongBranch, Items: []string{"topic", "main"}}},
		{"detached", func(dir string) { r.git(dir, "checkout", "-q", "--detach") }, three, Refusal{Reason: WrongBranch, Items: []string{"HEAD", "main"}}},
		{"no checkout", func(dir string) { os.RemoveAll(dir) }, three, Refusal{Reason: NoCheckout}},
		{"unknown commit", func(string) {}, strings.Repeat("a", 40), Refusal{Reason: UnknownCommit}},
		{"commit of another branch", func(dir string) { r.git(dir, "fetch", "-q", "origin", "side") }, side,
			Refusal{Reason: NotOnBranch, Items: []string{"main"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			build, target := r.clone(one), r.clone(one)
			c.spoil(target)
			p := r.promotion(build, target, c.commit)
			var refusal *Refusal
			err := Sync(t.Context(), p)
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v", err)
			}
			if refusal.Reason != c.want.Reason || c.want.Items != nil && fmt.Sprint(refusal.Items) != fmt.Sprint(c.want.Items) {
				t.Errorf("got %+v, want %+v", refusal, c.want)
			}
			if r.head(build) != one {
				t.Errorf("the build host's checkout was moved to %s", r.head(build))
			}
		})
	}
}

// A checkout that whoever logs in cannot write to is refused before anything is fetched,
// also where git would not trust it, and doctor finds it.
func TestCheckoutOfAnother(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[0])
	var as []string
	if os.Getuid() == 0 {
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("there is no setpriv")
		}
		as = []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
		for up := filepath.Dir(dir); up != filepath.Clean(os.TempDir()); up = filepath.Dir(up) {
			if err := os.Chmod(up, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	user, err := exec.Command("/bin/sh", "-c", strings.Join(as, " ")+" id -un").Output()
	if err != nil {
		t.Fatal(err)
	}
	chmod := func(mode, dir string) {
		if out, err := exec.Command("chmod", "-R", mode, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Cleanup(func() { chmod("u+w", dir) })
	host := &local{name: "grind", as: as, env: []string{"HOME=/"}}
	p := r.promotion(dir, "", r.commits[2])
	p.Build = host
	want := fmt.Sprintf("[{%s grind %s [%s] 0}]", ReadOnly, dir, strings.TrimSpace(string(user)))
	check := func(what string, got ...*Refusal) {
		t.Helper()
		var list []Refusal
		for _, r := range got {
			list = append(list, *r)
		}
		if fmt.Sprint(list) != want {
			t.Errorf("%s: got %v, want %s", what, list, want)
		}
	}
	inspect := func(what string) {
		t.Helper()
		plan := &Plan{App: "app", Branch: "main", Manifest: filepath.Join(t.TempDir(), "app.env")}
		i, err := Inspect(t.Context(), host, plan, Site{Host: "grind", Repo: dir}, false)
		if err != nil {
			t.Fatal(err)
		}
		check(what, i.Checkout.Refusals...)
	}
	refuses := func(what string) {
		t.Helper()
		var synced, pinned *Refusal
		errors.As(Sync(t.Context(), p), &synced)
		_, err := Pin(t.Context(), p, "", "")
		if !errors.As(err, &pinned) || synced == nil {
			t.Fatalf("%s: got %v", what, err)
		}
		check(what, synced)
		check(what, pinned)
	}
	trust := filepath.Join(filepath.Dir(dir), "trust")
	if err := os.WriteFile(trust, []byte("[safe]\n\tdirectory = *\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	chmod("a-w,a+rX", dir)
	for _, config := range []string{"/none", trust} {
		name := "with " + filepath.Base(config)
		t.Setenv("GIT_CONFIG_GLOBAL", config)
		refuses(name)
		inspect(name)
	}
	// Git was run there as root, once.
	chmod("a+w", dir)
	fetched := filepath.Join(dir, ".git", "FETCH_HEAD")
	if err := os.WriteFile(fetched, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, of := range []string{"refs/heads", "objects/info", "FETCH_HEAD", "logs/HEAD"} {
		chmod("a+w", dir)
		chmod("a-w", filepath.Join(dir, ".git", of))
		refuses(of)
		inspect(of)
	}
	// What Git puts in place anew, and what it does not write, may be anybody's.
	chmod("a+w", dir)
	chmod("a-w", filepath.Join(dir, ".git", "config"))
	chmod("a-w", filepath.Join(dir, ".git", "hooks"))
	want = "[]"
	inspect("config and hooks")
	if _, err := Pin(t.Context(), p, "", ""); err != nil {
		t.Errorf("config and hooks: %v", err)
	}
}

func TestSyncCountsWhatItLeavesOut(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[0])
	for i := range 33 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("junk%02d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := r.promotion(dir, "", r.commits[2])
	var refusal *Refusal
	if err := Sync(t.Context(), p); !errors.As(err, &refusal) || len(refusal.Items) != 20 || refusal.More != 13 {
		t.Errorf("got %+v", refusal)
	}
}

// A target without a checkout is not asked for one.
func TestSyncWithoutCheckout(t *testing.T) {
	r := newRepos(t)
	p := r.promotion(r.clone(r.commits[0]), "", r.commits[2])
	if err := Sync(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestPin(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[0])
	p := r.promotion(dir, "", "")
	pin := func(want, config string) (Pinned, error) {
		return Pin(t.Context(), p, want, config)
	}
	tip, err := pin("", "file")
	if err != nil || tip.Commit != r.commits[2] || tip.Subject != "three" || tip.ConfigBlob != r.git(r.origin, "rev-parse", "HEAD:file") {
		t.Errorf("the tip is %+v, %v", tip, err)
	}
	if older, err := pin(r.commits[1][:8], "no/such"); err != nil || older.Commit != r.commits[1] || older.ConfigBlob != "" {
		t.Errorf("got %+v, %v", older, err)
	}
	for _, want := range []string{"nonsense", "-x", "--all", "$(id)", strings.Repeat("0", 40)} {
		var refusal *Refusal
		if _, err := pin(want, ""); !errors.As(err, &refusal) || refusal.Reason != UnknownCommit {
			t.Errorf("%q: got %v", want, err)
		}
	}
	if r.head(dir) != r.commits[0] {
		t.Error("pinning moved the checkout")
	}
}

// A checkout that somebody moved between the look and the move has not been looked at:
// it may have commits that would be lost. It stays as it is.
func TestSyncMovedInBetween(t *testing.T) {
	r := newRepos(t)
	for name, own := range map[string]bool{"to another commit": false, "with a commit of its own": true} {
		t.Run(name, func(t *testing.T) {
			build, target := r.clone(r.commits[0]), r.clone(r.commits[0])
			p := r.promotion(build, target, r.commits[2])
			p.Seen = new(Seen)
			for i, dir := range []string{build, target} {
				if _, err := p.lookAtCheckout(t.Context(), i, []Host{p.Build, p.Targets[0]}[i], dir); err != nil {
					t.Fatal(err)
				}
			}
			r.git(target, "reset", "-q", "--hard", r.commits[1])
			if own {
				r.commit(target, "mine")
			}
			moved := r.head(target)
			var refusal *Refusal
			if err := Sync(t.Context(), p); !errors.As(err, &refusal) || refusal.Reason != CommitsDiffer || refusal.Items[0] != moved {
				t.Errorf("got %v", err)
			}
			if r.head(target) != moved {
				t.Errorf("it was moved on to %s", r.head(target))
			}
			// Looked at as it is now it is refused, or moved.
			if err := Sync(t.Context(), p); (err != nil) != own {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Two operators look at the same checkout at the same time: both see the new commit.
func TestSyncBesideAnother(t *testing.T) {
	r := newRepos(t)
	for range 5 {
		dir := r.clone(r.commits[0])
		r.git(dir, "update-ref", "refs/remotes/origin/main", r.commits[0])
		failures := make([]error, 4)
		var wait sync.WaitGroup
		for i := range failures {
			wait.Go(func() {
				p := r.promotion(dir, "", r.commits[2])
				_, failures[i] = p.lookAtCheckout(t.Context(), 0, p.Build, dir)
			})
		}
		wait.Wait()
		if err := Join(failures); err != nil {
			t.Error(err)
		}
	}
}

// Verify does not ask again what sync has just been answered, and another run does.
func TestVerifyAfterSync(t *testing.T) {
	r := newRepos(t)
	build, target := r.clone(r.commits[0]), r.clone(r.commits[2])
	p := r.promotion(build, target, r.commits[2])
	p.Seen = new(Seen)
	if err := Sync(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if a := p.Seen.checkout(i); a.get("head") != r.commits[2] || a.has("item") || (a.has("nix") || a.has("nix_error")) != (i == 0) {
			t.Errorf("of checkout %d it is known that %v", i, a)
		}
	}
}

// A checkout that somebody moved or touched after sync is noticed by verify.
func TestVerifyCheckout(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[1])
	p := r.promotion("", dir, r.commits[2])
	var refusal *Refusal
	err := verifyCheckout(t.Context(), p, 1, p.Targets[0], dir)
	if !errors.As(err, &refusal) || refusal.Reason != CommitsDiffer || refusal.Items[0] != r.commits[1] {
		t.Errorf("got %v", err)
	}
	r.git(dir, "reset", "-q", "--hard", r.commits[2])
	if err := verifyCheckout(t.Context(), p, 1, p.Targets[0], dir); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verifyCheckout(t.Context(), p, 1, p.Targets[0], dir); !errors.As(err, &refusal) || refusal.Reason != Dirty {
		t.Errorf("got %v", err)
	}
}

// All hosts are asked side by side, and all their failures are told.
func TestEach(t *testing.T) {
	hosts := []Host{&local{name: "a"}, &local{name: "b"}, &local{name: "c"}}
	var together sync.WaitGroup
	together.Add(len(hosts))
	err := each(t.Context(), hosts, func(_ context.Context, i int, host Host) error {
		together.Done()
		together.Wait() // would wait for ever if they came one after the other
		if i == 1 {
			return nil
		}
		return errors.New(host.Name())
	})
	if err == nil || err.Error() != "a; c" {
		t.Errorf("got %v", err)
	}
}
