package phases

import (
	"context"
	"errors"
	"fmt"
	"os"
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
		return Pin(t.Context(), p.Build, nil, p.Plan, want, config)
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

// A checkout that somebody moved or touched after sync is noticed by verify.
func TestVerifyCheckout(t *testing.T) {
	r := newRepos(t)
	dir := r.clone(r.commits[1])
	p := r.promotion("", dir, r.commits[2])
	var refusal *Refusal
	err := verifyCheckout(t.Context(), p, p.Targets[0], dir, false)
	if !errors.As(err, &refusal) || refusal.Reason != CommitsDiffer || refusal.Items[0] != r.commits[1] {
		t.Errorf("got %v", err)
	}
	r.git(dir, "reset", "-q", "--hard", r.commits[2])
	if err := verifyCheckout(t.Context(), p, p.Targets[0], dir, false); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := verifyCheckout(t.Context(), p, p.Targets[0], dir, false); !errors.As(err, &refusal) || refusal.Reason != Dirty {
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
