package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// openTimeout bounds the wait for another process's transaction, which takes
// milliseconds. bbolt waits for ever when it is zero.
const openTimeout = 5 * time.Second

// BusyError says that another process kept the journal to itself.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("journal %s is in use by another process", e.Path)
}

// DamagedError says that the file is not a journal that can be trusted.
type DamagedError struct {
	Path   string
	Reason string
	// Backup is the newest backup that is whole; empty if there is none.
	Backup string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("journal %s is damaged: %s", e.Path, e.Reason)
}

// damagedf is one whose path and backup are yet to be told.
func damagedf(format string, args ...any) error {
	return &DamagedError{Reason: fmt.Sprintf(format, args...)}
}

// options are bbolt's. A read-only open takes a shared lock, so that readers
// do not shut each other out.
func options(readOnly bool) *bbolt.Options {
	return &bbolt.Options{Timeout: openTimeout, ReadOnly: readOnly}
}

// with opens the database, checks its pages and schema, runs fn and closes it.
func (j *Journal) with(readOnly bool, fn func(*bbolt.DB) error) error {
	return j.diagnose(j.guarded(readOnly, func(db *bbolt.DB) error {
		if err := j.checkSchema(db); err != nil {
			return err
		}
		return fn(db)
	}))
}

// caught runs what uses bbolt, and returns what it panicked with, if it did. A
// disk that does not give out what is in a file, or a file that is cut short
// while it is in use, is a fault in memory that bbolt has mapped.
func caught(fn func() error) (panicked string, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if fault, ok := r.(interface{ Addr() uintptr }); ok {
			panicked = fmt.Sprintf("the disk does not give out what is in it, or it was cut short while in use (fault at %#x)", fault.Addr())
		} else if r != nil {
			panicked = fmt.Sprint(r)
		}
	}()
	return "", fn()
}

// guarded turns into an error what is left of a damaged file's power over
// bbolt once its pages have been checked.
func (j *Journal) guarded(readOnly bool, fn func(*bbolt.DB) error) error {
	var file *os.File
	defer func() {
		if file != nil {
			// After a panic, the map that bbolt has left keeps the file open, and so
			// locked. After none, it is closed already.
			_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
			file.Close()
		}
	}()
	// A pipe would be waited for, and a folder can be opened.
	if info, err := os.Stat(j.path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return damagedf("it is no file")
	}
	o := options(readOnly)
	o.OpenFile = func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
		file, err = j.openFile(name, flag, mode, readOnly)
		return file, err
	}
	panicked, err := caught(func() error {
		db, err := bbolt.Open(j.path, 0o600, o)
		if err != nil {
			return err
		}
		// Not deferred: where fn panics, bbolt may be left holding a lock of its own
		// that Close waits for, for ever. The map is left to the end of the process.
		err = fn(db)
		if err == nil && !readOnly {
			j.keepState(file)
		}
		return errors.Join(err, db.Close())
	})
	if panicked != "" {
		return damagedf("%s", panicked)
	}
	return err
}

// openFile opens the file for bbolt, with the lock that bbolt is about to ask
// for on the same open file, which it will be granted at once, and lets only
// whole pages through. Without the lock another process's commit could be seen
// half done; after bbolt has opened a damaged file it is too late.
func (j *Journal) openFile(name string, flag int, mode fs.FileMode, readOnly bool) (*os.File, error) {
	// bbolt would make a new, empty database of a file that has just gone.
	file, err := os.OpenFile(name, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if err = j.lock(file, readOnly); err == nil {
		err = j.checkPages(file)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (j *Journal) lock(file *os.File, shared bool) error {
	how := syscall.LOCK_EX | syscall.LOCK_NB
	if shared {
		how = syscall.LOCK_SH | syscall.LOCK_NB
	}
	for until := time.Now().Add(openTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(int(file.Fd()), how)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if time.Now().After(until) {
			return &BusyError{Path: j.path}
		}
	}
}

// diagnose gives errors of the file the types that callers act on, and looks
// for the backup to go back to.
func (j *Journal) diagnose(err error) error {
	var (
		chain   *ChainError
		damaged *DamagedError
		busy    *BusyError
		path    *fs.PathError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &damaged):
		damaged.Path = j.path
		damaged.Backup, _ = newestBackup(j.path)
		return damaged
	case errors.As(err, &chain):
		chain.Path = j.path
		chain.Backup, _ = newestBackup(j.path)
		return chain
	case errors.As(err, &busy):
		return busy
	case errors.As(err, &path):
		return fmt.Errorf("journal: %w", err)
	}
	return fmt.Errorf("journal %s: %w", j.path, err)
}
