package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/cmd/rel/github"
	"choir.chat/rel/phases"
)

type configCmd struct {
	JSON  bool   `name:"json" help:"Print it as JSON."`
	Check string `placeholder:"FILE" help:"Look at this file alone (-: at standard input), and print everything that is wrong with it. Asks no host."`
}

// Run prints what a promotion would be started with, and where each value comes from.
func (c *configCmd) Run(h *house, parsed *kong.Context) error {
	if c.Check != "" {
		return c.check(h)
	}
	if err := h.open(); err != nil {
		return err
	}
	settings, err := h.config.Settings()
	if err != nil {
		return err
	}
	flags := h.flags(parsed)
	if c.JSON {
		return writeJSON(github.ForJSON(h.std.out), struct {
			Schema   int              `json:"schema"`
			File     string           `json:"file"`
			Flags    []setFlag        `json:"flags"`
			Settings []config.Setting `json:"settings"`
		}{1, h.config.Path(), flags, settings})
	}
	writeFlags(h.std.out, flags)
	return config.WriteSettings(h.std.out, filepath.Base(h.config.Path()), settings)
}

// setFlag is a flag of every command, and where its value comes from: "flag",
// "environment" (then Variable says which) or "default".
type setFlag struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	From     string `json:"from"`
	Variable string `json:"variable,omitempty"`
}

func (f *setFlag) origin() string {
	switch f.From {
	case "flag":
		return "--" + f.Name
	case "environment":
		return f.Variable
	}
	return f.From
}

// flags are those of every command that can be set, with what they come to.
func (h *house) flags(parsed *kong.Context) (list []setFlag) {
	given := map[string]bool{}
	for _, step := range parsed.Path {
		if step.Flag != nil {
			given[step.Flag.Name] = true
		}
	}
	came := map[string]string{"config": h.config.Path(), "journal": h.journal.Path()}
	for _, known := range parsed.Model.Flags {
		if len(known.Envs) == 0 {
			continue
		}
		f := setFlag{Name: known.Name, Value: came[known.Name], From: "default"}
		if f.Value == "" {
			f.Value = fmt.Sprint(parsed.FlagValue(known))
		}
		_, set := os.LookupEnv(known.Envs[0])
		switch {
		case given[known.Name]:
			f.From = "flag"
		case set:
			f.From, f.Variable = "environment", known.Envs[0]
		}
		list = append(list, f)
	}
	return list
}

// writeFlags prints the flags as comments: they stand in no rel.toml.
func writeFlags(out io.Writer, flags []setFlag) {
	for _, f := range flags {
		value := f.Value
		if value == "" {
			value = "-"
		}
		fmt.Fprintln(out, config.TOMLComment(fmt.Sprintf("%s: %s (%s)", f.Name, value, f.origin())))
	}
}

// check reads and validates one file, and prints all that is wrong with it, a line each.
func (c *configCmd) check(h *house) error {
	conf, list := h.checkFile(c.Check)
	if c.JSON {
		type complaint struct {
			Line   int    `json:"line"`
			Column int    `json:"column"`
			Text   string `json:"text"`
		}
		all := []complaint{}
		for _, e := range list {
			all = append(all, complaint{e.Line, e.Column, e.Text})
		}
		if err := writeJSON(github.ForJSON(h.std.out), struct {
			Schema int         `json:"schema"`
			File   string      `json:"file"`
			Errors []complaint `json:"errors"`
		}{1, c.Check, all}); err != nil {
			return err
		}
	} else {
		for _, e := range list {
			fmt.Fprintln(h.std.out, oneLine(e.Error()))
		}
		if len(list) == 0 {
			fmt.Fprintf(h.std.out, "%s: nothing is wrong with it: %s, %s, %s, %s\n", oneLine(conf.Path()), conf.App,
				phases.CountText(len(conf.Target), "target"), phases.CountText(len(conf.Artifact), "artifact"), phases.CountText(len(conf.Check), "check"))
		}
	}
	if len(list) > 0 {
		return &exitError{exitUsage}
	}
	return nil
}

// mostConfig is far more than anybody writes into a rel.toml.
const mostConfig = 1 << 20

// checkFile is the file, and all that is wrong with it, in its order.
func (h *house) checkFile(name string) (*config.File, []*config.Error) {
	text, path, err := []byte(nil), name, error(nil)
	if name == "-" {
		path = "standard input"
		text, err = io.ReadAll(io.LimitReader(h.std.in, mostConfig+1))
	} else {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, []*config.Error{{Path: path, Text: reason(err)}}
	}
	if len(text) > mostConfig {
		return nil, []*config.Error{{Path: path, Text: fmt.Sprintf("it has more than %d bytes", mostConfig)}}
	}
	conf, err := config.Parse(path, text)
	if conf != nil {
		err = errors.Join(err, conf.Validate())
	}
	if err == nil {
		_, err = conf.Plan() // which reads the certificates
	}
	return conf, config.Errors(path, err)
}

// reason is what went wrong with a file that is named anyway.
func reason(err error) string {
	var about *os.PathError
	if errors.As(err, &about) {
		return about.Err.Error()
	}
	return err.Error()
}

// writeJSON prints one document.
func writeJSON(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}
