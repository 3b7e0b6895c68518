package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// backupsKept is how many consistent copies stay beside the journal.
const backupsKept = 10

func backupDir(path string) string { return filepath.Join(filepath.Dir(path), "backups") }

// A journal beyond largeJournal bytes is backed up once in largePause: to look at
// all of it and to copy it takes seconds, which is much after each promotion. What
// was recorded since is in the ledgers of the targets.
const (
	largeJournal = 64 << 20
	largePause   = 24 * time.Hour
)

// Backup writes a consistent copy of the journal into backups/ beside it and
// removes the oldest beyond ten. Call it after a promotion has ended; of a large
// journal there is a copy of each day only.
func (j *Journal) Backup() error {
	if early, err := j.early(); early || err != nil {
		return err
	}
	// A damaged copy would in time push out the backups that are whole.
	if _, err := j.Verify(); err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
	err := j.reading(func(p *pages) error { return j.copyTo(p, backupName(j.now(), "")) })
	if err != nil {
		return fmt.Errorf("back up the journal: %w", err)
	}
	return prune(backupDir(j.path))
}

// early reports whether the journal is large, and was backed up a while ago.
func (j *Journal) early() (bool, error) {
	info, err := os.Stat(j.path)
	if err != nil || info.Size() < largeJournal {
		return false, nil //nolint:nilerr // Backup itself will meet it
	}
	names, err := backups(backupDir(j.path))
	if err != nil {
		return false, err
	}
	names = slices.DeleteFunc(names, isOld)
	if len(names) == 0 {
		return false, nil
	}
	made, err := time.Parse(backupTime, strings.TrimSuffix(filepath.Base(names[len(names)-1]), ".db"))
	since := j.now().Sub(made)
	// A name that is none, or of a time to come, is no reason to wait.
	return err == nil && since >= 0 && since < largePause, nil
}

const backupTime = "20060102-150405.000"

// backupName is that of a copy whose last event is from before at, so that the
// backups' names sort as their content does.
func backupName(at time.Time, suffix string) string {
	return at.UTC().Format(backupTime) + suffix + ".db"
}

// copyTo writes a copy of the file into the backups' folder. It has its name
// only once it is on disk in whole.
func (j *Journal) copyTo(p *pages, name string) error {
	dir := backupDir(j.path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, name+".*.new")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then, if all went well
	_, err = io.Copy(f, io.NewSectionReader(p.file, 0, int64(p.high*p.pageSize)))
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

func isOld(backup string) bool { return strings.Contains(filepath.Base(backup), oldSchema) }

// keepOld copies a file of an older schema before it is upgraded, for good:
// whoever has to go back to the older rel needs a file that it can read. It is
// named after the last event, so that an upgrade that has to be tried again
// leaves one copy.
func (j *Journal) keepOld(p *pages, s standing) error {
	if s.last.Seq == 0 {
		return nil
	}
	if err := j.copyTo(p, backupName(s.last.At, fmt.Sprint(oldSchema, s.schema))); err != nil {
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
	names = slices.DeleteFunc(names, isOld)
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
