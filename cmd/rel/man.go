package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"choir.chat/rel/cmd/rel/config"
)

type manCmd struct {
	Page string `arg:"" enum:"rel.1,rel.toml.5" help:"rel.1 or rel.toml.5."`
}

// Run prints a man page, made of what --help is made of and of the table of keys.
func (c *manCmd) Run(h *house, app *kong.Kong) error {
	m := &manWriter{}
	if c.Page == "rel.1" {
		m.rel(app.Model, h.version)
	} else {
		m.config(h.version)
	}
	_, err := io.WriteString(h.std.out, m.text.String())
	return err
}

// manWriter writes roff for man(7). The page has no date: it would differ from one build
// to the next.
type manWriter struct{ text strings.Builder }

// roff takes the meaning from what it would read as more than text.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

func (m *manWriter) macro(name, text string) {
	m.text.WriteString("." + name)
	if text != "" {
		m.text.WriteString(` "` + roff.Replace(text) + `"`)
	}
	m.text.WriteByte('\n')
}

// paragraph is text of its own, a sentence a line.
func (m *manWriter) paragraph(text string) {
	m.macro("PP", "")
	m.say(text)
}

func (m *manWriter) say(text string) {
	text = roff.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	m.text.WriteString(text + "\n")
}

// item is a term with what it is.
func (m *manWriter) item(term, text string) {
	m.macro("TP", "")
	m.macro("B", term)
	m.say(text)
}

func (m *manWriter) lines(text string) {
	m.macro("PP", "")
	m.macro("nf", "")
	for line := range strings.Lines(text) {
		m.text.WriteString(`\&` + roff.Replace(line))
	}
	m.macro("fi", "")
}

func (m *manWriter) title(page, section, version, name, what string) {
	fmt.Fprintf(&m.text, ".TH %s %s \"\" \"rel %s\"\n", page, section, roff.Replace(version))
	m.text.WriteString(".nh\n.SH NAME\n" + name + ` \- ` + what + "\n")
}

func (m *manWriter) rel(app *kong.Application, version string) {
	m.title("REL", "1", version, "rel", "promote one exact commit to the hosts that serve it")
	m.macro("SH", "SYNOPSIS")
	m.text.WriteString(".B rel\n.I command\n.RI [ flags ]\n")
	m.macro("SH", "DESCRIPTION")
	for i, paragraph := range strings.Split(app.Help, "\n\n") {
		if i == 0 {
			m.say(paragraph)
		} else {
			m.paragraph(paragraph)
		}
	}
	stage := ""
	for _, command := range visible(app) {
		p := pageOf(command.Name)
		if p == nil {
			continue
		}
		if p.stage != stage {
			stage = p.stage
			m.macro("SH", stage)
		}
		m.command(command, p)
	}
	m.macro("SH", "OPTIONS OF EVERY COMMAND")
	m.flags(app.Flags)
	m.macro("SH", "EXIT STATUS")
	for _, e := range everyExit() {
		m.item(fmt.Sprint(e.code), e.words)
	}
	m.macro("SH", "ENVIRONMENT")
	for _, flag := range app.Flags {
		for _, name := range flag.Envs {
			m.item(name, "stands in for --"+flag.Name)
		}
	}
	m.macro("SH", "FILES")
	m.item("rel.toml", "the configuration, of this folder or the nearest above")
	m.item("$XDG_STATE_HOME/rel/<app>/journal.db", "the journal; by default in ~/.local/state. Beside it are backups/ and logs/")
	m.item("/var/lib/rel/<app>", "on each target: releases, ledger, hold")
	m.macro("SH", "SEE ALSO")
	m.text.WriteString(".BR rel.toml (5),\n.BR ssh_config (5),\n.BR nix (1)\n")
}

func (m *manWriter) command(command *kong.Node, p *page) {
	m.macro("SS", usageOf(command))
	m.say(command.Help)
	if p.detail != "" {
		m.say(p.detail)
	}
	for _, arg := range command.Positional {
		m.item(arg.Summary(), arg.Help)
	}
	m.flags(command.Flags)
	m.paragraph("EXIT STATUS")
	for _, e := range p.exits {
		m.item(fmt.Sprint(e.code), e.words)
	}
	m.paragraph("EXAMPLES")
	for _, e := range p.examples {
		m.item(e.line, e.does)
	}
}

func (m *manWriter) flags(flags []*kong.Flag) {
	for _, row := range flagRows(flags) {
		m.item(strings.TrimSpace(row[0]), row[1])
	}
}

func (m *manWriter) config(version string) {
	m.title("REL.TOML", "5", version, "rel.toml", "what rel promotes, from where and to where")
	m.macro("SH", "DESCRIPTION")
	m.say("rel.toml is TOML. It is looked for in the working folder and above, or named by --config or REL_CONFIG. " +
		"A key that rel does not know is an error. A promotion goes by what it said when it was started.")
	m.paragraph("${sha}, ${short_sha} and ${id} stand for themselves in url, body, location and header of a check.")
	m.macro("SH", "EXAMPLE")
	m.lines(config.Example)
	m.macro("SH", "KEYS")
	for _, k := range config.Keys {
		term := k.Name
		if k.Value != "" {
			term += " = " + k.Value
		}
		m.item(term, k.Text)
	}
	m.macro("SH", "SEE ALSO")
	m.text.WriteString(".BR rel (1)\n")
}
