package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"choir.chat/rel/journal"
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
}

// explain is the one place that gives errors words, hints and exit statuses.
func explain(err error) explanation {
	var (
		e     explanation
		phase *machine.PhaseError
		hosts phases.HostErrors
		exit  *remote.ExitError
	)
	var lost *phases.HoldLostError
	var divided *phases.RevertError
	if errors.As(err, &lost) && !errors.As(err, &divided) {
		return explanation{code: exitHeld, what: lost.Error(), cure: "rel status, then rel resume or rel abort"}
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
		e = explainAll(hosts)
	} else {
		e = explainOne(err)
	}
	if errors.As(err, &back) && !isStuck(err) {
		e.code = exitReverted
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
	return e
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
func explainAll(hosts phases.HostErrors) explanation {
	gravity := map[int]int{exitDamaged: 5, exitPerson: 4, exitUnreachable: 3, exitReverted: 2, exitFailed: 1}
	all := explainOne(hosts[0])
	for _, err := range hosts[1:] {
		e := explainOne(err)
		all.detail = append(all.detail, e.what)
		all.detail = append(all.detail, e.detail...)
		if gravity[e.code] > gravity[all.code] {
			all.code, all.cure = e.code, e.cure
		}
	}
	return all
}

func explainOne(err error) explanation {
	var (
		refusal   *phases.Refusal
		apply     *phases.ApplyError
		unhealthy *phases.UnhealthyError
		confirm   *phases.UnconfirmedError
		refused   *refusedError
		id        *idError
		usage     *usageError
		config    *configError
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
		return explainHeld(held)
	case errors.As(err, &limit):
		return explanation{code: exitPerson, what: err.Error(), cure: "rel log " + limit.Promotion + ", then rel abort " + limit.Promotion}
	case errors.As(err, &silence):
		return explanation{code: exitUnreachable, what: err.Error(), cure: "limit." + silence.Phase + ".silence in rel.toml, if it may take that long"}
	case errors.As(err, &refusal):
		return explainRefusal(refusal)
	case errors.As(err, &apply):
		return explainApply(apply)
	case errors.As(err, &unhealthy):
		return explainUnhealthy(unhealthy)
	case errors.As(err, &confirm) && confirm.Back:
		return explanation{code: exitReverted, what: err.Error()}
	case errors.As(err, &confirm), errors.As(err, &lost):
		return explanation{code: exitPerson, what: err.Error()}
	case errors.As(err, &refused):
		return explanation{code: exitRefused, what: err.Error(), cure: refused.Next}
	case errors.As(err, &id):
		return explanation{code: exitUsage, what: err.Error(), cure: "rel log"}
	case errors.As(err, &usage):
		return explanation{code: exitUsage, what: err.Error(), cure: "rel --help"}
	case errors.As(err, &config):
		// There may be several: all of them are shown.
		first, rest, _ := strings.Cut(err.Error(), "\n")
		e := explanation{code: exitUsage, what: first}
		if rest != "" {
			e.detail = strings.Split(rest, "\n")
		}
		return e
	}
	if e, ok := explainHost(err); ok {
		return e
	}
	return explainJournal(err)
}

// explainHeld says how to get past someone who holds a target.
func explainHeld(held *phases.HeldError) explanation {
	unlock := "rel unlock " + held.Holder.Promotion + " -m WHY"
	e := explanation{code: exitHeld, what: held.Error(), cure: unlock}
	if held.Holder.Alive() {
		e.detail = []string{"its owner is at work, or died a moment ago: a hold without heartbeats ends by itself after fifteen seconds"}
		e.cure = "the same with --wait 10m, to wait for it; or, to take it away, " + unlock + " --force"
	}
	return e
}

func explainJournal(err error) explanation {
	var (
		busy    *journal.BusyError
		claimed *journal.ClaimedError
		damaged *journal.DamagedError
		chain   *journal.ChainError
		newer   *journal.NewerError
		anchor  *anchorError
		room    *journal.RoomError
	)
	e := explanation{code: exitFailed, what: err.Error()}
	switch {
	case errors.As(err, &busy):
		e.code, e.cure = exitHeld, "try again in a moment"
	case errors.As(err, &claimed):
		e.code, e.cure = exitHeld, "wait for it: rel log "+claimed.Holder.Promotion
	case errors.As(err, &damaged):
		e.code, e.cure = exitDamaged, restore(damaged.Backup, damaged.Path)
	case errors.As(err, &chain):
		e.code, e.cure = exitDamaged, restore(chain.Backup, chain.Path)
	case errors.As(err, &anchor):
		e.code, e.cure = exitDamaged, "ask whoever could write to the journal; its backups lie beside it"
	case errors.As(err, &room):
		e.code, e.cure = exitRefused, "df -h "+room.Dir
	case errors.As(err, &newer):
		e.code, e.cure = exitUsage, "use the newer rel"
	}
	return e
}

// restore is the command that goes back to a backup of the journal. Without one
// there is no going on, but for who wants to begin anew.
func restore(backup, path string) string {
	if backup != "" {
		return fmt.Sprintf("cp %s %s", backup, path)
	}
	dir := filepath.Dir(path)
	return fmt.Sprintf("there is no backup that is whole; mv %s %s.damaged, to begin a new history", dir, dir)
}

// explainHost is for hosts that cannot be reached or do not let us in.
func explainHost(err error) (explanation, bool) {
	var (
		dial   *remote.DialError
		auth   *remote.AuthError
		key    *remote.HostKeyError
		config *remote.ConfigError
		lost   *remote.LostError
		sudo   *remote.SudoError
		shell  *remote.ShellError

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
		return explainAuth(auth), true
	case errors.As(err, &key):
		return explainHostKey(key), true
	case errors.As(err, &dial):
		e.cure = "ssh " + dial.Host
	case errors.As(err, &config):
		e.cure = "ssh -G " + config.Host
	case errors.As(err, &shell):
		e.cure = "ssh " + shell.Host + " /bin/sh -c true"
	case errors.As(err, &sudo):
		return explainSudo(sudo), true
	case errors.As(err, &lost):
	default:
		return e, false
	}
	return e, true
}

// explainSudo says how the login user becomes root.
func explainSudo(sudo *remote.SudoError) explanation {
	e := explanation{code: exitRefused, what: sudo.Error(), cure: "ssh " + sudo.Host + " " + sudo.By + " true"}
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
		e.detail = append(nopasswd(sudo.User), "or run rel where there is a terminal")
	case sudo.Asked:
		e.cure = "try again, with the right password; ssh -t " + sudo.Host + " sudo -k true"
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

func explainApply(a *phases.ApplyError) explanation {
	e := explanation{code: exitReverted, what: a.Error()}
	switch a.Outcome.Result {
	case "refused":
		e.code = exitRefused
		if strings.Contains(a.Outcome.Text, "has taken this target over") {
			e.code = exitHeld
		}
		// What verify saw is on record, and verify is done.
		e.over = strings.Contains(a.Outcome.Text, " since verify")
		if path, _, damaged := strings.Cut(a.Outcome.Text, " is damaged in the store"); damaged {
			e.cure = fmt.Sprintf("look after the disk, then ssh %s nix-store --delete --ignore-liveness %s", a.Host, path)
		}
	case "stuck":
		e.code = exitPerson
		if a.Outcome.Unit != "" {
			e.cure = fmt.Sprintf("ssh %s journalctl -u %s", a.Host, a.Outcome.Unit)
		}
	}
	return e
}

func explainUnhealthy(u *phases.UnhealthyError) explanation {
	e := explanation{code: exitReverted}
	if u.Kept {
		e.code = exitPerson
	}
	for _, r := range u.Results {
		switch {
		case r.Verdict == phases.Passed:
		case e.what == "":
			e.what = r.String()
		default:
			e.detail = append(e.detail, r.String())
		}
	}
	return e
}
