package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// backupsKept is how many consistent copies stay beside the journal.
const backupsKept = 10

func backupDir(path string) string { return filepath.Join(filepath.Dir(path), "backups") }

// Backup writes a consistent copy of the journal into backups/ beside it and
// removes the oldest beyond ten. Call it after a promotion has ended.
func (j *Journal) Backup() error {
	// A damaged copy would in time push out the backups that are whole.
	if _, err := j.Verify(); err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
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

// backups are the backups' files, oldest first; not with filepath.Glob, to
// which a folder's name may be a pattern.
func backups(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".db" {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

func prune(dir string) error {
	names, err := backups(dir)
	if err != nil {
		return err
	}
	for len(names) > backupsKept {
		err = errors.Join(err, os.Remove(names[0]))
		names = names[1:]
	}
	return err
}

// newestBackup finds the newest backup of the journal at path whose whole
// chain is sound, or nothing.
func newestBackup(path string) (string, error) {
	names, err := backups(backupDir(path))
	if err != nil {
		return "", err
	}
	for _, name := range slices.Backward(names) {
		backup := &Journal{path: name, now: time.Now}
		// A backup's own backups are not looked for: its folder has none.
		if _, err := backup.Verify(); err == nil {
			return name, nil
		}
	}
	return "", nil
}
