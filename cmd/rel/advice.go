package main

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"choir.chat/rel/cmd/rel/config"
)

// advice makes the commands that are proposed: for a host, as this run reaches it, and for
// rel, as this run was started. What is proposed is to be typed as it stands.
type advice struct {
	// sshConfig is the file that ssh is to read; empty for its own.
	sshConfig string
	// become is what the login on a host becomes root with; nothing where it is root's.
	become map[string]string
	// asks are the hosts where that wants a password, and so a terminal to ask on.
	asks map[string]bool
	// id is the promotion at work; empty as long as there is none.
	id string
	given
}

// given is what was typed: the command, its arguments, and its flags.
type given struct {
	command string
	args    []string
	flags   []givenFlag
}

type givenFlag struct{ name, text string }

// givenTo is what the command line had in it; what the environment says is there again.
func givenTo(parsed *kong.Context) (g given) {
	for _, part := range parsed.Path {
		switch {
		case part.Command != nil:
			g.command = part.Command.Name
		case part.Positional != nil:
			g.args = append(g.args, quoted(fmt.Sprint(part.Positional.Target.Interface())))
		case part.Flag != nil && !slices.ContainsFunc(g.flags, func(f givenFlag) bool { return f.name == part.Flag.Name }):
			g.flags = append(g.flags, givenFlag{part.Flag.Name, flagText(part.Flag)})
		}
	}
	return g
}

// flagText is a flag as it is typed.
func flagText(flag *kong.Flag) string {
	name := "--" + flag.Name
	switch value := flag.Target.Interface().(type) {
	case bool:
		if value {
			return name
		}
		return name + "=false"
	case []string:
		var texts []string
		for _, one := range value {
			texts = append(texts, name+" "+quoted(one))
		}
		return strings.Join(texts, " ")
	default:
		return name + " " + quoted(fmt.Sprint(value))
	}
}

// advice is what this run has to say in what it proposes.
func (h *house) advice() advice {
	a := advice{given: h.given, become: map[string]string{}, asks: map[string]bool{}}
	if h.globals != nil {
		a.sshConfig = h.globals.SSHConfig
	}
	if h.work == nil {
		return a
	}
	a.id = h.work.ID
	for _, site := range h.work.Plan.Targets {
		site = h.today(site)
		a.become[site.Host] = cmp.Or(site.Become, site.BecomeCommand)
		a.asks[site.Host] = site.BecomePassword == config.AskPassword
	}
	return a
}

// ssh is how the operator's ssh gets to a host.
func (a advice) ssh(flags, host string) string {
	command := "ssh "
	if a.sshConfig != "" {
		command += "-F " + quoted(a.sshConfig) + " "
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		host = "ssh://" + host
	}
	return command + flags + host
}

// sshFile is where the operator says how a host is reached.
func (a advice) sshFile() string { return cmp.Or(a.sshConfig, "~/.ssh/config") }

// there is a command that the operator types for a host.
func (a advice) there(host, command string) string { return a.ssh("", host) + " " + inQuotes(command) }

// rootThere is one that only root can type there. Each of several has to become root.
func (a advice) rootThere(host, command string) string {
	become, flags := a.become[host], ""
	if become != "" {
		command = become + " " + strings.ReplaceAll(command, " && ", " && "+become+" ")
		if a.asks[host] {
			flags = "-t "
		}
	}
	return a.ssh(flags, host) + " " + inQuotes(command)
}

// placed is what is proposed with {here} being where this run was told to look for its
// files: a promotion is known to its own journal alone.
func (a advice) placed(proposal string) string {
	places := ""
	for _, f := range a.flags {
		if slices.Contains([]string{"config", "journal", "ssh-config"}, f.name) {
			places += " " + f.text
		}
	}
	return strings.ReplaceAll(proposal, "{here}", places)
}

// inQuotes is a command as one word of another.
func inQuotes(command string) string { return "'" + strings.ReplaceAll(command, "'", `'\''`) + "'" }

// typed is a command with what this run was given, and more. What the more says, and what
// that command does not take, is left out.
func (a advice) typed(command, more string) string {
	words := append([]string{"rel", command}, a.args...)
	said := strings.Fields(more)
	if more != "" {
		words = append(words, more)
	}
	for _, f := range a.flags {
		plans := a.command == "plan" && slices.Contains([]string{"build", "json", "detailed-exitcode"}, f.name)
		if !plans && !slices.Contains(said, "--"+f.name) {
			words = append(words, f.text)
		}
	}
	return strings.Join(words, " ")
}

// again is the promotion once more, with flags that have it pass. Those of a rollback are
// a rollback's, and others begin a new one.
func (a advice) again(more string) string {
	if slices.ContainsFunc(a.flags, func(f givenFlag) bool { return f.name == "message" }) {
		more = strings.TrimSuffix(more, " -m WHY")
	}
	switch a.command {
	case "start", "plan":
		return a.typed("start", more)
	case "rollback":
		return a.typed(a.command, more)
	}
	return strings.TrimSpace(a.placed("rel start{here} ") + more)
}

// wait is what waits for somebody else. Not every command can.
func (a advice) wait() string {
	const patience = "--wait 10m"
	switch a.command {
	case "abort", "adopt", "unlock":
		return a.typed(a.command, "") + ", once that is over"
	case "resume":
		return a.typed(a.command, patience) + ", to wait for it"
	}
	return a.again(patience) + ", to wait for it"
}
