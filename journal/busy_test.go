package journal

import (
	"errors"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// A transaction takes milliseconds. Whoever keeps the file longer is waited for
// a while, not for ever, and then named as the reason.
func TestBusyJournalIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	// All at once: each of them waits for seconds.
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, c := range map[string]struct {
		besideReader bool
		act          func(j *Journal) error
		busy         bool
	}{
		"append beside a writer": {act: appendOne, busy: true},
		"append beside a reader": {besideReader: true, act: appendOne, busy: true},
		"read beside a writer":   {act: readOne, busy: true},
		"backup beside a writer": {act: (*Journal).Backup, busy: true},
		"read beside a reader":   {besideReader: true, act: readOne},
		"backup beside a reader": {besideReader: true, act: (*Journal).Backup},
	} {
		j := fresh(t)
		mustAppend(t, j, Event{Promotion: "p", Kind: Note})
		other, err := bbolt.Open(j.path, 0o600, options(c.besideReader))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer other.Close()
			started := time.Now()
			err := c.act(j)
			waited := time.Since(started)
			if !c.busy {
				if err != nil {
					t.Errorf("%s: got %v", name, err)
				}
				return
			}
			var busy *BusyError
			if !errors.As(err, &busy) || busy.Path != j.path {
				t.Errorf("%s: got %T (%v), want a *BusyError", name, err, err)
			}
			if waited < openTimeout/2 || waited > 2*openTimeout {
				t.Errorf("%s: waited %s, want about %s", name, waited, openTimeout)
			}
			// Once the other one is gone, all is as before.
			if err := other.Close(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := c.act(j); err != nil {
				t.Errorf("%s: after the other one has gone: %v", name, err)
			}
		})
	}
}

func readOne(j *Journal) error {
	_, err := j.Verify()
	return err
}

func appendOne(j *Journal) error {
	_, err := j.Append(Event{Promotion: "p", Kind: Note})
	return err
}

// A writer that is done in time is waited for.
func TestBusyJournalIsWaitedFor(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	other, err := bbolt.Open(j.path, 0o600, options(false))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, func() { other.Close() })
	if ev := mustAppend(t, j, Event{Promotion: "p", Kind: Note}); ev.Seq != 2 {
		t.Errorf("the event has number %d", ev.Seq)
	}
}
