package journal

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// Notes come from several goroutines at once, one for each host.
func TestWritersInOneProcess(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustAppend(t, j, Event{Promotion: "p", Kind: Opened})
	const writers, each = 4, 6
	var wg sync.WaitGroup
	recorded := make([][]Event, writers)
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				ev, err := j.Append(Event{Promotion: fmt.Sprint("p", w), Kind: Note, Text: fmt.Sprint(n)})
				if err != nil {
					t.Error(err)
					return
				}
				recorded[w] = append(recorded[w], ev)
			}
		})
	}
	wg.Wait()
	got := mustRead(t, j)
	if got.Head.Seq != 1+writers*each {
		t.Errorf("%d events, want %d", got.Head.Seq, 1+writers*each)
	}
	for w := range writers {
		equal(t, fmt.Sprintf("events of writer %d", w), got.Events[fmt.Sprint("p", w)], recorded[w])
	}
}

// Two processes that each write the first event make one journal, and neither
// replaces the other's.
func TestWritersInTwoProcesses(t *testing.T) {
	t.Parallel()
	for range 3 {
		j := fresh(t)
		first, second := spawn(t, "burst", j, "p1"), spawn(t, "burst", j, "p2")
		// Both are up and wait; this lets them go at the same time.
		if err := first.in.Close(); err != nil {
			t.Fatal(err)
		}
		if err := second.in.Close(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*child{first, second} {
			if err := c.Wait(); err != nil {
				t.Errorf("a writer failed: %v", err)
			}
		}
		got := mustRead(t, j)
		if got.Head.Seq != 2*burst || len(got.Events["p1"]) != burst || len(got.Events["p2"]) != burst {
			t.Errorf("%d events, %d and %d of the two writers; want %d each",
				got.Head.Seq, len(got.Events["p1"]), len(got.Events["p2"]), burst)
		}
		for id, events := range got.Events {
			for n, ev := range events {
				if ev.Text != fmt.Sprint(n) {
					t.Errorf("event %d of %s is %q", n, id, ev.Text)
				}
			}
		}
	}
}

// `rel log` answers while a promotion runs, and always reads a whole history.
func TestWriterDoesNotShutReadersOut(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustAppend(t, j, Event{Promotion: "p", Kind: Opened})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			if err := appendOne(j); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	started, reads := time.Now(), 0
	for running := true; running; reads++ {
		select {
		case <-done:
			running = false
		default:
		}
		if _, err := New(j.path).Verify(); err != nil {
			t.Errorf("read beside a writer: %v", err)
		}
	}
	if waited := time.Since(started); reads < 2 || waited > time.Duration(reads)*openTimeout {
		t.Errorf("%d reads in %s", reads, waited)
	}
}
