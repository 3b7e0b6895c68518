package journal

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// What a target's ledger holds of the journal is a head; the journal tells
// whether it is still its own, and whether it still has the event.
func TestHeadIsTheLastEvent(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	if head, err := j.Head(); err != nil || head != (Head{}) {
		t.Errorf("before the first event: %+v, %v", head, err)
	}
	if _, err := os.Stat(j.path); err == nil {
		t.Error("asking made a journal")
	}
	events := fill(t, j, 5)
	var id string
	for i, want := range events {
		got, found, err := j.At(int64(i + 1))
		if err != nil || !found {
			t.Fatalf("event %d: %v, %v", i+1, found, err)
		}
		equal(t, "event", got, want)
		if id == "" {
			id = mustRead(t, j).Head.Journal
		}
	}
	for _, seq := range []int64{-1, 0, 6, 1 << 62} {
		if ev, found, err := j.At(seq); found || err != nil {
			t.Errorf("event %d is %+v, %v", seq, ev, err)
		}
	}
	want := Head{Journal: id, Seq: 5, Hash: events[4].Hash}
	if head, err := j.Head(); err != nil || head != want || len(id) != 32 {
		t.Errorf("Head() = %+v, %v, want %+v", head, err, want)
	}
	if head, err := j.Verify(); err != nil || head != want {
		t.Errorf("Verify() = %+v, %v, want %+v", head, err, want)
	}
}

// Two journals are never taken for one another; a backup is the journal itself.
func TestHeadTellsJournalsApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5 {
		j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
		mustAppend(t, j, Event{Promotion: "p", Kind: Note})
		head, err := j.Head()
		if err != nil || seen[head.Journal] {
			t.Errorf("the id %q is another journal's, %v", head.Journal, err)
		}
		seen[head.Journal] = true
		if err := j.Backup(); err != nil {
			t.Fatal(err)
		}
		if backup, err := New(backupsOf(t, j)[0]).Head(); err != nil || backup != head {
			t.Errorf("the backup's head is %+v, %v, want %+v", backup, err, head)
		}
	}
}

// Head is asked before every step on a target: it looks at the end alone.
func TestHeadIsNotTheWholeChain(t *testing.T) {
	t.Parallel()
	j := broken(t)
	edit(t, j.path, func(tx *bbolt.Tx) error {
		return rewrite(tx.Bucket(bucketEvents), 3, func(ev *Event) { ev.Text = "forged" }, false)
	})
	if head, err := j.Head(); err != nil || head.Seq != 20 {
		t.Errorf("Head() = %+v, %v", head, err)
	}
	if _, err := j.Verify(); err == nil {
		t.Error("the forged record was not found")
	}
}
