package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"choir.chat/rel/cmd/rel/config"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// The exit statuses, as `rel --help` lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitPerson      = 3
	exitReverted    = 4
	exitHeld        = 5
	exitRefused     = 6
	exitUnreachable = 7
	exitDamaged     = 9
	exitUsage       = 80
	exitInterrupted = 130
)

// explanation is an error in the operator's words.
type explanation struct {
	code int
	// what failed, in one line; detail has the lines that show why.
	what   string
	detail []string
	// cure is the next thing to type or to do; empty where it depends on the
	// promotion. Over says that there is no going on with it.
	cure string
	over bool
	// unknown are the hosts whose keys are not on record: all are recorded at once, before
	// the rest of the cure.
	unknown []*remote.HostKeyError
	// typed says that the cure is a shell's command and nothing else: another can follow it.
	typed bool
	// repeats says that going on as it is would only do the same again.
	repeats bool
}

// explain is what an error means, for who proposes nothing.
func explain(err error) explanation { return advice{}.explain(err) }

// explain is the one place that gives errors words, hints and exit statuses.
func (a advice) explain(err error) explanation {
	var (
		e     explanation
		phase *machine.PhaseError
		hosts phases.HostErrors
		exit  *remote.ExitError
	)
	var lost *phases.HoldLostError
	var divided *phases.RevertError
	if errors.As(err, &lost) && !errors.As(err, &divided) {
		return explanation{code: exitHeld, what: lost.Error(), cure: a.placed("rel status{here}, then " + strings.TrimSpace("rel resume "+a.id) + "{here} or " + strings.TrimSpace("rel abort "+a.id) + "{here}")}
	}
	if errors.As(err, &phase) && phase.Interrupted {
		return explanation{code: exitInterrupted, what: phase.Phase + ": stopped by the operator"}
	}
	if phase == nil && (errors.Is(err, errInterrupted) || errors.Is(err, context.Canceled)) {
		return explanation{code: exitInterrupted, what: "stopped by the operator"}
	}
	if phase != nil {
		err = phase.Err
	}
	var back *phases.BackError
	if errors.As(err, &hosts) {
		e = a.explainAll(hosts)
	} else {
		e = a.explainOne(err)
	}
	if errors.As(err, &back) && !isStuck(err) {
		e.code = exitReverted
	}
	if e.unknown != nil && e.code == exitUnreachable {
		e.recorded()
	}
	if phase != nil {
		e.what = phase.Phase + " failed: " + e.what
		// By then a target may have been changed, and nothing says that it is back.
		if (e.code == exitFailed || isBarred(err)) && (phase.Phase == "apply" || phase.Phase == "health") {
			e.code = exitPerson
		}
	}
	if errors.As(err, &exit) && e.detail == nil {
		e.detail = exit.Tail
	}
	if phase != nil && phase.Phase == "build" && e.code == exitFailed {
		e.repeats = true // its commit is settled
	}
	return e
}

// recorded has the cure begin with the recording of the keys that are not known.
func (e *explanation) recorded() {
	command := recording(e.unknown)
	switch {
	case e.cure == "":
		e.cure, e.typed = command, true
	case e.typed:
		e.cure = command + " && " + e.cure
	default:
		e.cure = command + ", and after that: " + e.cure
	}
}

// isBarred reports whether a host let us in, and let us do nothing.
func isBarred(err error) bool {
	var sudo *remote.SudoError
	var forward *remote.ForwardError
	return errors.As(err, &sudo) || errors.As(err, &forward)
}

// isStuck reports whether a target could not put its previous release back.
func isStuck(err error) bool {
	var apply *phases.ApplyError
	var hosts phases.HostErrors
	if errors.As(err, &hosts) {
		return slices.ContainsFunc(hosts, isStuck)
	}
	return errors.As(err, &apply) && apply.Outcome.Result == "stuck"
}

