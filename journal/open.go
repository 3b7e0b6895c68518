package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Schema is the version of the bucket tree that this package writes. A file
// of a newer version is refused, one of an older is upgraded step by step.
const Schema = 1

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

// NewerError says that the file was written by a newer rel.
type NewerError struct {
	Path   string
	Schema int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("journal %s has schema %d; this rel knows up to %d", e.Path, e.Schema, Schema)
}

// ChainError names the first record that is not what was once written.
type ChainError struct {
	Seq    int64
	Reason string
}

func (e *ChainError) Error() string {
	if e.Seq == 0 {
		return "a record is damaged: " + e.Reason
	}
	return fmt.Sprintf("record %d is damaged: %s", e.Seq, e.Reason)
}

// options are bbolt's. A read-only open takes a shared lock, so that readers
// do not shut each other out.
func options(readOnly bool) *bbolt.Options {
	return &bbolt.Options{Timeout: openTimeout, ReadOnly: readOnly}
}

// with opens the database, checks its schema, runs fn and closes it again.
func (j *Journal) with(readOnly bool, fn func(*bbolt.DB) error) error {
	return j.diagnose(guarded(j.path, readOnly, func(db *bbolt.DB) error {
		if err := j.checkSchema(db); err != nil {
			return err
		}
		return fn(db)
	}))
}

// guarded turns what bbolt does to a truncated or damaged file, a panic or a
// memory fault, into an error.
func guarded(path string, readOnly bool, fn func(*bbolt.DB) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &DamagedError{Path: path, Reason: fmt.Sprint(r)}
		}
	}()
	// bbolt would make a new, empty database of an empty file.
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.Size() == 0 {
		return &DamagedError{Path: path, Reason: "the file is empty"}
	}
	// A panic in Open would leave the file open, and so locked.
	var file *os.File
	defer func() {
		if file != nil {
			file.Close() // once more, if all went well
		}
	}()
	o := options(readOnly)
	o.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	db, err := bbolt.Open(path, 0o600, o)
	if err != nil {
		return unopened(path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return fn(db)
}

// unopened tells a file that is damaged from one that cannot be had: what is
// neither the lock's timeout nor the system's refusal is bbolt's complaint
// about what it found, of which only some have names.
func unopened(path string, err error) error {
	var refused syscall.Errno
	if errors.Is(err, bolterrors.ErrTimeout) || errors.As(err, &refused) {
		return err
	}
	return &DamagedError{Path: path, Reason: err.Error()}
}

// diagnose gives errors of the file the types that callers act on.
func (j *Journal) diagnose(err error) error {
	var (
		chain   *ChainError
		damaged *DamagedError
		path    *fs.PathError
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return &BusyError{Path: j.path}
	case errors.As(err, &damaged):
		damaged.Backup, _ = newestBackup(j.path)
		return damaged
	case errors.As(err, &chain):
		return err
	case errors.As(err, &path):
		return fmt.Errorf("journal: %w", err)
	}
	return fmt.Errorf("journal %s: %w", j.path, err)
}

func (j *Journal) checkSchema(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || tx.Bucket(bucketEvents) == nil || tx.Bucket(bucketPromotions) == nil {
			return &DamagedError{Path: j.path, Reason: "it is a database of something else"}
		}
		version, err := strconv.Atoi(string(meta.Get(keySchema)))
		if err != nil {
			return &DamagedError{Path: j.path, Reason: "it has no schema version"}
		}
		if version > Schema {
			return &NewerError{Path: j.path, Schema: version}
		}
		return nil
	})
}
