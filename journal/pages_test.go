package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
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

// A file that was found whole is not walked again before an event is appended,
// neither by the process that found it so nor by another, unless it has become
// another file.
func TestPagesAreWalkedOnceForEachStateOfTheFile(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	fill(t, j, 20)
	if n := j.walks.Load(); n != 1 {
		t.Errorf("for the first twenty events all pages were walked %d times, want once", n)
	}
	mustRead(t, j)
	other := New(j.path)
	mustAppend(t, other, Event{Promotion: "p", Kind: Note})
	if n := other.walks.Load(); n != 0 {
		t.Errorf("another process walked what was found whole, %d times", n)
	}
	mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	if n := j.walks.Load(); n != 1 {
		t.Errorf("after another's event all pages were walked %d times, want once", n)
	}
	for name, change := range map[string]func() error{
		"the note is gone":     func() error { return os.Remove(j.wholePath()) },
		"the note is cut":      func() error { return os.Truncate(j.wholePath(), 7) },
		"the note is another":  func() error { return os.WriteFile(j.wholePath(), make([]byte, 32), 0o600) },
		"the note is a pipe":   func() error { return errors.Join(os.Remove(j.wholePath()), syscall.Mkfifo(j.wholePath(), 0o600)) },
		"the note is a folder": func() error { return errors.Join(os.Remove(j.wholePath()), os.Mkdir(j.wholePath(), 0o700)) },
		"the file was touched": func() error {
			return os.Chtimes(j.path, time.Time{}, someday)
		},
		"the file is a copy": func() error {
			return errors.Join(os.WriteFile(j.path+".copy", mustReadFile(t, j.path), 0o600), os.Rename(j.path+".copy", j.path))
		},
		"an older rel has appended": func() error {
			edit(t, j.path, func(tx *bbolt.Tx) error { return putHead(tx, Hash(tx.Bucket(bucketMeta).Get(keyHead))) })
			return nil
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		later := New(j.path)
		mustAppend(t, later, Event{Promotion: "p", Kind: Note})
		mustAppend(t, later, Event{Promotion: "p", Kind: Note})
		if n := later.walks.Load(); n != 1 {
			t.Errorf("%s: all pages were walked %d times, want once", name, n)
		}
	}
}

// What a command reads and an event costs does not grow with the journal.
func TestPagesReadDoNotGrowWithTheJournal(t *testing.T) {
	t.Parallel()
	sizes := []int{50, 1000}
	if long {
		sizes = append(sizes, 20_000)
	}
	for _, n := range sizes {
		j := chronicle(t, n)
		newest, _ := chronicleID(n - 2)
		mustAppend(t, j, Event{Promotion: "99991231-235959-p", Kind: Note}) // walks all, once
		for what, c := range map[string]struct {
			pages int64
			do    func() error
		}{
			"Append": {40, func() error { return errors.Join(appendOne(New(j.path)), appendOne(j)) }},
			"Head":   {15, func() error { _, err := j.Head(); return err }},
			"Last":   {15, func() error { _, err := j.Last(1); return err }},
			"Events": {60, func() error { _, err := j.Events(newest); return err }},
			"Recent": {120, func() error {
				_, err := j.Recent(func(ev Event) bool { return ev.State == "healthy" })
				return err
			}},
			"Histories": {400, func() error { _, err := j.Histories(20); return err }},
		} {
			before := j.reads.Load()
			if err := c.do(); err != nil {
				t.Errorf("%s of %d promotions: %v", what, n, err)
			}
			read := j.reads.Load() - before
			t.Logf("figures: %s of %d promotions: %d pages", what, n, read)
			if read == 0 || read > c.pages {
				t.Errorf("%s of %d promotions reads %d pages, want at most %d", what, n, read, c.pages)
			}
		}
		if n := j.walks.Load(); n != 1 {
			t.Errorf("all pages were walked %d times", n)
		}
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
		files = append(files, file[:p.high*p.pageSize])
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