// explainAll explains the failures of several hosts as the gravest of them.
func (a advice) explainAll(hosts phases.HostErrors) explanation {
	gravity := map[int]int{exitDamaged: 5, exitPerson: 4, exitUnreachable: 3, exitReverted: 2, exitFailed: 1}
	all := a.explainOne(hosts[0])
	for _, err := range hosts[1:] {
		e := a.explainOne(err)
		all.detail = append(all.detail, e.what)
		all.detail = append(all.detail, e.detail...)
		if gravity[e.code] > gravity[all.code] || all.unknown != nil && all.cure == "" && e.code == all.code {
			all.code, all.cure, all.typed, all.repeats = e.code, e.cure, e.typed, e.repeats
		}
		all.unknown = append(all.unknown, e.unknown...)
	}
	return all
}

func (a advice) explainOne(err error) explanation {
	e := a.meaning(err)
	e.cure = a.placed(e.cure)
	return e
}

func (a advice) meaning(err error) explanation {
	var (
		refusal   *phases.Refusal
		apply     *phases.ApplyError
		unhealthy *phases.UnhealthyError
		confirm   *phases.UnconfirmedError
		refused   *refusedError
		id        *idError
		usage     *usageError
		mistake   *config.Error
		lost      *phases.LostJobError
		revert    *phases.RevertError
		held      *phases.HeldError
		silence   *phases.SilenceError
		limit     *machine.LimitError
	)
	switch {
	case errors.As(err, &revert):
		return explanation{code: exitPerson, what: err.Error()}
	case errors.As(err, &held):
		return a.explainHeld(held)
	case errors.As(err, &limit):
		return explanation{code: exitPerson, what: err.Error(), cure: "rel log " + limit.Promotion + "{here}, then rel abort " + limit.Promotion + "{here}"}
	case errors.As(err, &silence):
		return explanation{code: exitUnreachable, what: err.Error(), cure: "limit." + silence.Phase + ".silence in rel.toml, if it may take that long"}
	case errors.As(err, &refusal):
		return a.explainRefusal(refusal)
	case errors.As(err, &apply):
		return a.explainApply(apply)
	case errors.As(err, &unhealthy):
		return explainUnhealthy(unhealthy)
	case errors.As(err, &confirm) && confirm.Back:
		return explanation{code: exitReverted, what: err.Error()}
	case errors.As(err, &confirm), errors.As(err, &lost):
		return explanation{code: exitPerson, what: err.Error()}
	case errors.As(err, &refused):
		return explanation{code: exitRefused, what: err.Error(), cure: refused.Next}
	case errors.As(err, &id) && len(id.Fits) == 0 && id.isAdopted():
		return explanation{code: exitUsage, what: err.Error() + " here: what a target adopted is in the journal of whoever adopted it",
			cure: "rel status{here}, which lists the ways back that the targets know"}
	case errors.As(err, &id):
		return explanation{code: exitUsage, what: err.Error(), cure: "rel log{here}"}
	case errors.As(err, &usage):
		return explanation{code: exitUsage, what: err.Error(), cure: strings.Join(strings.Fields("rel "+a.command+" --help"), " ")}
	case errors.As(err, &mistake):
		// There may be several: all of them are shown.
		first, rest, _ := strings.Cut(err.Error(), "\n")
		e := explanation{code: exitUsage, what: first}
		if rest != "" {
			e.detail = strings.Split(rest, "\n")
		}
		return e
	}
	if e, ok := a.explainHost(err); ok {
		return e
	}
	return a.explainJournal(err)
}

// explainHeld says how to get past someone who holds a target.
func (a advice) explainHeld(held *phases.HeldError) explanation {
	unlock := "rel unlock " + bare(held.Holder.Promotion) + "{here} -m WHY"
	e := explanation{code: exitHeld, what: held.Error(), cure: unlock}
	if held.Holder.Alive() {
		e.detail = []string{"its owner is at work, or died a moment ago: a hold without heartbeats ends by itself after fifteen seconds"}
		if e.cure = a.wait() + "; or, to take it away, " + unlock + " --force"; a.command == "unlock" {
			e.cure = a.typed(a.command, "--force") + ", to take it away all the same"
		}
	}
	return e
}

