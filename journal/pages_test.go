package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// walkPages is the walk over a file that is in memory.
func walkPages(file []byte) error {
	p, err := readPages(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	return p.check()
}

// The walk must let through whatever bbolt writes: trees of several levels,
// pages that run on, lists of free pages with more than 65535 entries.
func TestPagesOfEveryShapeAreWhole(t *testing.T) {
	t.Parallel()
	shapes := map[string]func(db *bbolt.DB) error{
		"nothing": func(*bbolt.DB) error { return nil },
		"many small values": func(db *bbolt.DB) error {
			return db.Update(func(tx *bbolt.Tx) error { return putMany(tx, 50000, 10) })
		},
		"values larger than a page": func(db *bbolt.DB) error {
			return db.Update(func(tx *bbolt.Tx) error { return putMany(tx, 50, 100_000) })
		},
		"buckets in buckets": func(db *bbolt.DB) error {
			return db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("b"))
				for n := 0; n < 300 && err == nil; n++ {
					var child *bbolt.Bucket
					if child, err = b.CreateBucket(fmt.Append(nil, "child", n)); err == nil {
						for i := range n {
							err = errors.Join(err, child.Put(seqKey(int64(i)), nil))
						}
					}
				}
				return err
			})
		},
	}
	if long { // 66 MB
		shapes["a long list of free pages"] = func(db *bbolt.DB) error {
			return errors.Join(
				db.Update(func(tx *bbolt.Tx) error { return putMany(tx, 1, 1024*66000) }),
				db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("values")) }),
				db.Update(func(tx *bbolt.Tx) error { return nil }))
		}
	}
	for name, fill := range shapes {
		path := filepath.Join(inMemory(t), "any.db")
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, PageSize: 1024})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(fill(db), db.Close()); err != nil {
			t.Fatal(err)
		}
		if err := walkPages(mustReadFile(t, path)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func putMany(tx *bbolt.Tx, n, size int) error {
	b, err := tx.CreateBucket([]byte("values"))
	for i := 0; i < n && err == nil; i++ {
		err = b.Put(seqKey(int64(i)), make([]byte, size))
	}
	return err
}

// A file whose pages this process has found whole is not walked again, unless
// it has become another: by another process, or by who has put it there.
func TestPagesAreWalkedOnceForEachStateOfTheFile(t *testing.T) {
	t.Parallel()
	j := broken(t)
	mine := j.walked.Load()
	if err := readOne(j); err != nil || j.walked.Load() != mine {
		t.Errorf("after an event of its own, the journal was walked again: %v", err)
	}
	mustAppend(t, New(j.path), Event{Promotion: "p", Kind: Note})
	if err := readOne(j); err != nil || j.walked.Load() == mine {
		t.Errorf("after another's event, the journal was not walked: %v", err)
	}
	file := mustReadFile(t, j.path)
	info, err := os.Stat(j.path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * os.Getpagesize(); i < len(file); i++ {
		file[i] ^= 0x55
	}
	mustWriteFile(t, j.path, file)
	if err := os.Chtimes(j.path, time.Time{}, info.ModTime().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := readOne(j); !isDamage(err) {
		t.Errorf("another file in its place was not walked: %v", err)
	}
}

// FuzzPages gives the walk any bytes for a file, of which it makes sound tables
// of contents, so that the walk gets to see the rest. It must end, without a
// panic; and what it lets through, bbolt can read to the end.
func FuzzPages(f *testing.F) {
	for _, file := range smallest(f) {
		f.Add(file)
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		reseal(file)
		err := walkPages(file)
		if err != nil {
			if !isDamage(err) {
				t.Errorf("got %T (%v), want a *DamagedError", err, err)
			}
			return
		}
		path := filepath.Join(t.TempDir(), "fuzz.db")
		mustWriteFile(t, path, file)
		defer time.AfterFunc(trialTime, func() { panic("bbolt hangs") }).Stop()
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: openTimeout, NoSync: true})
		if err != nil {
			t.Fatalf("bbolt does not open what the walk lets through: %v", err)
		}
		defer db.Close()
		for range 2 {
			err = db.Update(func(tx *bbolt.Tx) error {
				return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return readAll(b) })
			})
			if err != nil {
				t.Errorf("bbolt does not read what the walk lets through: %v", err)
			}
		}
	})
}

func readAll(b *bbolt.Bucket) error {
	return b.ForEach(func(key, value []byte) error {
		if value == nil {
			return readAll(b.Bucket(key))
		}
		return nil
	})
}

// smallest are databases with the smallest pages: a journal, and a tree of two
// levels with pages that are free.
func smallest(f *testing.F) (files [][]byte) {
	f.Helper()
	for _, fill := range []func(tx *bbolt.Tx) error{
		initialize,
		func(tx *bbolt.Tx) error {
			return errors.Join(putMany(tx, 70, 10), tx.Bucket([]byte("values")).Put([]byte("x"), make([]byte, 1200)))
		},
	} {
		path := filepath.Join(f.TempDir(), "small.db")
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 1024})
		if err != nil {
			f.Fatal(err)
		}
		if err := errors.Join(db.Update(fill), db.Close()); err != nil {
			f.Fatal(err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		p, err := readPages(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, p.file)
	}
	return files
}

// reseal gives both metas the hash of what they say.
func reseal(file []byte) {
	if len(file) < 80 {
		return
	}
	for _, at := range []uint64{0, uint64(native.Uint32(file[pageHeader+8:]))} {
		if at+80 <= uint64(len(file)) {
			native.PutUint64(file[at+72:], sumMeta(file[at+pageHeader:]))
		}
	}
}
