package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// helpWidth is what help is wrapped to where no terminal says that it is narrower.
const helpWidth = 100

// helper prints --help, of rel or of the command that is selected.
func helper(std stdio) kong.HelpPrinter {
	return func(_ kong.HelpOptions, ctx *kong.Context) error {
		w := newHelpWriter(std)
		if node := ctx.Selected(); node != nil {
			w.command(ctx.Model, node)
		} else {
			w.app(ctx.Model)
		}
		_, err := io.WriteString(ctx.Stdout, w.text.String())
		return err
	}
}

// inOrder are the commands in the order of their pages: kong lists them as the struct has
// them. Those without a page come last.
func inOrder(commands []*kong.Node) (list []*kong.Node) {
	for _, p := range pages {
		for _, command := range commands {
			if command.Name == p.name {
				list = append(list, command)
			}
		}
	}
	for _, command := range commands {
		if pageOf(command.Name) == nil {
			list = append(list, command)
		}
	}
	return list
}

type helpWriter struct {
	text  strings.Builder
	width int
}

func newHelpWriter(std stdio) *helpWriter {
	w := &helpWriter{width: helpWidth}
	if std.tty != nil {
		if width, ok := std.tty(); ok {
			w.width = max(40, min(width, helpWidth))
		}
	}
	return w
}

func (w *helpWriter) app(app *kong.Application) {
	w.line("Usage: rel <command> [flags]")
	for paragraph := range strings.SplitSeq(app.Help, "\n\n") {
		w.paragraph(paragraph)
	}
	stage := ""
	var rows [][2]string
	for _, command := range visible(app) {
		p := pageOf(command.Name)
		if p == nil {
			continue
		}
		if p.stage != stage {
			w.rows(stage, rows)
			stage, rows = p.stage, nil
		}
		rows = append(rows, [2]string{"rel " + command.Name, command.Help})
	}
	w.rows(stage, rows)
	w.rows("FLAGS OF EVERY COMMAND", flagRows(app.Flags))
	w.exits(everyExit())
	w.line("")
	w.paragraphs("rel <command> --help says more of a command, with examples.")
}

func (w *helpWriter) command(app *kong.Application, command *kong.Node) {
	w.paragraphs("Usage: " + usageOf(command))
	w.paragraph(command.Help)
	p := pageOf(command.Name)
	if p != nil && p.detail != "" {
		w.paragraph(p.detail)
	}
	var rows [][2]string
	for _, arg := range command.Positional {
		rows = append(rows, [2]string{arg.Summary(), arg.Help})
	}
	w.rows("ARGUMENTS", rows)
	w.rows("FLAGS", flagRows(command.Flags))
	w.rows("FLAGS OF EVERY COMMAND", flagRows(app.Flags))
	if p == nil {
		return
	}
	w.exits(p.exits)
	w.line("")
	w.line("EXAMPLES")
	for _, e := range p.examples {
		w.line("  " + e.line)
		w.wrap("      ", "      ", e.does)
	}
}

// visible are the commands that are not hidden.
func visible(app *kong.Application) (list []*kong.Node) {
	for _, command := range app.Children {
		if !command.Hidden {
			list = append(list, command)
		}
	}
	return list
}

// usageOf is a command with what it takes: its flags, where they must be given, and its
// arguments.
func usageOf(command *kong.Node) string {
	line := "rel " + command.Name
	for _, arg := range command.Positional {
		line += " " + arg.Summary()
	}
	for _, flag := range command.Flags {
		if flag.Required {
			line += " " + strings.TrimSpace(flagName(flag))
		}
	}
	return line + " [flags]"
}

func flagRows(flags []*kong.Flag) (rows [][2]string) {
	for _, flag := range flags {
		if !flag.Hidden {
			rows = append(rows, [2]string{flagName(flag), kong.DefaultHelpValueFormatter(flag.Value)})
		}
	}
	return rows
}

// flagName is the flag as it is typed, with its value.
func flagName(flag *kong.Flag) string {
	name := "    --" + flag.Name
	if flag.Short != 0 {
		name = "-" + string(flag.Short) + ", --" + flag.Name
	}
	if value := flagValue(flag); value != "" {
		name += "=" + value
	}
	return name
}

// flagValue stands for what the flag takes; it is empty where it takes nothing.
func flagValue(flag *kong.Flag) string {
	switch {
	case flag.IsBool():
		return ""
	case flag.Enum != "":
		return "HOW"
	case flag.PlaceHolder != "":
		return flag.PlaceHolder
	}
	return strings.ToUpper(flag.Name)
}

func (w *helpWriter) line(text string) { w.text.WriteString(text + "\n") }

// paragraph is wrapped text after an empty line.
func (w *helpWriter) paragraph(text string) {
	w.line("")
	w.paragraphs(text)
}

func (w *helpWriter) paragraphs(text string) { w.wrap("", "", text) }

func (w *helpWriter) exits(list []exit) {
	var rows [][2]string
	for _, e := range list {
		rows = append(rows, [2]string{fmt.Sprintf("%3d", e.code), e.words})
	}
	w.rows("EXIT STATUS", rows)
}

// rows are a section of names and what they are. A name that leaves too little room
// beside it has a line to itself.
func (w *helpWriter) rows(title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	w.line("")
	w.line(title)
	column := 0
	for _, row := range rows {
		if n := len(row[0]); n > column && n <= w.width/3 {
			column = n
		}
	}
	indent := strings.Repeat(" ", column+4)
	for _, row := range rows {
		first := fmt.Sprintf("  %-*s  ", column, row[0])
		if len(row[0]) > column {
			w.line("  " + row[0])
			first = indent
		}
		w.wrap(first, indent, row[1])
	}
}

// wrap writes words to the width: the first line behind first, the others behind rest.
func (w *helpWriter) wrap(first, rest, text string) {
	line, empty := first, true
	for word := range strings.FieldsSeq(text) {
		switch {
		case empty:
			line += word
		case len(line)+1+len(word) > w.width:
			w.line(line)
			line = rest + word
		default:
			line += " " + word
		}
		empty = false
	}
	w.line(strings.TrimRight(line, " "))
}