// unwritten is why standard output does not take what is written there; nil, if that is not
// what is wrong.
func unwritten(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && path.Op == "write" && path.Path == os.Stdout.Name() {
		return path.Err
	}
	return nil
}

// explainHost is for hosts that cannot be reached or do not let us in.
func (a advice) explainHost(err error) (explanation, bool) {
	var (
		dial   *remote.DialError
		auth   *remote.AuthError
		key    *remote.HostKeyError
		config *remote.ConfigError
		lost   *remote.LostError
		sudo   *remote.SudoError
		shell  *remote.ShellError
		head   *remote.HeadError

		forward *remote.ForwardError
	)
	e := explanation{code: exitUnreachable, what: err.Error()}
	switch {
	case errors.As(err, &forward) && errors.As(err, &dial):
		e.cure = "AllowTcpForwarding local in the sshd_config of " + forward.Host + ", which is on the way"
	case errors.As(err, &forward):
		e.code = exitRefused
		e.detail = []string{`the checks that are from = "target" go through its sshd`}
		e.cure = "AllowTcpForwarding local in its sshd_config; or from = \"operator\""
	case errors.As(err, &auth):
		return a.explainAuth(auth), true
	case errors.As(err, &key):
		return explainHostKey(key), true
	case errors.As(err, &dial):
		e.cure, e.typed = a.ssh("", dial.Host)+" true", true
	case errors.As(err, &config):
		e.cure, e.typed = a.ssh("-G ", config.Host), true
	case errors.As(err, &shell):
		e.cure, e.typed = a.ssh("", shell.Host)+" /bin/sh -c true", true
	case errors.As(err, &head):
		e.code = exitRefused
		e.cure = "coreutils on " + head.Host + ", before busybox in the PATH of whoever logs in: apk add coreutils findutils util-linux"
	case errors.As(err, &sudo):
		return a.explainSudo(sudo), true
	case errors.As(err, &lost):
	default:
		return e, false
	}
	return e, true
}

// explainSudo says how the login user becomes root.
func (a advice) explainSudo(sudo *remote.SudoError) explanation {
	e := explanation{code: exitRefused, what: sudo.Error(), cure: a.ssh("", sudo.Host) + " " + sudo.By + " true", typed: true}
	name, _, _ := strings.Cut(sudo.By, " ")
	switch {
	case strings.Contains(sudo.Said, "must have a tty"):
		e.detail = []string{"as root there: visudo -f /etc/sudoers.d/rel, with the line: Defaults:" + sudo.User + " !requiretty"}
	case name == "doas":
		e.detail = []string{"as root there: echo 'permit nopass " + sudo.User + "' >> /etc/doas.conf"}
	case name == "run0":
		e.detail = []string{"a polkit rule there has to let " + sudo.User + " manage units without being asked"}
	case name != "sudo":
	case sudo.Err != nil:
		// What is proposed otherwise, sudo over ssh, has no terminal either.
		e.detail = nopasswd(sudo.User)
		e.cure, e.typed = a.typed(a.command, "")+", and the password when it is asked for", false
		if errors.Is(sudo.Err, errNobodyThere) {
			e.cure = a.typed(a.command, "") + ", where there is a terminal to ask for the password on"
		}
	case sudo.Asked:
		e.cure, e.typed = a.ssh("-t ", sudo.Host)+" sudo -k true, and then again with the right password", false
	default:
		e.detail = append(nopasswd(sudo.User), `or have rel ask for the password: become_password = "ask" in rel.toml`)
	}
	return e
}

// nopasswd goes through visudo: with a line that sudo cannot read nobody becomes root.
func nopasswd(user string) []string {
	return []string{"as root there: visudo -f /etc/sudoers.d/rel, with the line: " + user + " ALL=(ALL) NOPASSWD: ALL",
		"on NixOS: security.sudo.extraRules"}
}
