package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// backedUp is a journal with n backups, an hour and an event apart. It has no
// cleanup: the tests damage it.
func backedUp(t *testing.T, n int) (j *Journal, backups []string) {
	t.Helper()
	j = New(filepath.Join(t.TempDir(), "app", "journal.db"))
	for i := range n {
		j.now = func() time.Time { return someday.Add(time.Duration(i) * time.Hour) }
		mustAppend(t, j, Event{Promotion: "p", Kind: Note, Text: fmt.Sprint(i)})
		if err := j.Backup(); err != nil {
			t.Fatal(err)
		}
	}
	return j, backupsOf(t, j)
}

func backupsOf(t *testing.T, j *Journal) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(filepath.Dir(j.path), "backups"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, filepath.Join(filepath.Dir(j.path), "backups", e.Name()))
	}
	return names
}

func TestBackupIsTheWholeJournal(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	j.now = func() time.Time { return someday }
	fill(t, j, 20)
	if err := j.Backup(); err != nil {
		t.Fatal(err)
	}
	names := backupsOf(t, j)
	if len(names) != 1 || filepath.Base(names[0]) != "20261122-183229.123.db" {
		t.Fatalf("backups: %v, want one named after its UTC time", names)
	}
	checkSound(t, names[0])
	equal(t, "backup", mustRead(t, New(names[0])), mustRead(t, j))
	if info, err := os.Stat(names[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup has mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(names[0])); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder has mode %v, %v", info.Mode(), err)
	}
}

// The journal grows, its backups must not: the ten newest stay.
func TestBackupsAreTen(t *testing.T) {
	t.Parallel()
	j, names := backedUp(t, 12)
	if len(names) != 10 {
		t.Fatalf("%d backups: %v", len(names), names)
	}
	for i, name := range names {
		head, err := New(name).Verify()
		if err != nil || head.Seq != int64(i+3) {
			t.Errorf("backup %d has %d events, %v, want %d", i, head.Seq, err, i+3)
		}
	}
	if head, err := j.Verify(); err != nil || head.Seq != 12 {
		t.Errorf("the journal itself has %d events, %v", head.Seq, err)
	}
}

// There is nothing to copy before the first event, and a half-made copy would
// be taken for a backup.
func TestBackupOfNothingLeavesNothing(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	if err := j.Backup(); err == nil {
		t.Error("a journal that does not exist was backed up")
	}
	if names := backupsOf(t, j); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if _, err := os.Stat(j.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal was made: %v", err)
	}
}

// The operator is told which backup to go back to: the newest that is whole,
// not simply the newest.
func TestBackupNamedByDamageIsTheNewestWholeOne(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(t *testing.T, path string){
		"cut short": func(t *testing.T, path string) { mustWriteFile(t, path, mustReadFile(t, path)[:9000]) },
		"empty":     func(t *testing.T, path string) { mustWriteFile(t, path, nil) },
		"noise":     func(t *testing.T, path string) { mustWriteFile(t, path, noise(40000)) },
		"rewritten": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				return rewrite(tx.Bucket(bucketEvents), 1, func(ev *Event) { ev.Text = "forged" }, false)
			})
		},
		"of a newer rel": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keySchema, fmt.Append(nil, Schema+1)) })
		},
	}
	for name, spoil := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, backups := backedUp(t, 3)
			mustWriteFile(t, j.path, []byte("not a journal"))
			for spoilt := 0; spoilt <= 3; spoilt++ {
				want := ""
				if spoilt < 3 {
					want = backups[2-spoilt]
				}
				_, read := j.Verify()
				_, appended := j.Append(Event{Promotion: "p", Kind: Note})
				for what, err := range map[string]error{"Verify": read, "Append": appended} {
					var damaged *DamagedError
					if !errors.As(err, &damaged) || damaged.Backup != want {
						t.Errorf("%s with %d spoilt backups: got %T (%+v), want a *DamagedError naming %q", what, spoilt, err, err, want)
					}
				}
				if spoilt < 3 {
					spoil(t, backups[2-spoilt])
				}
			}
		})
	}
}

// A journal that is gone while its backups are there was lost: beginning a new
// history would hide that, and start numbers and hashes anew.
func TestBackupsWithoutTheirJournalAreDamage(t *testing.T) {
	t.Parallel()
	j, backups := backedUp(t, 2)
	if err := os.Remove(j.path); err != nil {
		t.Fatal(err)
	}
	_, promotions := j.Promotions()
	_, events := j.Events("p")
	_, histories := j.Histories(1)
	_, verify := j.Verify()
	for what, err := range map[string]error{
		"Promotions": promotions, "Events": events, "Histories": histories, "Verify": verify, "Append": appendOne(j),
	} {
		var damaged *DamagedError
		if !errors.As(err, &damaged) || damaged.Backup != backups[1] || damaged.Path != j.path {
			t.Errorf("%s: got %T (%v), want a *DamagedError naming %s", what, err, err, backups[1])
		}
	}
	if _, err := os.Stat(j.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new journal was made: %v", err)
	}

	// Copying the backup back is all there is to do.
	mustWriteFile(t, j.path, mustReadFile(t, backups[1]))
	if ev := mustAppend(t, j, Event{Promotion: "p", Kind: Note}); ev.Seq != 3 {
		t.Errorf("after going back to the backup, the next event has number %d, want 3", ev.Seq)
	}
	checkSound(t, j.path)
}

// To copy a large journal takes seconds: once a day is enough.
func TestBackupOfALargeJournalIsMadeOnceADay(t *testing.T) {
	t.Parallel()
	j, _ := backedUp(t, 1)
	if err := os.Truncate(j.path, largeJournal); err != nil { // bbolt's files have room to grow
		t.Fatal(err)
	}
	from := someday
	for _, c := range []struct {
		after   time.Duration
		backups int
	}{{0, 1}, {time.Hour, 1}, {23 * time.Hour, 1}, {25 * time.Hour, 2}, {48 * time.Hour, 2}, {50 * time.Hour, 3}, {-100 * time.Hour, 4}} {
		j.now = func() time.Time { return from.Add(c.after) }
		if err := j.Backup(); err != nil {
			t.Fatal(err)
		}
		if names := backupsOf(t, j); len(names) != c.backups {
			t.Errorf("after %s there are %d backups, want %d: %v", c.after, len(names), c.backups, names)
		}
	}
	for _, name := range backupsOf(t, j) {
		checkSound(t, name)
		if info, err := os.Stat(name); err != nil || info.Size() > 1<<20 {
			t.Errorf("the copy has what the file has beyond its pages: %d bytes, %v", info.Size(), err)
		}
	}
}
