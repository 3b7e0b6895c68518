package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"choir.chat/rel/journal"
	"choir.chat/rel/machine"
)

// logFilter says which promotions are shown.
type logFilter struct {
	// most is how many; zero for all.
	most int
	// since is the first instant that counts, as ids begin with it; empty for any.
	since    string
	operator string
	failed   bool
}

// logDefault is how many promotions are shown to who does not say.
const logDefault = 20

func (c *logCmd) filter(now time.Time) (logFilter, error) {
	f := logFilter{most: logDefault, operator: c.Operator, failed: c.Failed}
	if c.Since != "" {
		since, err := parseSince(c.Since, now)
		if err != nil {
			return f, err
		}
		f.since, f.most = since.UTC().Format(idTime), 0
	}
	if c.Number != nil {
		f.most = max(0, *c.Number)
	}
	return f, nil
}

// parseSince reads a duration before now, or a date, which begins at midnight here.
func parseSince(text string, now time.Time) (time.Time, error) {
	if at, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return at, nil
	}
	if digits, ok := strings.CutSuffix(text, "d"); ok {
		if days, err := strconv.Atoi(digits); err == nil && days >= 0 {
			return now.AddDate(0, 0, -days), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, &usageError{fmt.Sprintf("--since %s is neither a duration (36h, 7d) nor a date (2026-11-01)", text)}
}

// logRow is a promotion that is shown.
type logRow struct {
	past   *machine.Past
	events []journal.Event
	// working says that a rel is at work on it.
	working bool
}

// logBatch is how many promotions are looked at in one go: the journal cannot be
// written meanwhile.
const logBatch = 256

// each gives fn the promotions that fit, the newest first. Of those that do not it
// reads no more than it takes to know.
func (f *logFilter) each(j *journal.Journal, fn func(logRow) error) error {
	few := f.most
	if f.picky() {
		few = 0 // how many have to be looked at is not known
	}
	ids, err := j.Last(few)
	if err != nil {
		return err
	}
	from, _ := slices.BinarySearch(ids, f.since)
	shown := 0
	for ids = ids[from:]; len(ids) > 0 && (f.most == 0 || shown < f.most); {
		batch := ids[max(0, len(ids)-logBatch):]
		ids = ids[:len(ids)-len(batch)]
		if batch, err = f.likely(j, batch); err != nil {
			return err
		}
		for _, id := range slices.Backward(batch) {
			events, err := j.Events(id)
			if err != nil {
				return err
			}
			past, err := machine.Replay(events)
			if err != nil {
				return err
			}
			if f.failed && past.State == machine.Healthy {
				continue
			}
			if err := fn(logRow{past: past, events: events}); err != nil {
				return err
			}
			if shown++; shown == f.most {
				return nil
			}
		}
	}
	return nil
}

// picky reports whether a promotion has to be looked at to know whether it is shown.
func (f *logFilter) picky() bool { return f.operator != "" || f.failed }

// likely are those of the promotions that may fit, by their first and last events.
func (f *logFilter) likely(j *journal.Journal, ids []string) ([]string, error) {
	var err error
	if f.operator != "" {
		ids, err = those(ids, j.Firsts, func(first *journal.Event) bool { return strings.Contains(first.Operator.Name, f.operator) })
	}
	if f.failed && err == nil {
		// What is noted once it is healthy comes after that: such a one is read whole.
		ids, err = those(ids, j.Lasts, func(last *journal.Event) bool { return last.Kind != journal.Moved || last.State != machine.Healthy })
	}
	return ids, err
}

// those are the promotions of which one event fits.
func those(ids []string, read func([]string) ([]journal.Event, error), fits func(*journal.Event) bool) (list []string, err error) {
	events, err := read(ids)
	for i := range events {
		if fits(&events[i]) {
			list = append(list, ids[i])
		}
	}
	return list, err
}

// nothing says that none fits.
func (f *logFilter) nothing() string {
	if f.since == "" && !f.picky() {
		return "no promotions yet"
	}
	return "no such promotions"
}
