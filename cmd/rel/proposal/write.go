package proposal

import (
	"fmt"
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
)

// writer puts TOML together. Strings go through config.TOMLString, and comments, which may
// come from a host, through config.TOMLComment: neither can end its line.
type writer struct {
	strings.Builder
	// off makes comments of the lines.
	off bool
	// width is that of the keys.
	width int
}

func (w *writer) line(text string) {
	if w.off {
		w.WriteString("# ")
	}
	w.WriteString(text + "\n")
}

func (w *writer) blank() { w.WriteByte('\n') }

// say writes a comment in a line of its own.
func (w *writer) say(text string) { w.WriteString(config.TOMLComment(text) + "\n") }

// set writes a key with its value, and a comment behind it, if there is one.
func (w *writer) set(key string, value any, why ...string) {
	text := fmt.Sprintf("%-*s = %s", w.width, key, config.TOMLValue(value))
	why = slices.DeleteFunc(why, func(text string) bool { return text == "" })
	if because := strings.Join(why, "; "); because != "" {
		text += "  " + config.TOMLComment(because)
	}
	w.line(text)
}

// Text is the rel.toml.
func (p *Proposal) Text() string {
	w := &writer{width: len("on_unhealthy")}
	w.say("What rel init found. Lines that begin with # say what else can be set, or are to be filled in.")
	w.blank()
	w.set("app", p.app, p.appWhy)
	w.set("branch", p.branch, p.branchWhy)
	w.set("repo", p.repo, p.origin, "on every host, unless a host says otherwise")
	w.off = true
	w.set("manifest", "/tmp/"+p.app+"-release.env", "where the release is written down as KEY=value")
	w.set("confirm", "2m", "how long a target waits to be confirmed before it goes back by itself")
	w.set("on_unhealthy", "revert", `or "keep"`)
	w.set("keep", 5, "healthy releases that stay pinned on each target")
	w.off, w.width = false, 0
	w.blank()
	w.line("[build]")
	w.set("host", p.build)
	for _, t := range p.targets {
		t.write(w)
	}
	for _, a := range p.artifacts {
		a.write(w)
	}
	if len(p.artifacts) == 0 {
		(&proposedArtifact{off: true, Artifact: config.Artifact{
			Name: "server", Flake: "./FOLDER#PACKAGE", Binary: "bin/server", Link: "/opt/" + p.app + "/bin/server"}}).write(w)
	}
	p.writeServices(w)
	for _, c := range p.checks {
		c.write(w)
	}
	if len(p.checks) == 0 {
		(&proposedCheck{name: "server", url: "http://127.0.0.1:8080/health", status: 200, off: true,
			notes: []string{`asked through the target; from = "operator" asks from this machine`}}).write(w)
	}
	return w.String()
}

func (t *proposedTarget) write(w *writer) {
	w.blank()
	w.line("[[target]]")
	w.set("host", t.host)
	if t.lacks != "" {
		w.set("repo", "", "none at "+t.lacks+"; set it if it lies elsewhere")
	}
	if t.become == "" {
		return
	}
	w.off = t.off
	w.set("become", t.become, t.note)
	if t.ask != "" {
		w.set("become_password", t.ask)
	}
	w.off = false
}

func (a *proposedArtifact) write(w *writer) {
	w.blank()
	for _, note := range a.notes {
		w.say(note)
	}
	w.off, w.width = a.off, len("binary")
	w.line("[[artifact]]")
	w.set("name", a.Name)
	w.set("flake", a.Flake)
	w.set("binary", a.Binary)
	w.set("link", a.Link)
	w.off, w.width = false, 0
}

func (p *Proposal) writeServices(w *writer) {
	w.blank()
	w.line("[services]")
	w.line("restart = [  # in this order")
	for _, u := range p.units {
		text := config.TOMLString(u.name) + ","
		if u.off {
			text = "# " + text
		}
		if u.note != "" {
			text += "  " + config.TOMLComment(u.note)
		}
		w.line("    " + text)
	}
	w.line("]")
}

func (c *proposedCheck) write(w *writer) {
	w.blank()
	for _, note := range c.notes {
		w.say(note)
	}
	w.off, w.width = c.off, len("name")
	w.line("[[check]]")
	w.set("name", c.name)
	w.set("url", c.url)
	if c.status != 200 {
		w.set("status", c.status)
	}
	if c.body {
		w.set("body", "${sha}", "the page names the commit: the old release cannot pass for the new one")
	}
	w.off, w.width = false, 0
}
