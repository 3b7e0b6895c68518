package main

import (
	"strings"

	"choir.chat/rel/phases"
)

func (a advice) explainApply(apply *phases.ApplyError) explanation {
	e := explanation{code: exitReverted, what: apply.Error(), repeats: true}
	switch apply.Outcome.Result {
	case "refused":
		e.code, e.repeats = exitRefused, false
		if strings.Contains(apply.Outcome.Text, "has taken this target over") {
			e.code = exitHeld
		}
		// What verify saw is on record, and verify is done.
		e.over = strings.Contains(apply.Outcome.Text, " since verify")
		if path, _, damaged := strings.Cut(apply.Outcome.Text, " is damaged in the store"); damaged {
			e.detail = []string{"look after the disk there"}
			e.cure, e.typed = a.rootThere(apply.Host, "nix-store --delete --ignore-liveness "+bare(path)), true
		}
	case "stuck":
		e.code, e.repeats = exitPerson, false
		if apply.Outcome.Unit != "" {
			e.cure, e.typed = a.rootThere(apply.Host, "journalctl -u "+bare(apply.Outcome.Unit)), true
		}
	}
	return e
}

func explainUnhealthy(u *phases.UnhealthyError) explanation {
	e := explanation{code: exitReverted, repeats: true}
	if u.Kept {
		e.code, e.repeats = exitPerson, false
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
