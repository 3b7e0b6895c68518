package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

// newID names a promotion by its UTC time and commit: 20261122-183229-dc8876b.
// Ids sort by time, and their alphabet is safe in paths and unit names.
func newID(now time.Time, commit string) string {
	return now.UTC().Format("20060102-150405") + "-" + phases.Short(commit)
}

// newID names a new promotion. Two in one second would share an id, so the
// second waits for the next: it holds the claim, and so nobody else takes it.
func (h *house) newID(ctx context.Context, commit string) (string, error) {
	for {
		id := newID(time.Now(), commit)
		events, err := h.journal.Events(id)
		if err != nil || len(events) == 0 {
			return id, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// idError says that a name fits no promotion, or several.
type idError struct {
	Name string
	Fits []string
}

func (e *idError) Error() string {
	if len(e.Fits) == 0 {
		return fmt.Sprintf("no promotion is called %q", e.Name)
	}
	return fmt.Sprintf("%q fits several promotions: %s", e.Name, strings.Join(e.Fits, ", "))
}

// find is the promotion that a prefix of its id or of its commit names.
func find(history machine.History, name string) (*machine.Past, error) {
	var fits []*machine.Past
	for _, p := range history {
		if p.ID == name {
			return p, nil
		}
		if strings.HasPrefix(p.ID, name) || len(name) >= 4 && strings.HasPrefix(p.Start.Plan.Commit, name) {
			fits = append(fits, p)
		}
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	e := &idError{Name: name}
	for _, p := range fits {
		e.Fits = append(e.Fits, p.ID)
	}
	return nil, e
}
