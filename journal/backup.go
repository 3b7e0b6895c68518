package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"

	"go.etcd.io/bbolt"
)

// backupsKept is how many consistent copies stay beside the journal.
const backupsKept = 10

func backupDir(path string) string { return filepath.Join(filepath.Dir(path), "backups") }

// Backup writes a consistent copy of the journal into backups/ beside it and
// removes the oldest beyond ten. Call it after a promotion has ended.
func (j *Journal) Backup() error {
	dir := backupDir(j.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
	name := filepath.Join(dir, j.now().UTC().Format("20060102-150405.000")+".db")
	if err := j.copyTo(name + ".new"); err != nil {
		os.Remove(name + ".new")
		return fmt.Errorf("back up the journal: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
	return errors.Join(syncDir(dir), prune(dir))
}

func (j *Journal) copyTo(name string) error {
	return j.with(true, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) (err error) {
			f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			_, err = tx.WriteTo(f)
			return errors.Join(err, f.Sync(), f.Close())
		})
	})
}

func prune(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil {
		return err
	}
	sort.Strings(names)
	for len(names) > backupsKept {
		err = errors.Join(err, os.Remove(names[0]))
		names = names[1:]
	}
	return err
}

// newestBackup finds the newest backup of the journal at path whose whole
// chain is sound, or nothing.
func newestBackup(path string) (string, error) {
	names, err := filepath.Glob(filepath.Join(backupDir(path), "*.db"))
	if err != nil {
		return "", err
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	for _, name := range names {
		backup := &Journal{path: name, now: time.Now}
		// A backup's own backups are not looked for: its folder has none.
		if _, err := backup.Verify(); err == nil {
			return name, nil
		}
	}
	return "", nil
}
