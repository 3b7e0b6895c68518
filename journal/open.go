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

// reading opens the file for who only reads. Of the file no more is read than fn
// asks for, and of its schema.
func (j *Journal) reading(fn func(*pages) error) error {
	return j.diagnose(j.opened(os.O_RDONLY, func(file *os.File) error {
		p, err := j.pages(file)
		if err != nil {
			return err
		}
		defer func() { j.reads.Add(int64(p.reads)) }()
		return fn(p)
	}))
}

// writing opens the file for one transaction: before gets to see the file as it
// is, which is whole, and fn is bbolt's update.
func (j *Journal) writing(before func(*pages) error, fn func(*bbolt.Tx) error) error {
	return j.diagnose(j.opened(os.O_RDWR, func(file *os.File) error {
		p, err := j.pages(file)
		if err != nil {
			return err
		}
		defer func() { j.reads.Add(int64(p.reads)) }()
		if err := j.checkWhole(file, p); err != nil {
			return err
		}
		if err := before(p); err != nil {
			return err
		}
		o := &bbolt.Options{Timeout: openTimeout}
		// The lock that bbolt asks for is the one on this file, which is ours.
		o.OpenFile = func(string, int, fs.FileMode) (*os.File, error) { return file, nil }
		db, err := bbolt.Open(j.path, 0o600, o)
		if err != nil {
			return err
		}
		// Not deferred: where fn panics, bbolt may be left holding a lock of its own
		// that Close waits for, for ever. The map is left to the end of the process.
		err = db.Update(fn)
		if err == nil {
			j.keepWritten(file)
		}
		return errors.Join(err, db.Close())
	}))
}

// pages are those of the open file, if it is a journal that this package knows.
func (j *Journal) pages(file *os.File) (*pages, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, damagedf("the file is empty")
	}
	p, err := readPages(file, info.Size())
	if err != nil {
		return nil, err
	}
	return p, j.checkSchema(p)
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

// opened opens the file with the lock that bbolt would ask for, and turns into an
// error what is left of a damaged file's power over bbolt. Without the lock another
// process's commit could be seen half done.
func (j *Journal) opened(flag int, fn func(*os.File) error) error {
	// A pipe would be waited for, and a folder can be opened.
	if info, err := os.Stat(j.path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return damagedf("it is no file")
	}
	file, err := os.OpenFile(j.path, flag, 0)
	if err != nil {
		return err
	}
	defer func() {
		// After a panic, the map that bbolt has left keeps the file open, and so
		// locked. After none, bbolt has closed it already.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		file.Close()
	}()
	if err := j.lock(file, flag == os.O_RDONLY); err != nil {
		return err
	}
	panicked, err := caught(func() error { return fn(file) })
	if panicked != "" {
		return damagedf("%s", panicked)
	}
	return err
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
