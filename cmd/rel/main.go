// Command rel promotes one exact commit from a build host to the hosts that
// serve it, over SSH and Nix closures alone.
//
// This is the door: what an operator types and reads. It holds the config
// file, the flags, the printing and the exit codes, and assembles the rooms;
// it exports nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"choir.chat/rel/cmd/rel/github"
)

// stdio is where a command reads and writes; tests have their own.
type stdio struct {
	in       *os.File
	out, err io.Writer
	// tty says that err is a terminal, and how wide.
	tty func() (width int, ok bool)
	// place says of that terminal how high it is, and whether the process is in front there;
	// without it, it is 24 lines high.
	place func() (height int, front bool)
}

// size is the terminal's, where something may be drawn on it.
func (s *stdio) size() (width, height int, ok bool) {
	width, ok = s.tty()
	height = 24
	if ok && s.place != nil {
		height, ok = s.place()
	}
	return width, height, ok
}

// memoryAim is what the collector keeps the memory below as long as it can. Beside
// it lies the program itself, about 10 MB, and all together is to be below 64 MB.
const memoryAim = 40 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryAim)
	}
	// The agent of x/crypto logs what a host asked of it in vain. What there is to be
	// said of that is an error, which the printer shows.
	log.SetOutput(io.Discard)
	os.Exit(run(context.Background(), os.Args[1:], terminal()))
}

// run is the program: it never calls os.Exit, so that deferred work is done.
func run(ctx context.Context, args []string, std stdio) int {
	if github.On() {
		std.out, std.err = github.Defused(std.out), github.Defused(std.err)
	}
	var c cli
	parser, err := newParser(&c, std)
	if err != nil {
		panic(err) // a struct tag is wrong; TestParser finds it first
	}
	if len(args) == 0 {
		w := newHelpWriter(std)
		w.app(parser.Model)
		fmt.Fprint(std.err, w.text.String())
		return exitUsage
	}
	done := false
	parser.Exit = func(int) { done = true }
	parsed, err := parser.Parse(args)
	if done {
		return exitOK // --help or --version
	}
	if unwritten(err) != nil {
		return (&house{globals: &c.globals, std: std}).fail(ctx, err) // --help was
	}
	if err != nil {
		said, near := err.Error(), misspelt(err, parser.Model)
		if near != "" {
			said, _, _ = strings.Cut(said, ", did you mean ") // one guess is enough
		}
		fmt.Fprintf(std.err, "rel: %s\n", said)
		if near != "" {
			fmt.Fprintf(std.err, "did you mean %s?\n", near)
		} else {
			fmt.Fprintf(std.err, "next:    %s\n", helpOf(err))
		}
		return exitUsage
	}
	h := &house{globals: &c.globals, given: givenTo(parsed), std: std, version: version()}
	defer h.close()
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.Bind(parser)
	err = parsed.Run(h)
	var quiet *exitError
	if errors.As(err, &quiet) {
		return quiet.code
	}
	if err != nil {
		return h.fail(ctx, err)
	}
	return exitOK
}

// helpOf is what shows how the command is typed that the parser did not take.
func helpOf(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) && wrong.Context != nil {
		if command := wrong.Context.Selected(); command != nil {
			return "rel " + command.Name + " --help"
		}
	}
	return "rel --help"
}

// exitError ends a command whose words are said already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// builtAs is the version that make dist builds.
var builtAs string

// version is that of the release, or of the module that `go install` was given, or of the
// checkout that it was built in.
func version() string {
	if builtAs != "" {
		return builtAs
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
