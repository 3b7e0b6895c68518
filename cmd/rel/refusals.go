package main

import (
	"fmt"
	"regexp"
	"strings"

	"choir.chat/rel/phases"
)

// words are what is said of a refusal. {host}, {thing} and {items} stand for its
// facts, {first} and {last} for one of the items, {folders} for items that are arguments,
// {aside} for what moves them away, {commit} and {short} for a thing, or items, that is a
// commit, {again} for the promotion once more, with what it was started with, {wait} for
// that when whoever holds the targets is gone, {config} for the SSH configuration, and {here} for
// where this run finds its files.
type words struct {
	what, cure string
	// ssh says that the cure is a command for the host, and root that only root can type it.
	ssh, root bool
	// with is what {again} has in it: flags for the promotion.
	with string
	// list says that the items are worth a line each; otherwise they are in the
	// words, or of no help.
	list bool
}

// refusals says what a host lacks, and how to mend it.
var refusals = map[phases.Reason]words{
	phases.NoCheckout: {what: "{thing} is no git checkout",
		cure: "{again}, once repo in rel.toml is right; or with --repo, --grind-repo, --prod-repo"},
	phases.NotOurs: {what: "{thing} belongs to another user, and git does not trust it",
		cure: "git config --global --add safe.directory {thing}", ssh: true},
	phases.ReadOnly: {what: "{thing} is not all writable for the login user {items}", cure: "as root on {host}: chown -R {items} {thing}"},
	phases.Dirty:    {what: "{thing} has uncommitted changes", cure: "git -C {thing} status", ssh: true, list: true},
	phases.Diverged: {what: "{thing} has commits that are not at its origin", cure: "git -C {thing} log @{u}..", ssh: true, list: true},
	phases.WrongBranch: {what: "{thing} has branch {first} checked out, not {last}",
		cure: "git -C {thing} checkout {last}", ssh: true},
	phases.UnknownCommit: {what: "there is no commit {thing} in the repository", cure: "git push && {again}"},
	phases.NotOnBranch:   {what: "commit {thing} is not on branch {items}", cure: "{again}, once it is merged there"},
	phases.CommitsDiffer: {what: "{thing} is at {items}, not at the commit of this promotion",
		cure: "{again}, once it is known who moved it"},
	phases.Downgrade: {what: "the live commit {commit} does not lead to this one",
		cure: "{again}, if that is meant; rel rollback{here} to go back", with: "--allow-downgrade"},
	phases.NoNix:    {what: "nix does not work: {thing}", cure: "nix --version", ssh: true},
	phases.NoUnit:   {what: "there is no unit {items}", cure: "systemctl list-unit-files", ssh: true},
	phases.Occupied: {what: "{items} is not a link", cure: "{aside}", ssh: true, root: true},
	phases.NoFolder: {what: "there is no folder {items} for the links or the manifest", cure: "mkdir -p {folders}", ssh: true, root: true},
	phases.NotRoot: {what: "the login user is {thing}, not root",
		cure: `set User root for {host} in {config}, or become = "sudo" in rel.toml`},
	phases.NoRoom: {what: "too little room in {thing}: {items}", cure: "df -h {thing}", ssh: true},
	phases.Held:   {what: "promotion {thing} is at work there", cure: "{wait}"},
	phases.Unconfirmed: {what: "promotion {thing} is not confirmed yet",
		cure: "rel resume {thing}{here}, or rel abort {thing}{here}"},
	phases.Drift: {what: "{items} was repointed by hand",
		cure: "rel status{here}, which shows what it should be; {again}, if it may be repointed", with: "--accept-drift"},
	phases.RolledBack: {what: "commit {short} was rolled back (promotion {thing})",
		cure: "{again}, if it is to go live all the same", with: "--again -m WHY"},
	phases.Collected: {what: "release {thing} is no longer all in the store, and the build host cannot give it", cure: "rel log{here}"},
	phases.NoLinks:   {what: "none of the links is there: there is nothing to adopt", cure: "rel start{here}"},
	phases.NotInStore: {what: "{thing} points at {items}, which is not in the store: it cannot be pinned",
		cure: "rel start{here}; it puts that link back if it fails"},
	phases.Adopted: {what: "it has a record already: {thing} is live", cure: "rel status{here}"},
	phases.TargetsDiffer: {what: "{thing} points at {items}, and on the other targets elsewhere",
		cure: "rel adopt{here}, once they are alike, or with one [[target]] at a time"},
	phases.NoSystemd: {what: "systemd does not run there, and there are services to restart",
		cure: "{again}, without services.restart in rel.toml"},
}

