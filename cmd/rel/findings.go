package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// condition is how one precondition of a promotion is met.
type condition string

const (
	isOK    condition = "ok"
	warning condition = "warning"
	failure condition = "failure"
)

// finding is what doctor says of one precondition. Its JSON is for programs: Host is
// empty for the operator's own machine, and Check one of a fixed set of words, with a
// check's name after "check ".
type finding struct {
	Host   string    `json:"host"`
	Check  string    `json:"check"`
	Status condition `json:"status"`
	Text   string    `json:"text"`
	// Cure is what to type, or to do; empty where nothing is wrong.
	Cure string `json:"cure"`
	// code is the exit status that the failure calls for.
	code int
}

// findings are those of one host, in the order in which they are shown.
type findings struct {
	host string
	advice
	list []finding
}

func (f *findings) add(check string, how condition, code int, cure, format string, args ...any) {
	f.list = append(f.list, finding{f.host, check, how, oneLine(fmt.Sprintf(format, args...)), oneLine(f.placed(cure)), code})
}

// oneLine is a text that may come from a host as it can be shown.
func oneLine(text string) string {
	const most = 2000
	text = strings.Join(strings.Fields(remote.Clean(text)), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func (f *findings) ok(check, format string, args ...any) {
	f.add(check, isOK, exitOK, "", format, args...)
}

func (f *findings) warn(check, cure, format string, args ...any) {
	f.add(check, warning, exitOK, cure, format, args...)
}

func (f *findings) fail(check, cure, format string, args ...any) {
	f.add(check, failure, exitRefused, cure, format, args...)
}

// refused says a refusal in the words that `rel start` has for it. As says how the
// login becomes root, for a cure that root has to type.
func (f *findings) refused(r *phases.Refusal, as string) {
	a := f.advice
	a.become = map[string]string{f.host: as}
	f.explained(checkOf[r.Reason], a.explainRefusal(r))
}

// failed says of an error what `rel start` would.
func (f *findings) failed(check string, err error) { f.explained(check, f.explain(err)) }

func (f *findings) explained(check string, e explanation) {
	text := strings.TrimPrefix(e.what, f.host+": ")
	if len(e.detail) > 0 {
		text += ": " + strings.Join(e.detail, "; ")
	}
	if e.cure == "" && f.host != "" {
		e.cure = f.ssh("", f.host)
	}
	code := e.code
	if !slices.Contains(gravity, code) {
		code = exitRefused
	}
	f.add(check, failure, code, e.cure, "%s", text)
}

// checkOf is under which word a refusal is found.
var checkOf = map[phases.Reason]string{
	phases.NoCheckout: "checkout", phases.NotOurs: "checkout", phases.Dirty: "checkout", phases.Diverged: "checkout",
	phases.WrongBranch: "checkout", phases.ReadOnly: "checkout", phases.NoNix: "nix", phases.NotRoot: "root", phases.NoRoom: "room",
	phases.NoUnit: "units", phases.NoSystemd: "units", phases.Occupied: "links", phases.NoFolder: "links",
	phases.Drift: "links", phases.Unconfirmed: "unconfirmed",
}

// has reports whether something is wrong with a check.
func (f *findings) has(check string) bool {
	return slices.ContainsFunc(f.list, func(found finding) bool { return found.Check == check && found.Status != isOK })
}

// gravity orders the exit statuses of failures, the gravest first: who cannot read
// rel.toml knows of no host, and who does not reach one knows nothing of it.
var gravity = []int{exitUsage, exitDamaged, exitUnreachable, exitRefused}

// exitOf is the status that doctor ends with.
func exitOf(groups []*findings) int {
	worst := len(gravity)
	for _, group := range groups {
		for _, found := range group.list {
			if i := slices.Index(gravity, found.code); found.Status == failure && i >= 0 {
				worst = min(worst, i)
			}
		}
	}
	if worst == len(gravity) {
		return exitOK
	}
	return gravity[worst]
}

// findingsJSON is the document that `rel doctor --json` prints.
type findingsJSON struct {
	Schema   int       `json:"schema"`
	Findings []finding `json:"findings"`
}

// writeFindingsJSON prints one document.
func writeFindingsJSON(out io.Writer, groups []*findings) error {
	all := []finding{}
	for _, group := range groups {
		all = append(all, group.list...)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(findingsJSON{jsonSchema, all})
}

// marks go before a finding, with their colours.
var marks = map[condition]struct{ mark, colour string }{isOK: {"✔", show.Green}, warning: {"!", show.Yellow}, failure: {"✖", show.Red}}

// writeFindings prints a line for each, and one more for each cure.
func writeFindings(out io.Writer, paint show.Paint, groups []*findings) {
	width, count := 0, map[condition]int{}
	for _, group := range groups {
		for _, found := range group.list {
			width = max(width, utf8.RuneCountInString(found.Check))
			count[found.Status]++
		}
	}
	// A cure stands below the text, which the mark, the word and the check are before.
	indent := len("  ! failure ") + width + len("  ")
	for _, group := range groups {
		name := group.host
		if name == "" {
			name = "operator"
		}
		fmt.Fprintln(out, paint(show.Bold, name))
		for _, found := range group.list {
			m := marks[found.Status]
			fmt.Fprintf(out, "  %s %-*s  %s\n", paint(m.colour, fmt.Sprintf("%s %-7s", m.mark, found.Status)), width, found.Check, found.Text)
			if found.Cure != "" {
				fmt.Fprintf(out, "%*scure: %s\n", indent, "", found.Cure)
			}
		}
	}
	fmt.Fprintf(out, "%s, %s, %d ok\n", phases.CountText(count[failure], "failure"), phases.CountText(count[warning], "warning"), count[isOK])
}

// atOnce writes a text for people in one go, so that whether it got there is known; on a
// terminal as wide as that is.
func atOnce(out io.Writer, write func(io.Writer)) error {
	var b bytes.Buffer
	write(&b)
	text := b.String()
	if width, _ := columnsOf(out); width > 0 {
		text = show.Hung(text, width)
	}
	_, err := io.WriteString(out, text)
	return err
}
