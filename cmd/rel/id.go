package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"choir.chat/rel/machine"
	"choir.chat/rel/phases"
)

const idTime = "20060102-150405"

// adoptedWord is in an id where a commit would be: of what was there before rel, and of a
// way back to it.
const adoptedWord = "adopted"

// newID names a promotion by its UTC time and commit: 20261122-183229-dc8876b.
// Ids sort by time, and their alphabet is safe in paths and unit names.
func newID(now time.Time, commit string) string {
	return now.UTC().Format(idTime) + "-" + phases.Short(cmp.Or(commit, adoptedWord))
}

// newID names a new promotion. Ids have to sort by their time, so the second of
// two in one second waits for the next: it holds the claim, and so nobody else
// takes it.
func (h *house) newID(ctx context.Context, commit string) (string, error) {
	for {
		id := newID(time.Now(), commit)
		ids, err := h.journal.Last(1)
		if err != nil || len(ids) == 0 || ids[0][:min(len(ids[0]), len(idTime))] != id[:len(idTime)] {
			return id, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// idError says that a name fits no promotion, or several. Near are those, newest first, that
// have it elsewhere than at the beginning.
type idError struct {
	Name string
	Fits []string
	Near []string
}

func (e *idError) Error() string {
	const shown = 10
	switch {
	case len(e.Fits) == 0 && len(e.Near) > 0:
		return fmt.Sprintf("no promotion's id, or commit, begins with %q; it is in %s", e.Name, strings.Join(e.Near[:min(len(e.Near), shown)], ", "))
	case len(e.Fits) == 0:
		return fmt.Sprintf("no promotion is called %q", e.Name)
	}
	if more := len(e.Fits) - shown; more > 0 {
		return fmt.Sprintf("%q fits several promotions: %s and %d more", e.Name, strings.Join(e.Fits[:shown], ", "), more)
	}
	return fmt.Sprintf("%q fits several promotions: %s", e.Name, strings.Join(e.Fits, ", "))
}

// isAdopted reports whether the name is of what some rel has adopted.
func (e *idError) isAdopted() bool {
	return strings.HasSuffix(e.Name, "-"+adoptedWord) || len(e.Name) >= leastCommit && strings.HasPrefix(adoptedWord, e.Name)
}

// name is what a promotion is called by.
type name struct{ id, commit string }

// leastCommit is how much of a commit names one.
const leastCommit = 4

// match is the one that a prefix of its id or of its commit names.
func match(names []name, word string) (int, error) {
	var fits []int
	for i, n := range names {
		if n.id == word {
			return i, nil
		}
		if strings.HasPrefix(n.id, word) || len(word) >= leastCommit && strings.HasPrefix(n.commit, word) {
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
	for _, n := range slices.Backward(names) {
		if strings.Contains(n.id, word) {
			e.Near = append(e.Near, n.id)
		}
	}
	return 0, e
}

// find is the promotion of the journal that is called so. Of those that their ids
// rule out no more is read.
func find(history machine.History, word string) (*machine.Past, error) {
	if past, err := history.Find(word); past != nil || err != nil {
		return past, err
	}
	ids, err := history.Last(0)
	if err != nil {
		return nil, err
	}
	var names []name
	for _, id := range ids {
		n := name{id: id}
		// An id ends with the beginning of the commit.
		end := id[strings.LastIndexByte(id, '-')+1:]
		if len(word) >= leastCommit && !strings.HasPrefix(id, word) && (strings.HasPrefix(word, end) || strings.HasPrefix(end, word)) {
			past, err := history.Find(id)
			if err != nil {
				return nil, err
			}
			if past != nil {
				n.commit = cmp.Or(past.Start.Plan.Commit, adoptedWord)
			}
		}
		names = append(names, n)
	}
	i, err := match(names, word)
	if err != nil {
		return nil, err
	}
	return history.Find(names[i].id)
}