// explainRefusal says what a host lacks and how to mend it.
func (a advice) explainRefusal(r *phases.Refusal) explanation {
	e := explanation{code: exitRefused, what: r.Error()}
	w, known := refusals[r.Reason]
	if !known {
		return e
	}
	items := strings.Join(r.Items, ", ")
	e.what, e.cure = r.Host+": "+fill(r, w.what), a.fill(typable(r), w)
	switch {
	case w.root:
		e.cure, e.typed = a.rootThere(r.Host, e.cure), true
	case w.ssh:
		e.cure, e.typed = a.there(r.Host, e.cure), true
	}
	if w.list {
		e.detail = r.Items
		if r.More > 0 {
			e.detail = append(e.detail, fmt.Sprintf("and %d more", r.More))
		}
	}
	switch {
	case r.Reason == phases.Held:
		e.code = exitHeld
	case r.Reason == phases.Unconfirmed && items == "" && a.command == "rollback":
		// Whoever wants to go back wants it back, and not confirmed.
		e.cure = "rel abort " + bare(r.Thing) + "{here}, which puts back what was live before it; or rel resume " + bare(r.Thing) + "{here}"
	case r.Reason == phases.Unconfirmed && items != "":
		e.detail = []string{"nothing takes that release back by itself"}
		e.cure += "; without the journal of who started it: rel rollback " + strings.Join(typable(r).Items, ", ") + "{here}"
	case r.Reason == phases.ReadOnly && a.become[r.Host] != "":
		e.cure, e.typed = a.rootThere(r.Host, fill(typable(r), "chown -R {items} {thing}")), true
	case r.Reason == phases.NoRoom && r.Thing == "/nix/store":
		e.cure = a.there(r.Host, "nix-collect-garbage")
	case r.Reason == phases.Collected && items != "":
		e.cure = "rel rollback " + strings.Join(typable(r).Items, ", ") + "{here}, the nearest that is there"
	}
	return e
}

// typable is the refusal with those of its facts left out that a shell would take for
// something else: most of them are what a host says.
func typable(r *phases.Refusal) *phases.Refusal {
	safe := *r
	safe.Thing, safe.Items = bare(r.Thing), nil
	for _, item := range r.Items {
		safe.Items = append(safe.Items, bare(item))
	}
	return &safe
}

// bare is a fact as it goes into a command; where a shell would take it for something
// else, it is left out.
func bare(fact string) string {
	if fact == "" || plainWord.MatchString(fact) {
		return fact
	}
	return "…"
}

// fill is the cure with the facts of the refusal in it.
func (a advice) fill(r *phases.Refusal, w words) string {
	before, after, proposes := strings.Cut(w.cure, "{again}")
	if proposes {
		return fill(r, before) + a.again(w.with) + fill(r, after)
	}
	if w.cure == "{wait}" {
		return a.wait()
	}
	return fill(r, strings.ReplaceAll(w.cure, "{config}", a.sshFile()))
}

// fill puts the facts of a refusal into words about it.
func fill(r *phases.Refusal, words string) string {
	items := strings.Join(r.Items, ", ")
	first, last := "", ""
	var aside []string
	for i, item := range r.Items {
		if last = item; i == 0 {
			first = item
		}
		aside = append(aside, "mv "+item+" "+item+".aside")
	}
	return strings.NewReplacer("{host}", r.Host, "{thing}", r.Thing, "{items}", orNothing(items), "{first}", first, "{last}", last,
		"{commit}", phases.Short(r.Thing), "{short}", phases.Short(items), "{folders}", strings.Join(r.Items, " "),
		"{aside}", strings.Join(aside, " && ")).Replace(words)
}

// plainWord are those that no shell takes for anything but themselves.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/:@%+=,][A-Za-z0-9._/:@%+=,-]*$`)

// quoted is the word as a shell takes it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
