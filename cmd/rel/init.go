package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/cmd/rel/proposal"
)

type initCmd struct {
	Build  string   `placeholder:"HOST" help:"Build host: an alias of your SSH configuration, or user@host:port."`
	Target []string `placeholder:"HOST" help:"Target; can be repeated."`
	Repo   string   `placeholder:"PATH" help:"The checkout on the build host."`
	App    string   `placeholder:"NAME" help:"Name of the app; by default that of the folder of the links, or of the repository."`
	Output string   `placeholder:"FILE" default:"rel.toml" help:"File to write."`
	Force  bool     `help:"Write over a file that is there."`
	Stdout bool     `help:"Print it, and write no file."`
}

// Run looks at the hosts and writes a rel.toml that proposes what it found. It changes
// nothing on them.
func (c *initCmd) Run(ctx context.Context, h *house) error {
	ctx, stop := h.interruptible(ctx)
	defer stop()
	if err := c.free(); err != nil {
		return err
	}
	if err := c.complete(ctx, h); err != nil {
		return err
	}
	h.tell("• looking at " + strings.Join(append([]string{c.Build}, c.Target...), ", "))
	found, err := h.lookAround(ctx, c)
	if err != nil {
		return err
	}
	p := proposal.Of(found, c.App)
	text := p.Text()
	conf, err := config.Parse(c.Output, []byte(text))
	if conf != nil {
		err = errors.Join(err, conf.Validate())
	}
	wrong := config.Errors(c.Output, err)
	if c.Stdout {
		_, err = fmt.Fprint(h.std.out, text)
	} else {
		err = c.write([]byte(text))
	}
	if err != nil {
		return err
	}
	c.tellRest(h, p, wrong)
	if len(wrong) > 0 {
		return &exitError{exitUsage}
	}
	return nil
}

// free refuses before anybody is asked anything.
func (c *initCmd) free() error {
	if c.App != "" && !config.AppName.Fits(c.App) {
		return &usageError{fmt.Sprintf("--app %q is not %s", c.App, config.AppName.Words)}
	}
	if c.Stdout || c.Force {
		return nil
	}
	if _, err := os.Lstat(c.Output); err == nil {
		return errThere(c.Output)
	}
	return nil
}

func errThere(file string) error {
	return &usageError{fmt.Sprintf("%s is there already: --force writes over it, --output names another, --stdout prints", file)}
}

// wanted is what init has to be told.
type wanted struct {
	flag, question string
	form           *config.Form
	value          string
}

// complete asks for what the flags leave out.
func (c *initCmd) complete(ctx context.Context, h *house) error {
	list := []*wanted{
		{"--build", "Build host (an alias of your SSH configuration, or user@host:port): ", config.HostName, c.Build},
		{"--repo", "The checkout on the build host (a path): ", config.HostPath, c.Repo},
		{"--target", "Targets (with blanks between them): ", config.HostName, strings.Join(c.Target, " ")},
	}
	var missing []string
	for _, w := range list {
		if w.value == "" {
			missing = append(missing, w.flag)
		} else if err := w.refuse(); err != nil {
			return err
		}
	}
	ask := h.asker()
	if len(missing) > 0 && ask == nil {
		return &usageError{"there is no terminal to ask on; missing: " + strings.Join(missing, ", ")}
	}
	for _, w := range list {
		for tries := 0; w.value == "" && tries < 3; tries++ {
			answer, err := ask(ctx, w.question, false)
			if err != nil {
				return err
			}
			w.value = strings.Join(strings.Fields(answer), " ")
			if err := w.refuse(); err != nil {
				h.tell(err.Error())
				w.value = ""
			}
		}
		if w.value == "" {
			return &usageError{"missing: " + w.flag}
		}
	}
	c.Build, c.Repo, c.Target = list[0].value, filepath.Clean(list[1].value), strings.Fields(list[2].value)
	return nil
}

// refuse is what is wrong with a value: of several hosts, with any.
func (w *wanted) refuse() error {
	words := []string{w.value}
	if w.flag == "--target" {
		words = strings.Fields(w.value)
	}
	seen := map[string]bool{}
	for _, word := range words {
		if !w.form.Fits(word) {
			return &usageError{fmt.Sprintf("%s %q is not %s", w.flag, word, w.form.Words)}
		}
		if seen[word] {
			return &usageError{fmt.Sprintf("%s %q is there twice", w.flag, word)}
		}
		seen[word] = true
	}
	return nil
}

// write has the file appear whole, and, without --force, not over another one, also if
// that came while the hosts were asked.
func (c *initCmd) write(text []byte) error {
	if c.Force {
		return renameio.WriteFile(c.Output, text, 0o644)
	}
	pending, err := renameio.NewPendingFile(c.Output, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer func() { _ = pending.Cleanup() }()
	if _, err := bytes.NewReader(text).WriteTo(pending); err != nil {
		return err
	}
	if err := pending.Sync(); err != nil {
		return err
	}
	// Unlike a rename, a link is never made over what is there.
	err = os.Link(pending.Name(), c.Output)
	if errors.Is(err, fs.ErrExist) {
		return errThere(c.Output)
	}
	return err
}

// tellRest says what is left to fill in, and what to type next.
func (c *initCmd) tellRest(h *house, p *proposal.Proposal, wrong []*config.Error) {
	say := func(format string, args ...any) { fmt.Fprintf(h.std.err, format+"\n", args...) }
	rel, name := "rel", c.Output
	if c.Stdout {
		name = "this"
	} else {
		if filepath.Clean(c.Output) != config.Name {
			rel += " --config " + quoted(c.Output)
		}
		say("%s is written.", c.Output)
	}
	if len(p.Open) > 0 || len(wrong) > 0 {
		say("To fill in, or to look at:")
	}
	for _, text := range p.Open {
		say("  %s", oneLine(text))
	}
	for _, e := range wrong {
		say("  %s", oneLine(e.Error()))
	}
	say("Read %s, and then:", name)
	say("  %-*s  whether a promotion would find all that it needs", len(rel)+7, rel+" doctor")
	if p.Runs {
		say("  %-*s  record what runs now, so that a rollback can come back to it", len(rel)+7, rel+" adopt")
	}
	say("  %-*s  what a promotion would change", len(rel)+7, rel+" plan")
	say("  %-*s  the first promotion", len(rel)+7, rel+" start")
}
