package main

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/phases"
)

const (
	// shownCommits are as many of a history as rel plan shows, askedCommits as many as a
	// start does before it asks.
	shownCommits = 20
	askedCommits = 5
)

// writePreview is what a start would do, for people.
func writePreview(out io.Writer, v *previewed, paint show.Paint) {
	fmt.Fprintf(out, "%s %s\n", paint(show.Bold, phases.Short(v.Commit)), v.Subject)
	for i := range v.Targets {
		fmt.Fprintln(out)
		writeTarget(out, v, &v.Targets[i], paint)
	}
	fmt.Fprintln(out)
	row := func(name, text string) { fmt.Fprintf(out, "  %-9s %s\n", name, text) }
	row("build", buildText(v.Preview))
	row("restart", orNothing(strings.Join(v.Restart, ", ")))
	row("checks", orNothing(strings.Join(v.Checks, ", ")))
	for _, o := range v.Refused {
		fmt.Fprintf(out, "\n%s %s\n", paint(show.Red, "refused:"), o.Text)
		if o.Cure != "" {
			fmt.Fprintf(out, "cure:    %s\n", o.Cure)
		}
	}
	fmt.Fprintln(out)
	switch {
	case len(v.Refused) > 0:
		fmt.Fprintln(out, "nothing was changed; rel start would refuse to begin")
	case v.Changes:
		fmt.Fprintln(out, "nothing was changed; rel start does it")
	default:
		fmt.Fprintln(out, "nothing would change: the commit is live")
	}
}

func writeTarget(out io.Writer, v *previewed, t *phases.TargetPreview, paint show.Paint) {
	runs := liveText(t.Live, t.Commit)
	if t.Live != "" {
		runs = fmt.Sprintf("runs %s (%s)", runs, t.Live)
	}
	if t.Since != nil {
		runs += fmt.Sprintf(" since %s, by %s", utc(*t.Since), orNothing(t.By))
	}
	fmt.Fprintf(out, "%s %s\n", paint(show.Bold, t.Host), runs)
	row := func(name, text string) { fmt.Fprintf(out, "  %-9s %s\n", name, text) }
	writeHistory(row, &t.History, v.Commit, shownCommits)
	if t.Hold != nil {
		row("held", "by "+t.Hold.String())
	}
	for i, link := range t.Links {
		row(heading(i, "links"), fmt.Sprintf("%s  %s -> %s", link.Link, orNothing(storeText(link.From)), storeText(link.To)))
	}
	writePackages(out, t.Packages)
	if v.Built {
		row("copy", copyText(v.Preview, t))
	}
}

// liveText is what a target runs: a commit, or what was there before rel.
func liveText(live, commit string) string {
	if live == "" {
		return "no release yet"
	}
	return shortOr(commit, "an adopted release")
}

// heading is a row's name, on the first of its lines.
func heading(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func writeHistory(row func(name, text string), between *phases.History, commit string, most int) {
	list := func(name string, commits []phases.Commit, more int) {
		for i, c := range commits[:min(most, len(commits))] {
			row(heading(i, name), fmt.Sprintf("%s  %s  %s", phases.Short(c.ID), c.Author, c.Subject))
		}
		if more += max(0, len(commits)-most); more > 0 {
			row("", fmt.Sprintf("and %d more", more))
		}
	}
	switch {
	case between.Commit == "":
		return
	case between.Commit == commit:
		row("commits", "none: it is live")
		return
	case between.Unknown:
		row("commits", "the build host's checkout does not have the live one")
		return
	}
	list("commits", between.New, between.More)
	list("undone", between.Gone, between.Fewer)
	if link := compareLink(between.Origin, between.Commit, commit); link != "" {
		row("compare", link)
	}
}

// writePackages is what changes in a closure.
func writePackages(out io.Writer, changes []phases.PackageChange) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	for i, c := range changes {
		fmt.Fprintf(w, "  %-9s %s\t%s\t%s\n", heading(i, "packages"), c.Name, versionText(&c), signed(c.Bytes))
	}
	_ = w.Flush()
	_, _ = io.WriteString(out, b.String())
}

func versionText(c *phases.PackageChange) string {
	from, to := strings.Join(c.From, ", "), strings.Join(c.To, ", ")
	switch {
	case c.Added:
		return strings.TrimSpace("new " + to)
	case c.Removed:
		return strings.TrimSpace("gone " + from)
	case slices.Equal(c.From, c.To):
		return strings.TrimSpace(to + " rebuilt")
	}
	return orNothing(from) + " -> " + orNothing(to)
}

// signed is a difference of sizes.
func signed(bytes int64) string {
	switch {
	case bytes == 0:
		return ""
	case bytes < 0:
		return "-" + phases.BytesText(-bytes)
	}
	return "+" + phases.BytesText(bytes)
}

// storeText is a path without the folder of the store and its hash: what is in a store
// path is known by its name.
func storeText(link string) string {
	name, inside := strings.CutPrefix(link, "/nix/store/")
	if !inside || len(name) < 34 {
		return link
	}
	store, _, _ := strings.Cut(name, "/")
	return store[:min(7, len(store))] + "…-" + path.Clean(name[33:])
}

func buildText(v *phases.Preview) string {
	if v.Built {
		return fmt.Sprintf("all is built: %s, %s", phases.CountText(v.Paths, "path"), phases.BytesText(v.Bytes))
	}
	text := phases.CountText(len(v.Derivations), "derivation")
	if len(v.Fetched) > 0 {
		text += fmt.Sprintf(", and %s to fetch", phases.CountText(len(v.Fetched), "path"))
	}
	return text + "; what changes in the closures is known once they are built: rel plan --build"
}

func copyText(v *phases.Preview, t *phases.TargetPreview) string {
	if t.Missing == 0 {
		return fmt.Sprintf("nothing: it has all %s", phases.CountText(v.Paths, "path"))
	}
	return fmt.Sprintf("%d of %s, %s unpacked, up to about %s to send", t.Missing, phases.CountText(v.Paths, "path"), phases.BytesText(t.MissingBytes), phases.BytesText(t.About))
}

// shortPreview is what a start says before it asks.
func shortPreview(p *phases.Promotion, looks []*phases.Look, histories []phases.History) []string {
	var lines []string
	row := func(name, text string) { lines = append(lines, fmt.Sprintf("  %-8s %s", name, text)) }
	for i, target := range p.Targets {
		between := &histories[i]
		lines = append(lines, fmt.Sprintf("%s: %s -> %s", target.Name(), liveText(looks[i].Live, between.Commit), p.Plan.Short()))
		if i == 0 || between.Commit != histories[i-1].Commit {
			writeHistory(row, between, p.Plan.Commit, askedCommits)
		}
	}
	row("restart", orNothing(strings.Join(p.Plan.Restart, ", ")))
	return append(lines, fmt.Sprintf("  %-8s %s", "checks", phases.CountText(len(p.Plan.Checks), "check")))
}
