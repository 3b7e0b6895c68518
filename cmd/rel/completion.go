package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// completions are the scripts, by the shell. They ask rel for everything, and so do not
// grow old: see completeCmd.
var completions = map[string]*string{"bash": &completionBash, "zsh": &completionZsh, "fish": &completionFish}

var (
	//go:embed completion/rel.bash
	completionBash string
	//go:embed completion/rel.zsh
	completionZsh string
	//go:embed completion/rel.fish
	completionFish string
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script of a shell.
func (c *completionCmd) Run(h *house) error {
	_, err := io.WriteString(h.std.out, *completions[c.Shell])
	return err
}

// completeCmd is for the scripts: a line for each word that the last one may become, and
// what that is behind a tab. A line ":files" asks for names of files.
type completeCmd struct {
	Words []string `arg:"" optional:""`
	// Timeout is how long a shell is kept: who typed sees it stand still. A journal that is
	// busy, or a disk that is asleep, completes nothing.
	Timeout time.Duration `default:"80ms" env:"REL_COMPLETION_TIMEOUT"`
}

// Run touches no host, and makes no file.
func (c *completeCmd) Run(ctx context.Context, h *house, app *kong.Kong) error {
	done := make(chan []candidate, 1)
	go func() {
		done <- (&completer{house: h, app: app.Model}).complete(c.Words)
	}()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	select {
	case list := <-done:
		for _, c := range list {
			fmt.Fprintln(h.std.out, c)
		}
	case <-ctx.Done():
	}
	return nil
}

// candidate is a word to type, and what it is.
type candidate struct{ word, what string }

// files asks the shell for its own names of files.
var files = []candidate{{word: ":files"}}

func (c candidate) String() string {
	word := remote.Clean(c.word)
	if c.what == "" {
		return word
	}
	return word + "\t" + strings.Join(strings.Fields(remote.Clean(c.what)), " ")
}

// completer reads a line that is typed as far as its last word.
type completer struct {
	house *house
	app   *kong.Application

	command *kong.Node
	// arguments is how many there are before the last word.
	arguments int
	// given are the flags that are there already.
	given map[string]bool
}

func (c *completer) complete(words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	last, words := words[len(words)-1], words[:len(words)-1]
	c.given = map[string]bool{}
	var waiting *kong.Flag // for its value
	for i, word := range words {
		switch {
		case waiting != nil:
			c.note(waiting, word)
			waiting = nil
		case word == "--":
			c.arguments += len(words) - i - 1
			return fitting(last, c.argument())
		case strings.HasPrefix(word, "-") && word != "-":
			waiting = c.flag(word)
		case c.command == nil:
			if c.command = c.named(word); c.command == nil {
				return nil
			}
		default:
			c.arguments++
		}
	}
	name, value, isValue := strings.Cut(last, "=")
	switch {
	case waiting != nil:
		return fitting(last, c.values(waiting))
	case strings.HasPrefix(last, "--") && isValue:
		list := c.values(c.lookup(name))
		if len(list) > 0 && list[0] == files[0] {
			return list
		}
		list = fitting(value, list)
		for i := range list {
			list[i].word = name + "=" + list[i].word
		}
		return list
	case strings.HasPrefix(last, "-"):
		return fitting(last, c.flags())
	case c.command == nil:
		return fitting(last, c.commands())
	}
	return fitting(last, c.argument())
}

// fitting are those that a word may become.
func fitting(word string, list []candidate) (fit []candidate) {
	for _, c := range list {
		if strings.HasPrefix(c.word, word) || c == files[0] {
			fit = append(fit, c)
		}
	}
	return fit
}

func (c *completer) named(word string) *kong.Node {
	for _, command := range visible(c.app) {
		if command.Name == word {
			return command
		}
	}
	return nil
}

// known are the flags that may stand here.
func (c *completer) known() (list []*kong.Flag) {
	all := c.app.Flags
	if c.command != nil {
		all = slices.Concat(c.command.Flags, all)
	}
	for _, flag := range all {
		if !flag.Hidden {
			list = append(list, flag)
		}
	}
	return list
}

// lookup is the flag --name or -n; nil, if there is none.
func (c *completer) lookup(name string) *kong.Flag {
	for _, flag := range c.known() {
		if name == "--"+flag.Name || flag.Short != 0 && name == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

// flag takes a flag that was typed, and returns it if the next word is its value.
func (c *completer) flag(word string) *kong.Flag {
	name, value, isValue := strings.Cut(word, "=")
	if !strings.HasPrefix(word, "--") && len(word) > 2 {
		name, value, isValue = word[:2], word[2:], true // -n5
	}
	flag := c.lookup(name)
	switch {
	case flag == nil || flag.IsBool():
	case isValue:
		c.note(flag, value)
		return nil
	default:
		return flag
	}
	if flag != nil {
		c.given[flag.Name] = true
	}
	return nil
}

// note keeps what a flag says of where to look.
func (c *completer) note(flag *kong.Flag, value string) {
	c.given[flag.Name] = !flag.IsSlice()
	switch flag.Name {
	case "config":
		c.house.globals.Config = value
	case "journal":
		c.house.globals.Journal = value
	case "ssh-config":
		c.house.globals.SSHConfig = value
	}
}

func (c *completer) commands() (list []candidate) {
	for _, command := range visible(c.app) {
		list = append(list, candidate{command.Name, command.Help})
	}
	return list
}

func (c *completer) flags() (list []candidate) {
	for _, flag := range c.known() {
		if !c.given[flag.Name] {
			list = append(list, candidate{"--" + flag.Name, flag.Help})
		}
	}
	return list
}

func (c *completer) argument() []candidate {
	if c.command == nil || c.arguments >= len(c.command.Positional) {
		return nil
	}
	arg := c.command.Positional[c.arguments]
	if arg.Name == "id" {
		return c.promotions()
	}
	return c.ofValue(arg, arg.Tag.PlaceHolder)
}

func (c *completer) values(flag *kong.Flag) []candidate {
	if flag == nil || flag.IsBool() {
		return nil
	}
	return c.ofValue(flag.Value, flag.PlaceHolder)
}

// ofValue are the values that something may have, by what stands for it in the help.
func (c *completer) ofValue(value *kong.Value, placeholder string) (list []candidate) {
	if value.Enum != "" {
		for word := range strings.SplitSeq(value.Enum, ",") {
			list = append(list, candidate{word: word})
		}
		return list
	}
	switch placeholder {
	case "FILE":
		return files
	case "HOST":
		for _, name := range remote.Aliases(c.house.globals.SSHConfig) {
			list = append(list, candidate{word: name})
		}
	case "PHASE":
		for _, phase := range phases.Forward {
			list = append(list, candidate{word: phase.Name})
		}
	}
	return list
}

const (
	// newest is how many promotions are offered, and lookedThrough how many are read
	// for them where the command takes few.
	newest        = 20
	lookedThrough = 100
)

// promotions are those that the command takes, the newest first.
func (c *completer) promotions() (list []candidate) {
	if err := c.house.openJournal(); err != nil {
		return nil
	}
	takes := func(*machine.Past) bool { return true }
	switch c.command.Name {
	case "abort", "unlock":
		takes = func(p *machine.Past) bool { return !p.Ended() }
	case "rollback":
		takes = func(p *machine.Past) bool { return p.State == machine.Healthy }
	case "resume":
		history, err := c.house.history()
		if err != nil {
			return nil
		}
		for _, past := range slices.Backward(history.Resumable()) {
			if len(list) < newest {
				list = append(list, named(past))
			}
		}
		return list
	}
	ids, err := c.house.journal.Last(lookedThrough)
	if err != nil {
		return nil
	}
	for _, id := range slices.Backward(ids) {
		past, err := c.past(id)
		if err != nil || len(list) >= newest {
			break
		}
		if takes(past) {
			list = append(list, named(past))
		}
	}
	return list
}

func (c *completer) past(id string) (*machine.Past, error) {
	events, err := c.house.journal.Events(id)
	if err != nil {
		return nil, err
	}
	return machine.Replay(events)
}

func named(past *machine.Past) candidate {
	return candidate{past.ID, past.State + ": " + past.Start.Plan.Subject}
}
