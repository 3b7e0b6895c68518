package show

import (
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// Describe is an event in one line, and the mark that goes before it; both
// empty for an event that is not shown in the live view.
func Describe(ev *journal.Event) (mark, text string) {
	switch ev.Kind {
	case journal.Opened:
		return "•", fmt.Sprintf("promotion %s: %s", ev.Promotion, ev.Text)
	case journal.Resumed:
		return "•", fmt.Sprintf("promotion %s: going on from %q", ev.Promotion, ev.State)
	case journal.Intent:
		text = ev.Phase
		if ev.Attempt > 1 {
			text += fmt.Sprintf(" (attempt %d)", ev.Attempt)
		}
		return "▸", text
	case journal.Note:
		return " ", HostPrefix(ev.Host) + ev.Text
	case journal.Moved:
		if ev.Phase == "" && machine.Ended(ev.State) {
			return "■", strings.TrimSuffix(fmt.Sprintf("%s by hand: %s", ev.State, ev.Text), ": ")
		}
		if ev.Phase == "" {
			return "↩", fmt.Sprintf("%s, not %s: %s", ev.State, ev.From, ev.Text)
		}
		return "✔", fmt.Sprintf("%s in %s", ev.State, Millis(ev.Millis))
	case journal.Failed:
		return "✖", fmt.Sprintf("%s failed after %s", ev.Phase, Millis(ev.Millis))
	case journal.Interrupted:
		return "✖", fmt.Sprintf("%s stopped after %s", ev.Phase, Millis(ev.Millis))
	}
	return "", ""
}

// HostPrefix goes before what is said of a host; of none, it is empty.
func HostPrefix(host string) string {
	if host == "" {
		return ""
	}
	return host + ": "
}

// Millis is so many milliseconds, as people read them.
func Millis(n int64) string {
	d := time.Duration(n) * time.Millisecond
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// MarkColour is the colour of the mark of such events.
func MarkColour(kind journal.Kind) string {
	switch kind {
	case journal.Moved:
		return Green
	case journal.Failed, journal.Interrupted:
		return Red
	case journal.Opened, journal.Resumed, journal.Intent:
		return Bold
	}
	return Faint
}
