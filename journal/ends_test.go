package journal

import (
	"errors"
	"testing"
)

// The first and the last event are had without those between, of as many promotions as
// are asked for.
func TestEndsReadNothingBetween(t *testing.T) {
	t.Parallel()
	j := chronicle(t, 60)
	ids, err := j.Last(2)
	if err != nil {
		t.Fatal(err)
	}
	firsts, err := j.Firsts(ids)
	if err != nil {
		t.Fatal(err)
	}
	lasts, err := j.Lasts(ids)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		events, err := j.Events(id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "first of "+id, firsts[i], events[0])
		equal(t, "last of "+id, lasts[i], events[len(events)-1])
	}
	before := j.reads.Load()
	if _, err := j.Lasts(ids[1:]); err != nil {
		t.Fatal(err)
	}
	few := j.reads.Load() - before
	if _, err := j.Events(ids[1]); err != nil {
		t.Fatal(err)
	}
	if all := j.reads.Load() - before - few; few >= all {
		t.Errorf("%d pages were read for one event, %d for all of them", few, all)
	}
	for _, ends := range []func([]string) ([]Event, error){j.Firsts, j.Lasts} {
		var damaged *DamagedError
		if _, err := ends([]string{"of no promotion"}); !errors.As(err, &damaged) {
			t.Errorf("one that is gone: %v", err)
		}
	}
	if list, err := New(j.path + ".none").Firsts(nil); err != nil || len(list) != 0 {
		t.Errorf("of no journal: %v, %v", list, err)
	}
}
