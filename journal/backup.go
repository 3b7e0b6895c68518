package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	err := j.with(true, func(db *bbolt.DB) error {
		return db.View(func(tx *bbolt.Tx) error { return j.copyTo(tx, backupName(j.now(), "")) })
	})
	if err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
	return prune(backupDir(j.path))
}

// backupName is that of a copy whose last event is from before at, so that the
// backups' names sort as their content does.
func backupName(at time.Time, suffix string) string {
	return at.UTC().Format("20060102-150405.000") + suffix + ".db"
}

// copyTo writes a copy of the file into the backups' folder. It has its name
// only once it is on disk in whole.
func (j *Journal) copyTo(tx *bbolt.Tx, name string) error {
	dir := backupDir(j.path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then, if all went well
	_, err = tx.WriteTo(f)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

// oldSchema marks the copies that an upgrade leaves of the file as it was.
const oldSchema = ".schema"

// keepOld copies a file of an older schema before it is upgraded, for good:
// whoever has to go back to the older rel needs a file that it can read. It is
// named after the last event, so that an upgrade that has to be tried again
// leaves one copy.
func (j *Journal) keepOld(tx *bbolt.Tx) error {
	version, err := schemaOf(tx)
	if err != nil || version == Schema {
		return err
	}
	last, err := lastEvent(tx)
	if err != nil || last.Seq == 0 {
		return err
	}
	if err := j.copyTo(tx, backupName(last.At, fmt.Sprint(oldSchema, version))); err != nil {
		return fmt.Errorf("back up the journal before its upgrade: %w", err)
	}
	return nil
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

// prune removes the oldest backups beyond ten; those of an upgrade stay.
func prune(dir string) error {
	names, err := backups(dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.Contains(filepath.Base(name), oldSchema)
	})
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
