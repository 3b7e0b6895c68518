package phases

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// serving makes the site one where the commit is live, and nothing is to be done.
func (w *farSite) serving(p *Promotion) {
	w.live, w.moved, p.Plan.Commit = w.commit, true, w.commit
	release := &Release{ID: "20260101-000000-bbbbbbb", Commit: w.commit, Subject: "the newest", Repo: "/srv", Outputs: []Output{{
		Artifact: p.Plan.Artifacts[0], Path: "/nix/store/new"}}}
	text, _ := json.Marshal(release)
	w.answers["look.sh"] = fmt.Sprintf("uid=0\nsystemd=yes\nnix=nix\nfree=99999999\nlive=%s\nlive_sha=%s\nkind=start\njson=%s\nintact=yes\n"+
		"recorded=/opt/x\t/nix/store/new/bin/x\nlink=/opt/x\t/nix/store/new/bin/x\n"+
		"unit=x\tLoadState=loaded ActiveState=active Type=simple\nepoch=6\nhold=\n", release.ID, w.commit, text)
	pin := "commit=" + w.commit + "\nsubject=the newest\nhead=" + w.commit + "\nnix=nix\nfree=99999999\n"
	for line := range strings.Lines(string(release.Manifest())) {
		pin += "manifest=" + line
	}
	w.answers["pin.sh"] = pin
}

// TestAlreadyLive: there is nothing to do only where everything says so, and that takes
// a question to each host, and one to each check.
func TestAlreadyLive(t *testing.T) {
	edit := func(script, old, new string) func(*Promotion, *farSite) {
		return func(_ *Promotion, w *farSite) {
			if was := w.answers[script]; !strings.Contains(was, old) {
				panic(old)
			}
			w.answers[script] = strings.ReplaceAll(w.answers[script], old, new)
		}
	}
	plan := func(fn func(*Plan)) func(*Promotion, *farSite) {
		return func(p *Promotion, _ *farSite) { fn(&p.Plan) }
	}
	for name, change := range map[string]func(*Promotion, *farSite){
		"":                          func(*Promotion, *farSite) {},
		"--force":                   plan(func(p *Plan) { p.Force = true }),
		"another commit is live":    edit("look.sh", "live_sha=b", "live_sha=c"),
		"nothing is live":           edit("look.sh", "live=", "was="),
		"its record is lost":        edit("look.sh", "json=", "text="),
		"its record is broken":      edit("look.sh", "json={", "json=["),
		"its record is another's":   edit("look.sh", `"commit":"b`, `"commit":"c`),
		"it was adopted":            edit("look.sh", "kind=start", "kind=adopt"),
		"it is not whole":           edit("look.sh", "intact=yes", "intact=no"),
		"a link leads elsewhere":    edit("look.sh", "link=/opt/x\t/nix/store/new", "link=/opt/x\t/nix/store/old"),
		"a link was changed":        edit("look.sh", "epoch=6", "by_hand=/opt/x"),
		"a link is gone":            edit("look.sh", "\nlink=", "\nlinked="),
		"a unit is down":            edit("look.sh", "ActiveState=active", "ActiveState=failed"),
		"a unit runs another":       edit("look.sh", "epoch=6", "stale=x\t/nix/store/old/bin/x"),
		"a release waits":           edit("look.sh", "epoch=6", "pending=20260102-000000-ccccccc"),
		"someone holds it":          edit("look.sh", "hold=", "hold=6|20260101-000000-ccccccc|apply|3|2026-11-23T04:00:00Z||ana"),
		"it was rolled back":        edit("look.sh", "epoch=6", "rolled_back="+strings.Repeat("b", 40)+"\t20260101-000000-bbbbbbb"),
		"the user is not root":      edit("look.sh", "uid=0", "uid=1000"),
		"the disk is full":          edit("look.sh", "free=99999999", "free=9"),
		"the checkout is elsewhere": func(_ *Promotion, w *farSite) { w.moved = false },
		"the checkout is dirty":     func(_ *Promotion, w *farSite) { w.answers["sync.sh"] = "refused=dirty\nitem=?? x\n" },
		"the build host's is": func(_ *Promotion, w *farSite) {
			w.answers["pin.sh"] += "refused=dirty\nitem=?? x\n"
		},
		"the build host's is elsewhere": edit("pin.sh", "head=b", "head=a"),
		"the manifest is another's":     edit("pin.sh", "manifest=RELEASE_ID=", "manifest=RELEASE_ID=x"),
		"the manifest is gone":          edit("pin.sh", "manifest=", "no="),
		"another flake":                 plan(func(p *Plan) { p.Artifacts[0].Flake = ".#y" }),
		"another link":                  plan(func(p *Plan) { p.Artifacts[0].Link = "/opt/y" }),
		"another binary":                plan(func(p *Plan) { p.Artifacts[0].Binary = "bin/y" }),
		"one artifact more":             plan(func(p *Plan) { p.Artifacts = append(p.Artifacts, p.Artifacts[0]) }),
		"one unit more":                 plan(func(p *Plan) { p.Restart = append(p.Restart, "y") }),
		"a check fails":                 plan(func(p *Plan) { p.Checks[0].Body = strings.Repeat("c", 40) }),
		"a check asks for what is not":  plan(func(p *Plan) { p.Checks[0].Status = 204 }),
	} {
		synctest.Test(t, func(t *testing.T) {
			p, site := newFar(2)
			p.Plan.Artifacts = slices.Clone(p.Plan.Artifacts)
			site.serving(p)
			p.Plan.Checks[0].Body = "${sha}"
			change(p, site)
			var id string
			took := trips(t, func() error {
				_, looks, err := Survey(t.Context(), p, "", "")
				if err == nil {
					id = AlreadyLive(t.Context(), p, looks, nil)
				}
				return err
			})
			if live := id != ""; live != (name == "") {
				t.Errorf("%s: it is live already: %t", name, live)
			}
			// One for the questions; the check's are its connection, and its answer.
			if name == "" && (took != 3 || id != "20260101-000000-bbbbbbb") {
				t.Errorf("%d round trips, and %s", took, id)
			}
		})
	}
}

// TestPresumed: checks that were asked beside the survey are not asked again, if they
// were asked of what is live; and what they say is what counts.
func TestPresumed(t *testing.T) {
	const live = "20260101-000000-bbbbbbb"
	for _, c := range []struct {
		name, id, commit, body string
		trips                  int
		want                   string
	}{
		{"what is live", live, strings.Repeat("b", 40), "${sha}", 2, live},
		{"another promotion", "20260101-000000-aaaaaaa", strings.Repeat("b", 40), "${sha}", 3, live},
		{"another commit", live, strings.Repeat("a", 40), "${sha}", 3, live},
		{"what is live, and fails", live, strings.Repeat("b", 40), "never", 2, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, site := newFar(1)
			p.Plan.Artifacts = slices.Clone(p.Plan.Artifacts)
			site.serving(p)
			p.Plan.Checks[0].Body = c.body
			var id string
			took := trips(t, func() error {
				presumed := Presume(t.Context(), p, c.id, c.commit)
				_, looks, err := Survey(t.Context(), p, "", "")
				id = AlreadyLive(t.Context(), p, looks, presumed)
				return err
			})
			if took != c.trips || id != c.want {
				t.Errorf("%s: %d round trips, want %d; live is %q", c.name, took, c.trips, id)
			}
		})
	}
}
