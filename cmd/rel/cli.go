package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"choir.chat/rel/cmd/rel/nearest"
)

// cli is the command line.
type cli struct {
	globals

	Init     initCmd     `cmd:"" help:"Look at the hosts, and write a rel.toml that proposes what is there."`
	Plan     planCmd     `cmd:"" help:"Show what start would do: commits, artifacts, links, closures, units, checks. It changes nothing."`
	Start    startCmd    `cmd:"" help:"Promote a commit: a new promotion, to its end."`
	Resume   resumeCmd   `cmd:"" help:"Go on with a promotion that stopped, at the phase that failed."`
	Rollback rollbackCmd `cmd:"" help:"Make the last healthy release before the live one live again, or the one named."`
	Log      logCmd      `cmd:"" help:"Show the audit: who, what, when and how it ended; with an id, the story of it."`
	Watch    watchCmd    `cmd:"" help:"Follow the promotion that is at work from another terminal of this machine; ends with its exit status."`
	Status   statusCmd   `cmd:"" help:"Show what is live on each target against what the journal says."`
	Doctor   doctorCmd   `cmd:"" help:"Look whether a promotion would find all that it needs, on this machine and on every host; each lack with its cure."`
	Show     configCmd   `cmd:"" name:"config" help:"Show what a promotion would be started with, and where each value comes from; or check a file."`
	Adopt    adoptCmd    `cmd:"" help:"Record what the targets' links point at today as release zero, so that a rollback can come back to it."`
	Abort    abortCmd    `cmd:"" help:"Give a stopped promotion up; what it changed on the targets is put back."`
	Unlock   unlockCmd   `cmd:"" help:"Take the hold of the targets away from a promotion whose owner is gone."`

	Completion completionCmd `cmd:"" help:"Print a script that completes what is typed: for bash, zsh or fish."`
	Complete   completeCmd   `cmd:"" name:"__complete" hidden:"" help:"For the scripts of completion."`
	Man        manCmd        `cmd:"" hidden:"" help:"Print a man page: rel.1 or rel.toml.5."`
}

// globals are the flags of every command.
type globals struct {
	Config    string           `placeholder:"FILE" env:"REL_CONFIG" help:"Configuration; by default rel.toml in this folder or the nearest above."`
	Journal   string           `placeholder:"FILE" env:"REL_JOURNAL" help:"Journal; by default $XDG_STATE_HOME/rel/<app>/journal.db."`
	SSHConfig string           `name:"ssh-config" placeholder:"FILE" env:"REL_SSH_CONFIG" help:"SSH configuration, as ssh -F takes it; by default OpenSSH's own."`
	Progress  string           `enum:"auto,tty,plain,json,quiet" default:"auto" env:"REL_PROGRESS" help:"How progress is shown: auto, tty (a block drawn over itself), plain (lines), json (the journal's events, on stdout) or quiet."`
	Color     string           `enum:"auto,always,never" default:"auto" env:"REL_COLOR" help:"Colours: auto, always or never."`
	Yes       bool             `env:"REL_YES" help:"Answer yes to what would be asked."`
	Version   kong.VersionFlag `help:"Print the version."`
}

const description = `Promote one exact commit from a build host to the hosts that serve it, over SSH and Nix closures alone. ` +
	`Every step is in a journal before the next begins: a promotion that was cut goes on where it stopped, ` +
	`and going back means going back to a recorded release.

A promotion is named by its id (20261122-183229-dc8876b), by any prefix of it that is unique, or by its commit.`

func newParser(c *cli, std stdio) (*kong.Kong, error) {
	parser, err := kong.New(c,
		kong.Name("rel"),
		kong.Description(description),
		kong.Vars{"version": version()},
		kong.Writers(std.out, std.err),
		kong.Help(helper(std)),
		kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(durationFlag)),
	)
	if err == nil {
		parser.Model.Children = inOrder(parser.Model.Children)
	}
	return parser, err
}

// durationFlag reads a flag that is a duration; what is none is answered with what is.
func durationFlag(ctx *kong.DecodeContext, target reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("duration", &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration such as 90s or 10m", text)
	}
	target.SetInt(int64(d))
	return nil
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
	unknown = strings.TrimSpace(unknown)
	near := nearest.Word(unknown, names)
	for _, name := range names {
		if len(unknown) > 2 && strings.HasPrefix(name, unknown) {
			near = name // cut short, rather than misspelt
		}
	}
	if near != "" {
		return "rel " + near
	}
	return ""
}

// terminal is the stdio of the process.
func terminal() stdio {
	fd := int(os.Stderr.Fd())
	size := func() (width, height int) {
		width, height, err := term.GetSize(fd)
		if err != nil || width < 1 || height < 1 {
			return 80, 24
		}
		return width, height
	}
	return stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr,
		tty: func() (int, bool) {
			if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
				return 0, false
			}
			width, _ := size()
			return width, true
		},
		place: func() (int, bool) {
			_, height := size()
			return height, inFront(fd)
		}}
}
