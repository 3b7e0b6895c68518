package main

import (
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// cli is the command line.
type cli struct {
	globals

	Start    startCmd    `cmd:"" help:"Promote a commit: a new promotion, to its end."`
	Resume   resumeCmd   `cmd:"" help:"Go on with a promotion that stopped, at the phase that failed."`
	Rollback rollbackCmd `cmd:"" help:"Make the last healthy release before the live one live again, or the one named."`
	Log      logCmd      `cmd:"" help:"Show the audit: who, what, when and how it ended; with an id, every step of it."`
	Status   statusCmd   `cmd:"" help:"Show what is live on each target against what the journal says."`
	Doctor   doctorCmd   `cmd:"" help:"Look whether a promotion would find all that it needs, on this machine and on every host; each lack with its cure."`
	Adopt    adoptCmd    `cmd:"" help:"Record what the targets' links point at today as release zero, so that a rollback can come back to it."`
	Abort    abortCmd    `cmd:"" help:"Give a stopped promotion up; what it changed on the targets is put back."`
	Unlock   unlockCmd   `cmd:"" help:"Take the hold of the targets away from a promotion whose owner is gone."`
}

// globals are the flags of every command.
type globals struct {
	Config    string           `placeholder:"FILE" env:"REL_CONFIG" help:"Configuration; by default rel.toml in this folder or the nearest above."`
	Journal   string           `placeholder:"FILE" env:"REL_JOURNAL" help:"Journal; by default $XDG_STATE_HOME/rel/<app>/journal.db."`
	SSHConfig string           `name:"ssh-config" placeholder:"FILE" env:"REL_SSH_CONFIG" help:"SSH configuration, as ssh -F takes it; by default OpenSSH's own."`
	Progress  string           `enum:"auto,tty,plain,json,quiet" default:"auto" env:"REL_PROGRESS" help:"How progress is shown: auto, tty, plain, json (the journal's events) or quiet."`
	Color     string           `enum:"auto,always,never" default:"auto" env:"REL_COLOR" help:"Colours: auto, always or never."`
	Yes       bool             `env:"REL_YES" help:"Answer yes to what would be asked."`
	Version   kong.VersionFlag `help:"Print the version."`
}

const description = `Promote one exact commit from a build host to the hosts that serve it, over SSH and Nix closures alone. ` +
	`Every step is in a journal before the next begins: a promotion that was cut goes on where it stopped, ` +
	`and going back means going back to a recorded release.

A promotion is named by its id (20261122-183229-dc8876b), by any prefix of it that is unique, or by its commit.

Exit status:

    0  live and healthy, or already was
    1  failed; the targets are unchanged
    3  failed; a target needs a person
    4  unhealthy; every target is back on the previous release
    5  held by someone else, or the journal is busy
    6  refused before any change
    7  a host is unreachable, does not let us in, or its key is wrong
    9  the journal is damaged
   80  usage or configuration
  130  interrupted; can be resumed`

func newParser(c *cli, std stdio) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("rel"),
		kong.Description(description),
		kong.Vars{"version": version()},
		kong.Writers(std.out, std.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
}

// misspelt is the name nearest to the one that the parser did not know.
func misspelt(err error, model *kong.Application) string {
	_, unknown, ok := strings.Cut(err.Error(), "unexpected argument ")
	if !ok {
		return ""
	}
	unknown, _, _ = strings.Cut(unknown, ",")
	var names []string
	for _, command := range model.Children {
		names = append(names, command.Name)
	}
	if near := nearest(strings.TrimSpace(unknown), names); near != "" {
		return "rel " + near
	}
	return ""
}

// terminal is the stdio of the process.
func terminal() stdio {
	return stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, tty: func() (int, bool) {
		fd := int(os.Stderr.Fd())
		if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
			return 0, false
		}
		width, _, err := term.GetSize(fd)
		if err != nil || width < 1 {
			width = 80
		}
		return width, true
	}}
}
