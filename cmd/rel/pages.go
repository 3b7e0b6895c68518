package main

import "slices"

// page is what is to be known of a command beyond its flags: for --help and the man
// page. A command without a page fails TestPages.
type page struct {
	name, stage string
	// detail goes on where the command's one line of help ends.
	detail string
	// exits are the statuses that the command can end with, in its words.
	exits    []exit
	examples []example
}

type exit struct {
	code  int
	words string
}

// example is a command to type, and what it does.
type example struct{ line, does string }

// The stages are the life of a promotion.
const (
	before = "BEFORE A PROMOTION"
	during = "DURING"
	after  = "AFTER"
	shells = "FOR THE SHELL"
)

// exits are all that there are, as `rel --help` lists them; pages say them in the words
// of their command.
var exits = []exit{
	{exitOK, "live and healthy, or already was"},
	{exitFailed, "failed; the targets are unchanged"},
	{exitPerson, "failed; a target needs a person"},
	{exitReverted, "unhealthy; every target is back on the previous release"},
	{exitHeld, "held by someone else, or the journal is busy"},
	{exitRefused, "refused before any change"},
	{exitUnreachable, "a host is unreachable, does not let us in, or its key is wrong"},
	{exitDamaged, "the journal is damaged"},
	{exitUsage, "usage or configuration"},
	{exitInterrupted, "interrupted; can be resumed"},
}

// everyExit are those, and the one that no promotion ends with.
func everyExit() []exit {
	return slices.Insert(slices.Clone(exits), 2, exit{exitChanges, "rel plan --detailed-exitcode: start would change something"})
}

// Words that several commands share.
var (
	busy        = exit{exitHeld, "the journal is busy"}
	unreached   = exit{exitUnreachable, "a host is unreachable, does not let us in, or its key is wrong"}
	damaged     = exit{exitDamaged, "the journal is damaged"}
	usage       = exit{exitUsage, "usage or configuration"}
	interrupted = exit{exitInterrupted, "interrupted; nothing was changed"}
)

// promoting are the statuses of what takes a promotion to its end.
func promoting(healthy string) []exit {
	return append([]exit{{exitOK, healthy}}, exits[1:]...)
}

