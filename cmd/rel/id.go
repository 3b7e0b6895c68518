package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

const idTime = "20060102-150405"

// newID names a promotion by its UTC time and commit: 20261122-183229-dc8876b.
// Ids sort by time, and their alphabet is safe in paths and unit names.
func newID(now time.Time, commit string) string {
	return now.UTC().Format(idTime) + "-" + phases.Short(commit)
}

// newID names a new promotion. Ids have to sort by their time, so the second of
// two in one second waits for the next: it holds the claim, and so nobody else
// takes it.
func (h *house) newID(ctx context.Context, commit string) (string, error) {
	for {
		id := newID(time.Now(), commit)
		ids, err := h.journal.Promotions()
		if err != nil || len(ids) == 0 || ids[len(ids)-1][:len(idTime)] != id[:len(idTime)] {
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

// name is what a promotion is called by.
type name struct{ id, commit string }

// match is the one that a prefix of its id or of its commit names.
func match(names []name, word string) (int, error) {
	var fits []int
	for i, n := range names {
		if n.id == word {
			return i, nil
		}
		if strings.HasPrefix(n.id, word) || len(word) >= 4 && strings.HasPrefix(n.commit, word) {
			fits = append(fits, i)
		}
	}
	if len(fits) == 1 {
		return fits[0], nil
	}
	e := &idError{Name: word}
	for _, i := range fits {
		e.Fits = append(e.Fits, names[i].id)
	}
	return 0, e
}

// find is the promotion of the journal that is called so.
func find(history machine.History, word string) (*machine.Past, error) {
	names := make([]name, len(history))
	for i, p := range history {
		names[i] = name{p.ID, p.Start.Plan.Commit}
	}
	i, err := match(names, word)
	if err != nil {
		return nil, err
	}
	return history[i], nil
}
