// Command rel-dist makes what is released: rel for every system that an operator may have, packed with its man pages and
// completions, its parts list and checksums. What it makes is the same, byte for byte, wherever and whenever it is made of
// the same commit with the same Go.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type cli struct {
	Out     string `help:"Folder for what is made; what it had is removed." default:"bin/dist"`
	Release string `help:"Version; by default what git describe says." env:"VERSION" placeholder:"VERSION"`
	Tags    string `help:"Build tags." default:"nethttpomithttp2"`
	Flags   string `help:"What else go build is given, separated by blanks."`
	Go      string `help:"The go command." default:"go" env:"GO"`
	Largest int64  `help:"How many bytes a binary may have." default:"12000000"`
}

func main() {
	var c cli
	k := kong.Parse(&c, kong.Name("rel-dist"), kong.Description("Makes what is released, in the folder of the module."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	if err := c.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "rel-dist:", err)
		stop()
		k.Exit(1)
	}
}

// systems are those that an operator may have.
var systems = []system{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

type system struct{ os, arch string }

func (c *cli) run(ctx context.Context) error {
	version, err := c.version(ctx)
	if err != nil {
		return err
	}
	made, err := epoch(ctx)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(c.Out); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "rel-dist-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &build{cli: c, version: version, made: made, work: work}
	common, err := b.common(ctx)
	if err != nil {
		return err
	}
	for _, s := range systems {
		if err := b.pack(ctx, s, common); err != nil {
			return fmt.Errorf("%s/%s: %w", s.os, s.arch, err)
		}
	}
	return checksums(c.Out)
}

// version is what rel says of itself: the tag, or the commit and how far it is from one.
func (c *cli) version(ctx context.Context) (string, error) {
	if c.Release != "" {
		return c.Release, nil
	}
	return output(ctx, nil, "git", "describe", "--tags", "--always", "--dirty")
}

// epoch is the time that all that is made has: that of the commit, or SOURCE_DATE_EPOCH.
func epoch(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = output(ctx, nil, "git", "log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, err
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH = %q is no number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// output is what a command prints, with more in its environment.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