// pages are in the order of --help: by stage, and in each as one goes along.
var pages = []page{
	{name: "init", stage: before,
		detail: "Asks for what the flags do not say, and for the password that sudo wants on a target, looks at the hosts, and changes nothing there. What it could not find is a comment in the file.",
		exits: []exit{{exitOK, "the file is written"}, {exitFailed, "failed; no file is written"},
			{exitRefused, "a host lacks what it takes to look"}, unreached,
			{exitUsage, "usage; or the file is there already, and --force was not given; or it is written, and lacks what rel needs"}, {exitInterrupted, "interrupted; no file is written"}},
		examples: []example{
			{"rel init", "ask for everything, and write rel.toml"},
			{"rel init --build choiros-grind --target choiros-prod --repo /opt/choiros/workspace", "ask for passwords at most"},
		}},
	{name: "config", stage: before,
		detail: "No host is asked, and no journal opened.",
		exits:  []exit{{exitOK, "the configuration is sound"}, {exitUsage, "usage; or all that is wrong with it, with line and column"}},
		examples: []example{
			{"rel config", "what counts here, and which line or default it is from"},
			{"rel config --check rel.toml", "only whether it is sound: for an editor, or before a commit"},
		}},
	{name: "doctor", stage: before,
		detail: "It changes nothing, and goes on with the other hosts where one does not answer. A warning is no failure.",
		exits: []exit{{exitOK, "nothing is in the way"}, {exitRefused, "something would keep a promotion from beginning or from getting live"},
			unreached, damaged, usage, interrupted},
		examples: []example{
			{"rel doctor", "a line for each check, with the cure where there is something to cure"},
			{"rel doctor --json", "the same for a monitor"},
		}},
	{name: "adopt", stage: before,
		detail: "The links stay as they are, and nothing is restarted. rel start offers it where it is not done.",
		exits: []exit{{exitOK, "recorded and pinned on every target"}, {exitFailed, "failed; the targets are unchanged"},
			exits[4], {exitRefused, "there is nothing to adopt, or it has a record already"}, unreached, damaged, usage,
			{exitInterrupted, "interrupted; can be resumed"}},
		examples: []example{
			{"rel adopt", "before the first start on hosts that run something already"},
			{"rel adopt -m 'as the old script left it'", "with a reason for the audit"},
		}},
	{name: "plan", stage: before,
		detail: "It takes no hold, records nothing, and leaves every checkout as it is; with --build, the build host's store gets what is built.",
		exits: []exit{{exitOK, "shown; with --detailed-exitcode: start would change nothing"},
			{exitFailed, "failed; nothing was changed"}, {exitChanges, "with --detailed-exitcode: start would change something"},
			exits[4], {exitRefused, "start would refuse, and why"}, unreached, damaged, usage, interrupted},
		examples: []example{
			{"rel plan", "what start would do now"},
			{"rel plan --sha 2a29dca --json", "the same of one commit, for a program"},
		}},

	{name: "start", stage: during,
		detail: "On a terminal it shows the commits and asks once, unless --yes; where standard input or standard error is none (2>FILE), it goes on without. What is live and healthy already is left alone. The commit and the plan are recorded at the start and stay as they are, whatever main or rel.toml say later.",
		exits:  promoting("the commit is live and healthy on every target, or already was"),
		examples: []example{
			{"rel start -m 'login fix'", "the tip of the branch at its origin, with a reason for the audit"},
			{"rel start --sha 2a29dca --wait 10m", "one commit, and wait for whoever is at work"},
		}},
	{name: "watch", stage: during,
		detail: "It follows a promotion of this machine from another terminal, and ends with the promotion's own status. Ctrl-C ends the watching alone.",
		exits: append([]exit{{exitOK, "the promotion is live and healthy; or none is at work"}},
			append(append([]exit{}, exits[1:9]...), exit{exitInterrupted, "the promotion was interrupted, or whoever ran it is gone; or the watching was ended"})...),
		examples: []example{
			{"rel watch", "the one at work"},
			{"rel watch 20261122-183229-dc8876b", "one by its id"},
		}},
	{name: "resume", stage: during,
		detail: "It looks at the hosts first, and steps back where what is recorded no longer holds. Phases that are done do not run again.",
		exits:  promoting("the promotion is live and healthy on every target"),
		examples: []example{
			{"rel resume", "the one that stopped last"},
			{"rel resume 20261122-183229", "one by the beginning of its id"},
		}},
	{name: "abort", stage: during,
		exits: []exit{{exitOK, "it is over; every target that it changed runs what it ran before"}, {exitFailed, "failed; the targets are as they were"},
			{exitPerson, "a target could not be put back, and needs a person"}, exits[4],
			{exitRefused, "it is over already, or a target refuses"}, unreached, damaged,
			{exitUsage, "usage or configuration; or no promotion is called so"}, {exitInterrupted, "interrupted; abort again"}},
		examples: []example{
			{"rel abort 20261122-183229-dc8876b -m 'the wrong branch'", "with a reason for the audit"},
			{"rel abort dc8876b", "by its commit"},
		}},
	{name: "unlock", stage: during,
		detail: "A hold without heartbeats ends by itself after fifteen seconds; this is for an owner who must not go on. What it sends from then on is refused on the targets.",
		exits: []exit{{exitOK, "nobody holds the targets any more"}, {exitFailed, "failed; the hold is as it was"}, {exitHeld, "its owner shows signs of life, and --force was not given"},
			{exitRefused, "nobody holds the targets, or another promotion does"}, unreached, usage, {exitInterrupted, "interrupted; unlock again"}},
		examples: []example{
			{"rel unlock 20261122-183229-dc8876b -m 'the laptop is lost'", "take the hold of one who is gone"},
			{"rel unlock dc8876b --force -m 'agreed with Kim'", "and of one who is not"},
		}},

	{name: "log", stage: after,
		detail: "No host is asked, but for --verify. It answers while a promotion runs.",
		exits: []exit{{exitOK, "shown; with --verify: sound"}, {exitFailed, "the journal cannot be read"}, busy,
			{exitRefused, "--manifest: it never came to be built; --verify: a target refuses to be read"}, {exitUnreachable, "--verify: a target is unreachable, does not let us in, or its key is wrong"},
			{exitDamaged, "the journal is damaged; with --verify: or not the one that the targets have seen"},
			{exitUsage, "usage or configuration; or no promotion is called so"}},
		examples: []example{
			{"rel log -n 5", "the last five promotions"},
			{"rel log 20261122-183229 --json", "every event of one, for a program"},
		}},
	{name: "status", stage: after,
		detail: "It changes nothing, and is good for a monitor.",
		exits: []exit{{exitOK, "every target runs what is on record"}, {exitFailed, "a target or the journal cannot be read"}, busy,
			{exitRefused, "drift: a target runs something else; or refuses to be read"}, unreached, damaged, usage, interrupted},
		examples: []example{
			{"rel status", "what is live, links, units, and the ways back"},
			{"rel status --json", "the same for a program"},
		}},
	{name: "rollback", stage: after,
		detail: "It needs neither build host nor origin, nor a journal: the targets know.",
		exits:  promoting("the release is live and healthy on every target, or already was"),
		examples: []example{
			{"rel rollback -m 'logins fail'", "to the last healthy release before the live one"},
			{"rel rollback 20261122-183229", "to the one named"},
		}},

	{name: "completion", stage: shells,
		detail: "Commands, flags, their values, promotions and hosts of the SSH configuration; no host is asked for it.",
		exits:  []exit{{exitOK, "printed"}, {exitUsage, "there is no script for that shell"}},
		examples: []example{
			{"rel completion bash", `in ~/.bashrc: eval "$(rel completion bash)"`},
			{"rel completion fish", "into ~/.config/fish/completions/rel.fish"},
		}},
}

// pageOf is the page of the command; without one it is nil.
func pageOf(name string) *page {
	for i := range pages {
		if pages[i].name == name {
			return &pages[i]
		}
	}
	return nil
}
