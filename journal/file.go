package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// create makes the file of an empty journal under a temporary name and moves
// it into place, since bbolt's first file can be lost to a power cut.
func (j *Journal) create() error {
	if _, err := os.Stat(j.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(j.path)
	if err := j.lost(); err != nil {
		return err
	}
	if err := makeDir(dir); err != nil {
		return fmt.Errorf("make the journal's folder: %w", err)
	}
	f, err := os.CreateTemp(dir, filepath.Base(j.path)+".*.new")
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	temporary := f.Name()
	defer os.Remove(temporary)
	f.Close()
	panicked, err := caught(func() error {
		db, err := bbolt.Open(temporary, 0o600, &bbolt.Options{Timeout: openTimeout})
		if err != nil {
			return err
		}
		return errors.Join(db.Update(initialize), db.Close())
	})
	if panicked != "" {
		err = errors.New(panicked)
	}
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	// Link, not rename: of two first events at once, one file must win and
	// neither may replace the other's history.
	if err := os.Link(temporary, j.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the journal: %w", err)
	}
	return nil // the folder is synced before the first event is
}

// lost tells a journal that is gone from one that never was: its backups are
// still there, or what its hosts printed. Without this a history would start
// anew in silence. run.lock tells of none: it is there before the first event.
func (j *Journal) lost() error {
	names, err := backups(backupDir(j.path))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if len(names) > 0 {
		backup, _ := newestBackup(j.path)
		return &DamagedError{Path: j.path, Reason: "the file is gone, though its backups are there", Backup: backup}
	}
	logs, err := os.ReadDir(filepath.Join(filepath.Dir(j.path), "logs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("journal: %w", err)
	}
	if len(logs) > 0 {
		return &DamagedError{Path: j.path, Reason: fmt.Sprintf("the file is gone, though the output of %d promotions is there", len(logs))}
	}
	return nil
}

// makeDir makes a folder with those above it, each of which is synced: a folder
// whose name is lost takes all that is in it along.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if err := makeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
