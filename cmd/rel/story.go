package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"choir.chat/rel/cmd/rel/show"
	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
	"choir.chat/rel/remote"
)

// telling is one promotion as it is told by `rel log ID`: what it was about, and then what
// happened, in order.
type telling struct {
	past   *machine.Past
	events []journal.Event
	// next is the promotion that took its release off the targets; nil without one.
	next    *machine.Past
	working bool
	// path names the file with what the hosts printed in an attempt.
	path  func(promotion, phase string, attempt int) string
	paint show.Paint

	out io.Writer
	// day is the one of the event before.
	day string
	// said are the notes of the attempt that is told, by host.
	said map[string][]string
}

func (s *telling) write(out io.Writer) {
	s.out = out
	s.head()
	s.around()
	s.artifacts()
	for i := range s.events {
		s.event(i)
	}
}

// line prints a line that may have in it what a host has said.
func (s *telling) line(format string, args ...any) {
	fmt.Fprintln(s.out, strings.TrimRight(remote.Clean(fmt.Sprintf(format, args...)), " "))
}

// about is a line of what the promotion was about.
func (s *telling) about(label, format string, args ...any) {
	s.line("%-11s  %s", label, fmt.Sprintf(format, args...))
}

func (s *telling) head() {
	p := s.past
	plan := &p.Start.Plan
	s.about("promotion", "%s", p.ID)
	s.about("commit", "%s", strings.TrimSpace(plan.Commit+" "+plan.Subject))
	switch {
	case p.Start.Kind == machine.Rollback && plan.From != "":
		s.about("kind", "rollback from %s to %s", plan.From, plan.Release.ID)
	case p.Start.Kind == machine.Rollback:
		s.about("kind", "rollback to %s", plan.Release.ID)
	default:
		s.about("kind", "%s", p.Start.Kind)
	}
	s.about("who", "%s", by(p.Operator))
	s.about("when", "%s, %s to the last record", zoned(p.Opened), took(p.Updated.Sub(p.Opened)))
	state := ends(p)
	if s.working && !p.Ended() {
		state = p.State + ", at work"
	}
	s.about("state", "%s", state)
	if p.Start.Why != "" {
		s.about("why", "%s", p.Start.Why)
	}
	if plan.Build.Host != "" {
		s.about("build host", "%s", plan.Build.Host)
	}
	s.about("targets", "%s", strings.Join(targetNames(plan), ", "))
}

func by(o journal.Operator) string { return strings.TrimSpace(o.Name + " " + o.Key) }

// around is what the targets ran before, and what took its place.
func (s *telling) around() {
	p := s.past
	if before := p.Facts.Verify; before != nil {
		for _, host := range targetNames(&p.Start.Plan) {
			was, known := before.Targets[host]
			switch {
			case !known:
			case was.Live == "":
				s.about("before", "%s ran no release", host)
			default:
				s.about("before", "%s ran %s (%s)", host, was.Live, shortOr(was.Commit, "no commit"))
			}
		}
	}
	switch next := s.next; {
	case p.State != machine.Healthy:
	case next == nil:
		s.about("after", "nothing: it is what this journal has for live")
	case next.Start.Kind == machine.Rollback:
		s.about("after", "rolled back by %s, to %s", next.ID, next.Release().ID)
	default:
		s.about("after", "replaced by %s", strings.TrimSpace(next.ID+" "+next.Start.Plan.Subject))
	}
}

func (s *telling) artifacts() {
	r := s.past.Release()
	if r == nil {
		return
	}
	for i := range r.Outputs {
		s.about("artifact", "%s -> %s", r.Outputs[i].Link, r.Outputs[i].Target())
	}
}

// under is where the lines begin that tell more of an event.
const under = "              "

// event tells one event. An attempt is told with how it ended where it begins.
func (s *telling) event(i int) {
	switch ev := &s.events[i]; ev.Kind {
	case journal.Opened:
		s.stamp(ev, "•", "opened by "+by(ev.Operator))
	case journal.Resumed:
		s.stamp(ev, "•", fmt.Sprintf("taken up at %q by %s", ev.State, by(ev.Operator)))
	case journal.Intent:
		s.said = map[string][]string{}
		s.attempt(ev, s.outcome(i))
	case journal.Note:
		if s.said != nil {
			s.said[ev.Host] = append(s.said[ev.Host], ev.Text)
		}
		s.detail(ev.Host, ev.Text)
	case journal.Moved, journal.Failed, journal.Interrupted:
		if ev.Phase == "" {
			mark, text := show.Describe(ev)
			s.stamp(ev, mark, text)
			break
		}
		s.facts(ev)
		if ev.Kind != journal.Moved {
			s.line("%s%s", under, ev.Text)
			s.line("%slog: %s", under, s.path(s.past.ID, ev.Phase, ev.Attempt))
		}
		s.said = nil
	case journal.Left:
		s.left(ev)
	}
}

// outcome is how the attempt ended that begins with an event; nil, if it did not.
func (s *telling) outcome(i int) *journal.Event {
	for j := i + 1; j < len(s.events); j++ {
		switch ev := &s.events[j]; ev.Kind {
		case journal.Moved, journal.Failed, journal.Interrupted:
			if ev.Phase == s.events[i].Phase {
				return ev
			}
		case journal.Intent, journal.Resumed:
			return nil
		}
	}
	return nil
}

func (s *telling) attempt(ev, outcome *journal.Event) {
	text := ev.Phase
	if ev.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", ev.Attempt)
	}
	mark := "▸"
	switch {
	case outcome != nil:
		mark, _ = show.Describe(outcome)
		text += map[journal.Kind]string{journal.Moved: " ", journal.Failed: " failed after ", journal.Interrupted: " stopped after "}[outcome.Kind] + show.Millis(outcome.Millis)
		ev = &journal.Event{At: ev.At, Kind: outcome.Kind}
	case s.working && s.past.Unsettled != nil && s.past.Unsettled.Seq == ev.Seq:
		text += ": at work"
	default:
		text += ": cut off; what it has done is not on record"
	}
	s.stamp(ev, mark, text)
}

// stamp is a line with the time of an event; a new day has a line of its own.
func (s *telling) stamp(ev *journal.Event, mark, text string) {
	at := ev.At.Local()
	if day := at.Format(time.DateOnly); day != s.day {
		fmt.Fprintf(s.out, "\n%s\n", day)
		s.day = day
	}
	fmt.Fprintf(s.out, "%s  %s %s\n", at.Format(time.TimeOnly), s.paint(show.MarkColour(ev.Kind), mark), oneLine(text))
}

// detail is a line below an event, of a host.
func (s *telling) detail(host, text string) {
	if host == "" {
		s.line("%s%s", under, text)
		return
	}
	s.line("%s%s  %s", under, host, text)
}

// left is how a run ended short of the promotion's end.
func (s *telling) left(ev *journal.Event) {
	var e machine.Ending
	if err := json.Unmarshal(ev.Data, &e); err != nil {
		return // machine.Replay has refused it
	}
	s.stamp(ev, "■", fmt.Sprintf("ended with exit status %d: %s", e.Exit, ev.Text))
	for _, target := range e.Targets {
		s.line("%stargets: %s", under, target)
	}
	if e.Next != "" {
		s.line("%snext: %s", under, e.Next)
	}
}

// facts are those that an attempt has recorded, and that its notes do not say.
func (s *telling) facts(ev *journal.Event) {
	var facts phases.Facts
	if ev.Data == nil || json.Unmarshal(ev.Data, &facts) != nil {
		return
	}
	for _, fact := range factsOf(&facts, s.said) {
		s.detail(fact.host, fact.text)
	}
}
