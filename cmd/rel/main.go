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
)

// stdio is where a command reads and writes; tests have their own.
type stdio struct {
	in       *os.File
	out, err io.Writer
	// tty says that err is a terminal, and how wide.
	tty func() (width int, ok bool)
}

func main() {
	// The agent of x/crypto logs what a host asked of it in vain. What there is to be
	// said of that is an error, which the printer shows.
	log.SetOutput(io.Discard)
	os.Exit(run(context.Background(), os.Args[1:], terminal()))
}

// run is the program: it never calls os.Exit, so that deferred work is done.
func run(ctx context.Context, args []string, std stdio) int {
	var c cli
	parser, err := newParser(&c, std)
	if err != nil {
		panic(err) // a struct tag is wrong; TestParser finds it first
	}
	done := false
	parser.Exit = func(int) { done = true }
	parsed, err := parser.Parse(args)
	if done {
		return exitOK // --help or --version
	}
	if err != nil {
		fmt.Fprintf(std.err, "rel: %v\n", err)
		if near := misspelt(err, parser.Model); near != "" {
			fmt.Fprintf(std.err, "did you mean %s?\n", near)
		}
		return exitUsage
	}
	h := &house{globals: &c.globals, std: std, version: version()}
	defer h.close()
	parsed.BindTo(ctx, (*context.Context)(nil))
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

// exitError ends a command whose words are said already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
