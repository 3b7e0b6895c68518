package journal

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

// A journal's methods may be called by several goroutines, also when there is
// no file yet.
func TestWritersOfTheFirstEventInOneProcess(t *testing.T) {
	t.Parallel()
	for range 10 {
		j := fresh(t)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := appendOne(j); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := mustRead(t, j).Head.Seq; got != 4 {
			t.Errorf("%d events, want 4", got)
		}
	}
}

// What is shown is what was recorded, also where the record is not the caller's
// value byte for byte.
func TestEventReturnedIsTheRecord(t *testing.T) {
	t.Parallel()
	for name, ev := range map[string]Event{
		"data with spaces": {Promotion: "p", Kind: Note, Data: json.RawMessage(`{ "a": 1 }`)},
		"data with <":      {Promotion: "p", Kind: Note, Data: json.RawMessage(`{"a":"<"}`)},
	} {
		j := fresh(t)
		recorded := mustAppend(t, j, ev)
		equal(t, name, mustRead(t, j).Events["p"], []Event{recorded})
	}
}

// The home of an operator may be called anything.
func TestBackupInAFolderWithPatternCharacters(t *testing.T) {
	t.Parallel()
	j := New(filepath.Join(t.TempDir(), "[a-b]*", "journal.db"))
	for range backupsKept + 2 {
		mustAppend(t, j, Event{Promotion: "p", Kind: Note})
		if err := j.Backup(); err != nil {
			t.Fatal(err)
		}
	}
	names := backupsOf(t, j)
	if len(names) > backupsKept {
		t.Errorf("%d backups", len(names))
	}
	mustWriteFile(t, j.path, []byte("not a journal"))
	var damaged *DamagedError
	if _, err := j.Verify(); !errors.As(err, &damaged) || damaged.Backup != names[len(names)-1] {
		t.Errorf("got %T (%+v), want a *DamagedError naming %s", err, err, names[len(names)-1])
	}
}

// Damage is not copied over the backups that are whole.
func TestBackupOfADamagedJournalIsRefused(t *testing.T) {
	t.Parallel()
	j, before := backedUp(t, 3)
	edit(t, j.path, func(tx *bbolt.Tx) error {
		return rewrite(tx.Bucket(bucketEvents), 1, func(ev *Event) { ev.Text = "forged" }, false)
	})
	if err := j.Backup(); err == nil {
		t.Error("a damaged journal was backed up")
	}
	equal(t, "backups", backupsOf(t, j), before)
}

// Also a backup that is not whole says that there was a history.
func TestDamagedBackupsWithoutTheirJournalAreDamage(t *testing.T) {
	t.Parallel()
	j, backups := backedUp(t, 1)
	mustWriteFile(t, backups[0], noise(1000))
	if err := os.Remove(j.path); err != nil {
		t.Fatal(err)
	}
	var damaged *DamagedError
	if err := appendOne(j); !errors.As(err, &damaged) || damaged.Backup != "" {
		t.Errorf("got %T (%v), want a *DamagedError without a backup", err, err)
	}
}
