package main

import (
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/phases"
)

// warn says what a plan does without, before it is carried out.
func (h *house) warn(plan *phases.Plan) {
	confirm := time.Duration(plan.Confirm)
	if confirm == 0 {
		h.printer.Say(`warning: confirm = "0s": a target does not go back by itself if this operator vanishes`)
	}
	if plan.OnUnhealthy == "keep" {
		h.printer.Say(`warning: on_unhealthy = "keep": a release that fails its checks stays live`)
	}
	if len(plan.Checks) == 0 {
		h.printer.Say("warning: there is no [[check]]: healthy means no more than that the units stay up")
	}
	identity := len(plan.Checks) == 0
	for i := range plan.Checks {
		c := &plan.Checks[i]
		identity = identity || strings.Contains(c.Body+c.Header, "sha}")
		if longest := time.Duration(c.StartPeriod + c.Deadline); confirm > 0 && longest >= confirm {
			h.printer.Say(fmt.Sprintf("warning: check %q may take %s, and the targets go back after %s", c.Name, longest, confirm))
		}
	}
	if !identity {
		h.printer.Say("warning: no check asks for ${sha} in body or header: an old process could pass for the new one")
	}
}
