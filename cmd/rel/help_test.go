package main

import (
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// commandLine is the command line as kong has it.
func commandLine(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := newParser(new(cli), stdio{out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// help is what `rel args... --help` prints.
func help(t *testing.T, args ...string) string {
	t.Helper()
	var out, err syncBuffer
	if code := run(t.Context(), append(args, "--help"), stdio{out: &out, err: &err}); code != exitOK || err.String() != "" {
		t.Fatalf("rel %v --help: exit %d: %s", args, code, err.String())
	}
	return out.String()
}

// Every command has its place in life, the statuses it can end with, and two examples
// that rel can read.
func TestPages(t *testing.T) {
	app := commandLine(t).Model
	known := map[int]bool{exitChanges: true}
	for _, e := range exits {
		known[e.code] = true
	}
	stage := ""
	for _, command := range visible(app) {
		p := pageOf(command.Name)
		if p == nil || !slices.Contains([]string{before, during, after, shells}, p.stage) || len(p.exits) == 0 || len(p.examples) != 2 {
			t.Errorf("%s has no page, or no stage, no exits or not two examples: %+v", command.Name, p)
			continue
		}
		stage = p.stage
		text := help(t, command.Name)
		for _, e := range p.examples {
			args := typedWords(e.line)
			if _, err := commandLine(t).Parse(args[1:]); err != nil || args[0] != "rel" || args[1] != command.Name {
				t.Errorf("the example %q does not parse, or is of another command: %v", e.line, err)
			}
			if !strings.Contains(text, "\n  "+e.line+"\n      ") {
				t.Errorf("the help of %s lacks the example %q", command.Name, e.line)
			}
		}
		last := -1
		for _, e := range p.exits {
			if !known[e.code] || e.code <= last || e.words == "" {
				t.Errorf("%s: exit %d is unknown, empty or out of its order", command.Name, e.code)
			}
			last = e.code
			if !regexp.MustCompile(`\n +` + strconv.Itoa(e.code) + `  ` + regexp.QuoteMeta(e.words[:min(len(e.words), 40)])).MatchString(text) {
				t.Errorf("the help of %s lacks exit %d", command.Name, e.code)
			}
		}
		if !strings.Contains(text, "\nEXIT STATUS\n") || !strings.Contains(text, "\nEXAMPLES\n") {
			t.Errorf("the help of %s lacks a section", command.Name)
		}
	}
	if stage != shells {
		t.Errorf("the last command is of %q", stage)
	}
	for _, p := range pages {
		there := slices.ContainsFunc(app.Children, func(c *kong.Node) bool { return c.Name == p.name })
		if !there {
			t.Errorf("there is a page for %s, and no such command", p.name)
		}
	}
}

// typedWords takes a command line apart as a shell does, as far as examples need it.
func typedWords(line string) (list []string) {
	for _, w := range regexp.MustCompile(`'[^']*'|[^ ]+`).FindAllString(line, -1) {
		list = append(list, strings.Trim(w, "'"))
	}
	return list
}

// The statuses are those of explain.go, and all of them.
func TestExits(t *testing.T) {
	want := []int{exitOK, exitFailed, exitPerson, exitReverted, exitHeld, exitRefused, exitUnreachable, exitDamaged, exitUsage, exitInterrupted}
	var got []int
	for _, e := range exits {
		got = append(got, e.code)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the statuses are %v, want %v", got, want)
	}
}

func TestHelp(t *testing.T) {
	text := help(t)
	at := 0
	for _, part := range []string{"Usage: rel <command> [flags]\n", "\nBEFORE A PROMOTION\n", "\n  rel doctor", "\nDURING\n", "\n  rel start ", "\n  rel resume",
		"\nAFTER\n", "\n  rel log ", "\n  rel rollback ", "\nFOR THE SHELL\n", "\nFLAGS OF EVERY COMMAND\n  -h, --help ", "\nEXIT STATUS\n    0  live and healthy",
		"\n  130  interrupted; can be resumed\n"} {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Fatalf("rel --help lacks %q, or has it in another place:\n%s", part, text)
		}
		at += i
	}
	if strings.Contains(text, "__complete") || strings.Contains(text, "rel man") {
		t.Error("what is hidden is shown")
	}
	if want := `Usage: rel unlock <id> -m, --message=WHY [flags]

Take the hold of the targets away from a promotion whose owner is gone.
`; !strings.HasPrefix(help(t, "unlock"), want) {
		t.Errorf("rel unlock --help begins otherwise:\n%s", help(t, "unlock"))
	}
}

// Where the terminal is narrow no line is longer, but for what cannot be broken.
func TestHelpFits(t *testing.T) {
	for _, c := range []struct{ terminal, longest int }{{0, helpWidth}, {60, 60}, {20, 46}, {200, helpWidth}} {
		for _, command := range []string{"", "start", "unlock"} {
			var out syncBuffer
			args := strings.Fields(command + " --help")
			tty := func() (int, bool) { return c.terminal, c.terminal > 0 }
			if code := run(t.Context(), args, stdio{out: &out, err: io.Discard, tty: tty}); code != exitOK {
				t.Fatal(code)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimRight(line, "\n")
				whole := strings.HasPrefix(line, "  rel ") || strings.HasPrefix(line, "Usage")
				if len(line) > c.longest && !whole && len(strings.Fields(line)) > 1 {
					t.Errorf("%v at %d columns has a line of %d: %q", args, c.terminal, len(line), line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%v: blanks end %q", args, line)
				}
			}
		}
	}
}
