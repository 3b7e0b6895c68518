package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A journal that is gone is not the same as one that never was: what is left
// around it tells. Only where nothing tells of a history does a new one begin.
func TestLostJournalIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		leave func(t *testing.T, j *Journal)
		lost  bool
	}{
		"nothing is left":   {leave: func(*testing.T, *Journal) {}},
		"a claim is left":   {leave: func(t *testing.T, j *Journal) { _, release := acquire(t, j); release() }},
		"an empty logs/":    {leave: func(t *testing.T, j *Journal) { mustMkdir(t, filepath.Join(filepath.Dir(j.path), "logs")) }},
		"an empty backups/": {leave: func(t *testing.T, j *Journal) { mustMkdir(t, backupDir(j.path)) }},
		"half a first file": {leave: func(t *testing.T, j *Journal) { mustWriteFile(t, j.path+".1.new", noise(100)) }},
		"half a first backup": {leave: func(t *testing.T, j *Journal) {
			mustWriteFile(t, filepath.Join(backupDir(j.path), "20261122-183229.123.db.1.new"), noise(100))
		}},
		"output is left": {lost: true, leave: func(t *testing.T, j *Journal) {
			f, err := j.Output("20261122-183229-dc8876b", "sync", 1)
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}},
		"a backup is left": {lost: true, leave: func(t *testing.T, j *Journal) {
			mustAppend(t, j, Event{Promotion: "p", Kind: Note})
			if err := errors.Join(j.Backup(), os.Remove(j.path)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := fresh(t)
			c.leave(t, j)
			_, promotions := j.Promotions()
			_, events := j.Events("p")
			_, histories := j.Histories(1)
			_, head := j.Head()
			_, _, at := j.At(1)
			for what, err := range map[string]error{
				"Promotions": promotions, "Events": events, "Histories": histories, "Head": head, "At": at,
				"Verify": readOne(j), "Append": appendOne(j),
			} {
				var damaged *DamagedError
				if c.lost != errors.As(err, &damaged) || !c.lost && err != nil {
					t.Errorf("%s: got %T (%v); lost: %v", what, err, err, c.lost)
				}
			}
			if _, err := os.Stat(j.path); c.lost != errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file: %v; lost: %v", err, c.lost)
			}
		})
	}
}

// What cannot be looked at is not taken for nothing: a history may be there.
func TestLostJournalThatCannotBeLookedForIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"backups", "logs"} {
		j := fresh(t)
		mustWriteFile(t, filepath.Join(filepath.Dir(j.path), name), []byte("no folder"))
		if err := appendOne(j); err == nil {
			t.Errorf("a journal was begun though %s/ could not be read", name)
		}
		if err := readOne(j); err == nil {
			t.Errorf("an empty history was read though %s/ could not be read", name)
		}
	}
}

// Whatever is wrong with the journal, the backup to go back to is named.
func TestLostRecordNamesTheNewestSoundBackup(t *testing.T) {
	t.Parallel()
	j, backups := backedUp(t, 3)
	spoil(t, j.path, 2)
	spoil(t, backups[2], 1)
	_, events := j.Events("p")
	for what, err := range map[string]error{"Verify": readOne(j), "Events": events, "Backup": j.Backup()} {
		var chain *ChainError
		if !errors.As(err, &chain) || chain.Backup != backups[1] || chain.Seq != 2 {
			t.Errorf("%s: got %T (%+v), want a *ChainError for record 2 naming %s", what, err, err, backups[1])
		}
	}
	spoil(t, j.path, 3)
	var chain *ChainError
	if err := appendOne(j); !errors.As(err, &chain) || chain.Backup != backups[1] {
		t.Errorf("Append: got %T (%+v), want a *ChainError naming %s", err, err, backups[1])
	}
}

func mustMkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
}
