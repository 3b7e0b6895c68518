package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unsafe"

	"go.etcd.io/bbolt"
)

// damage is one journal file with its true content, to be damaged over and over.
type damage struct {
	whole []byte
	want  content
	dir   string
	n     int
}

func newDamage(t *testing.T) *damage {
	t.Helper()
	j := broken(t)
	return &damage{whole: mustReadFile(t, j.path), want: mustRead(t, j), dir: t.TempDir()}
}

// judge lets the journal read a damaged file and append to it. What it reads
// must be the true content or an error that says that the file is damaged; what
// it appends must go on from the true content or be refused. A panic ends the
// test by itself. The result is whether reading noticed anything.
func (d *damage) judge(t *testing.T, how string, file []byte) (noticed bool) {
	t.Helper()
	// A file of its own: were one left locked, the next trial would not tell.
	d.n++
	j := New(filepath.Join(d.dir, fmt.Sprint(d.n), "journal.db"))
	mustWriteFile(t, j.path, file)
	defer os.RemoveAll(filepath.Dir(j.path))

	got, err := read(j)
	switch {
	case err == nil && !reflect.DeepEqual(got, d.want):
		t.Errorf("%s: nothing is noticed, but %d events in %q are read instead of %d in %q",
			how, got.Head.Seq, got.IDs, d.want.Head.Seq, d.want.IDs)
	case err != nil && !isDamage(err):
		t.Errorf("%s: reading fails with %T (%v), which does not say that the file is damaged", how, err, err)
	}
	noticed = err != nil

	next := d.want.Head.Seq + 1
	ev, err := j.Append(Event{Promotion: promotions[0], Kind: Note, Text: "after the damage"})
	if err != nil {
		if !isDamage(err) {
			t.Errorf("%s: appending fails with %T (%v), which does not say that the file is damaged", how, err, err)
		}
		return noticed
	}
	if ev.Seq != next {
		t.Errorf("%s: the next event has number %d, not %d: history was lost without a word", how, ev.Seq, next)
	}
	if got, err := read(j); err == nil && (noticed || got.Head.Seq != next) {
		t.Errorf("%s: an append made the damage unseen: %d events", how, got.Head.Seq)
	}
	return noticed
}

// isDamage reports whether every error in err tells of damage.
func isDamage(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			if !isDamage(err) {
				return false
			}
		}
		return true
	}
	var (
		damaged *DamagedError
		chain   *ChainError
		newer   *NewerError // a flip in the schema's digit
	)
	return errors.As(err, &damaged) || errors.As(err, &chain) || errors.As(err, &newer)
}

// bbolt has no checksum on its data pages. Each record has one of its own: a
// byte that has flipped anywhere in it is noticed.
func TestDamageOfARecordIsNoticed(t *testing.T) {
	t.Parallel()
	d := newDamage(t)
	stride := 47 // prime to the records' lengths, so that each field is hit
	if testing.Short() {
		stride = 211
	}
	trial := 0
	for _, record := range d.records(t) {
		for at := record.from + trial%stride; at < record.to; at += stride {
			file := bytes.Clone(d.whole)
			file[at] ^= 1 << (trial % 8)
			trial++
			if !d.judge(t, fmt.Sprintf("byte %d flipped", at), file) {
				t.Errorf("record %d: nobody noticed that byte %d has flipped", record.seq, at)
			}
		}
	}
}

type record struct {
	seq      int
	from, to int
}

// records are where the records lie in the file. Copies of them in pages that
// are free now are not among them: damage to those is none.
func (d *damage) records(t *testing.T) []record {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	mustWriteFile(t, path, d.whole)
	db, err := bbolt.Open(path, 0o600, options(true))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var list []record
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketEvents).ForEach(func(_, value []byte) error {
			from := int(uintptr(unsafe.Pointer(unsafe.SliceData(value))) - db.Info().Data)
			if !bytes.Equal(d.whole[from:from+len(value)], value) {
				t.Fatalf("record %d is not at %d", len(list)+1, from)
			}
			list = append(list, record{seq: len(list) + 1, from: from, to: from + len(value)})
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A file that was cut short, by a full disk or a copy that was broken off.
func TestDamageByTruncation(t *testing.T) {
	t.Parallel()
	d := newDamage(t)
	lengths := []int{1, 80, 1000, 4095, 4096}
	for n := 6000; n < len(d.whole); n += 2048 {
		lengths = append(lengths, n)
	}
	last := d.records(t)[19]
	for _, n := range lengths {
		if !d.judge(t, fmt.Sprintf("%d of %d bytes", n, len(d.whole)), d.whole[:n]) && n < last.to {
			t.Errorf("nobody noticed that %d of %d bytes are left", n, len(d.whole))
		}
	}
}

// What stands where the journal should be is not a journal. It is never
// overwritten: what it was may still be saved.
func TestDamageThatLeavesNoJournal(t *testing.T) {
	t.Parallel()
	other := func(fn func(tx *bbolt.Tx) error) func(*testing.T) []byte {
		return func(t *testing.T) []byte {
			path := filepath.Join(t.TempDir(), "other.db")
			edit(t, path, fn)
			return mustReadFile(t, path)
		}
	}
	is := func(b []byte) func(*testing.T) []byte { return func(*testing.T) []byte { return b } }
	for name, file := range map[string]func(*testing.T) []byte{
		"an empty file":  is(nil),
		"a line of text": is([]byte("hello\n")),
		"zeros":          is(make([]byte, 65536)),
		"noise":          is(noise(65536)),
		"an empty database": other(func(*bbolt.Tx) error {
			return nil
		}),
		"a database of something else": other(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("cookies"))
			return err
		}),
		"a journal without its schema": other(func(tx *bbolt.Tx) error {
			return errors.Join(initialize(tx), tx.Bucket(bucketMeta).Delete(keySchema))
		}),
		"a journal with a schema that is no number": other(func(tx *bbolt.Tx) error {
			return errors.Join(initialize(tx), tx.Bucket(bucketMeta).Put(keySchema, []byte("one")))
		}),
		"a journal without its events": other(func(tx *bbolt.Tx) error {
			return errors.Join(initialize(tx), tx.DeleteBucket(bucketEvents))
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := file(t)
			j := New(filepath.Join(t.TempDir(), "journal.db"))
			mustWriteFile(t, j.path, content)
			_, promotions := j.Promotions()
			_, events := j.Events("p")
			_, histories := j.Histories(1)
			_, verify := j.Verify()
			_, appended := j.Append(Event{Promotion: "p", Kind: Note})
			for what, err := range map[string]error{
				"Promotions": promotions, "Events": events, "Histories": histories, "Verify": verify, "Append": appended,
			} {
				var damaged *DamagedError
				if !errors.As(err, &damaged) {
					t.Errorf("%s: got %T (%v), want a *DamagedError", what, err, err)
				} else if damaged.Path != j.path || damaged.Reason == "" || damaged.Backup != "" {
					t.Errorf("%s: got %+v", what, damaged)
				}
			}
			if !bytes.Equal(content, mustReadFile(t, j.path)) {
				t.Error("the file was changed")
			}
		})
	}
}

// noise is the same bytes in every run.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
