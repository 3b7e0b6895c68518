package machine

import (
	"context"
	"errors"
	"testing"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/phases"
)

// What a phase sees live is what it would see in a resume, to the nanosecond:
// a bug of the resume that only a cut would show is none.
func TestFactsOfAResumeAreThoseOfTheRun(t *testing.T) {
	for _, name := range []string{"sync", "verify", "build", "copy", "apply", "health"} {
		w := newWorld(t)
		w.run[name] = failOnce(errors.New("no route to host"))
		phaseError(t, w.open(Forward).Run(context.Background()))
		w.finish(w.resume())
		first, second := w.seen[name+"#1"], w.seen[name+"#2"]
		// Of its own failed attempt, a phase sees what that one found.
		for _, facts := range []*phases.Facts{&first, &second} {
			switch name {
			case "sync":
				facts.Sync = nil
			case "verify":
				facts.Verify = nil
			case "build":
				facts.Build = nil
			case "apply":
				facts.Apply = nil
			case "health":
				facts.Health = nil
			}
		}
		equal(t, "facts that "+name+" sees", second, first)
	}
}

// They have been through JSON also where nothing was resumed.
func TestFactsGoThroughJSON(t *testing.T) {
	w := newWorld(t)
	var made time.Time
	w.run["build"] = func(_ context.Context, p *phases.Promotion) error {
		made = p.Facts.Build.CreatedAt
		return nil
	}
	w.finish(w.open(Forward))
	got := w.seen["copy#1"].Build
	if got == nil || !got.CreatedAt.Equal(made) {
		t.Fatalf("copy sees the build %+v", got)
	}
	if got.CreatedAt == made {
		t.Error("copy sees the very value that build made, monotonic clock and all; a resume would not")
	}
	if got.Outputs[0].Flake != ".#<a>&b" {
		t.Errorf("copy sees flake %q", got.Outputs[0].Flake)
	}
	equal(t, "facts of the journal", w.replay().Facts.Build, got)
}

// An event tells what its attempt found, not all that is known.
func TestFactsAreRecordedWhereTheyChanged(t *testing.T) {
	w := newWorld(t)
	w.run["verify"] = func(_ context.Context, p *phases.Promotion) error {
		if p.Attempt == 1 {
			return errors.New("no route to host")
		}
		return nil
	}
	m := w.open(Forward)
	phaseError(t, m.Run(context.Background()))
	w.run["build"] = func(_ context.Context, p *phases.Promotion) error {
		p.Facts.Build.CreatedAt = time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC)
		p.Facts.Sync.Before["prod"] = "7654321" // another phase's fact
		return nil
	}
	w.finish(w.resume())
	got := map[string]string{}
	for _, ev := range w.journal.events {
		if ev.Kind == journal.Moved || ev.Kind == journal.Failed {
			got[short(ev)] = string(ev.Data)
		}
	}
	verify := `{"verify":{"targets":{"prod":{"links":{"/bin/x":"/nix/store/old"}}}}}`
	equal(t, "recorded facts", got, map[string]string{
		"moved sync#1 new>synced":           `{"sync":{"before":{"grind":"1234567","prod":"1234567"}}}`,
		"failed verify#1: no route to host": verify,
		"moved verify#2 synced>verified":    "", // found the same again
		"moved build#1 verified>built":      `{"build":{"id":"p1","commit":"dc8876b0aa11dc8876b0aa11dc8876b0aa11dc88","created_at":"2026-11-22T18:00:00Z","repo":"","outputs":[{"name":"sandbox","flake":".#\u003ca\u003e\u0026b","binary":"","link":"","path":"/nix/store/new"}],"closure":[],"bytes":0},"sync":{"before":{"grind":"1234567","prod":"7654321"}}}`,
		"moved copy#1 built>copied":         "",
		"moved apply#1 copied>applied":      `{"apply":{"targets":{"prod":{"attempt":1,"result":"applied","unit":"","text":""}}}}`,
		"moved health#1 applied>healthy":    `{"health":{"results":[]}}`,
	})
}
