package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"
)

// damage is one journal file with its true content, to be damaged over and over.
type damage struct {
	whole []byte
	want  content
	dir   string
	n     int
	// noted says that the file was found whole before the damage came, and that this
	// was noted: the damage is the disk's, which no time of the file tells of.
	noted bool
	// outcomes counts what came of the trials.
	outcomes map[string]int
}

// byAnyone runs a test twice: with a damage that the file system knows of, which
// makes the file another, and with one that only its content tells of.
func byAnyone(t *testing.T, test func(t *testing.T, noted bool)) {
	t.Parallel()
	for name, noted := range map[string]bool{"another file": false, "the disk": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, noted)
		})
	}
}

func newDamage(t *testing.T, noted bool, j *Journal) *damage {
	t.Helper()
	d := &damage{noted: noted, whole: mustReadFile(t, j.path), want: mustRead(t, j), dir: inMemory(t), outcomes: map[string]int{}}
	t.Cleanup(func() { t.Logf("figures: %s: %d trials: %v", t.Name(), d.n, d.outcomes) })
	return d
}

// inMemory is a folder for files that nobody waits for a disk with, if there is
// one.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rel-journal-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// trialTime is what reading and appending to a small file may take by far.
const trialTime = 30 * time.Second

// judge lets the journal read a damaged file and append to it. What it reads
// must be the true content or an error that says that the file is damaged; what
// it appends must go on from the true content or be refused. A panic ends the
// test by itself. The result is whether reading noticed anything.
func (d *damage) judge(t *testing.T, how string, file []byte) (noticed bool) {
	t.Helper()
	// A file of its own: were one left locked, the next trial would not tell.
	d.n++
	j := New(filepath.Join(d.dir, fmt.Sprint(d.n), "journal.db"))
	if d.noted {
		how += ", by the disk"
		d.rot(t, j, file)
	} else {
		mustWriteFile(t, j.path, file)
	}
	defer os.RemoveAll(filepath.Dir(j.path))
	// A loop in bbolt cannot be left: the test can only say where.
	defer time.AfterFunc(trialTime, func() { panic(how + ": the journal hangs") }).Stop()

	got, err := read(j)
	d.outcomes[outcome(err)]++
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
	if got, err := read(j); err == nil {
		if noticed || got.Head.Seq != next {
			t.Errorf("%s: an append made the damage unseen: %d events", how, got.Head.Seq)
		} else if !reflect.DeepEqual(got.all(t)[:next-1], d.want.all(t)) {
			t.Errorf("%s: an append changed what was there", how)
		}
	}
	return noticed
}

// rot makes the file a damaged one, of which only its content tells.
func (d *damage) rot(t *testing.T, j *Journal, file []byte) {
	t.Helper()
	mustWriteFile(t, j.path, d.whole)
	info, err := os.Stat(j.path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPages(bytes.NewReader(d.whole), int64(len(d.whole)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.state(info)
	j.keep(s)
	j.whole.Store(nil)
	if err := errors.Join(err, os.WriteFile(j.path, file, 0), os.Chtimes(j.path, time.Time{}, info.ModTime())); err != nil {
		t.Fatal(err)
	}
}

func outcome(err error) string {
	var (
		damaged *DamagedError
		chain   *ChainError
		newer   *NewerError
	)
	switch {
	case err == nil:
		return "the true content"
	case errors.As(err, &damaged):
		return "a damaged file"
	case errors.As(err, &chain):
		return "a damaged record"
	case errors.As(err, &newer):
		return "a newer file"
	}
	return "something else"
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
	return outcome(err) != "something else"
}

// bbolt has no checksum on its data pages. Each record has one of its own: a
// byte that has flipped anywhere in it is noticed.
func TestDamageOfARecordIsNoticed(t *testing.T) { byAnyone(t, damageOfARecordIsNoticed) }

func damageOfARecordIsNoticed(t *testing.T, noted bool) {
	d := newDamage(t, noted, broken(t))
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

// The same for every byte of the file: the tables of contents, the heads of the
// pages, the tree, the list of free pages. Most of what a flip there would make
// of it is not an error but another history: an event or a promotion fewer.
func TestDamageOfAnyByteIsNoticedOrHarmless(t *testing.T) {
	byAnyone(t, damageOfAnyByteIsNoticedOrHarmless)
}

func damageOfAnyByteIsNoticedOrHarmless(t *testing.T, noted bool) {
	j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
	fill(t, j, 5)
	d := newDamage(t, noted, j)
	stride := 251
	if long {
		stride = 4
	}
	noticed, used := 0, d.used(t)
	for at := 0; at < len(d.whole); at += stride {
		if !used[at/os.Getpagesize()] && at%os.Getpagesize() >= stride {
			continue // one byte of a page that nobody reads is enough
		}
		file := bytes.Clone(d.whole)
		file[at] ^= 1 << (d.n % 8)
		if d.judge(t, fmt.Sprintf("byte %d flipped to %#x", at, file[at]), file) {
			noticed++
		}
	}
	if noticed < d.n/10 {
		t.Errorf("of %d flips only %d were noticed: they did not hit anything", d.n, noticed)
	}
}

// Every bit of the pages' heads and of their elements', where a flip does not
// make a record unsound, but hides it, or leads bbolt astray.
func TestDamageOfTheTreeIsNoticed(t *testing.T) { byAnyone(t, damageOfTheTreeIsNoticed) }

func damageOfTheTreeIsNoticed(t *testing.T, noted bool) {
	d := newDamage(t, noted, broken(t))
	size := os.Getpagesize()
	bits, stride := []byte{0xFF}, 3
	if long {
		bits, stride = []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xFF}, 1
	}
	for id, used := range d.used(t) {
		if !used {
			continue
		}
		count := int(native.Uint16(d.whole[id*size+10:]))
		end := min(pageHeader+elementHeader*count, size)
		if kind := native.Uint16(d.whole[id*size+8:]); kind == pageMeta {
			end = 80
		} else if kind == pageFreeList {
			end = pageHeader + 8*count
		}
		for at := id*size + id%stride; at < id*size+end; at += stride {
			for _, bit := range bits {
				file := bytes.Clone(d.whole)
				file[at] ^= bit
				// What the page's head has beyond its count says nothing of a meta.
				silent := id < 2 && at%size >= 10 && at%size < pageHeader
				if !d.judge(t, fmt.Sprintf("byte %d ^ %#x", at, bit), file) && !silent {
					t.Errorf("nobody noticed byte %d of page %d ^ %#x", at%size, id, bit)
				}
			}
		}
	}
}

// used tells the pages that are read from those that are free.
func (d *damage) used(t *testing.T) []bool {
	t.Helper()
	p, err := readPages(bytes.NewReader(d.whole), int64(len(d.whole)))
	if err != nil {
		t.Fatal(err)
	}
	p.used = make([]bool, p.high)
	p.used[0], p.used[1] = true, true
	if err := errors.Join(p.tree(p.root, 0, nil, nil), p.mark(p.freeList, p.list)); err != nil {
		t.Fatal(err)
	}
	return append(p.used, make([]bool, len(d.whole)/int(p.pageSize)-len(p.used))...)
}

// A page that the disk has not written, or has written somewhere else, is sound
// in itself: it holds what another page holds, or what it held before.
func TestDamageByMisplacedPages(t *testing.T) { byAnyone(t, damageByMisplacedPages) }

func damageByMisplacedPages(t *testing.T, noted bool) {
	j := broken(t)
	size := os.Getpagesize()
	versions := [][]byte{mustReadFile(t, j.path)}
	for n := range 12 {
		mustAppend(t, j, Event{Promotion: promotions[n%2], Kind: Note, Text: fmt.Sprint("later event ", n)})
		versions = append(versions, mustReadFile(t, j.path))
	}
	d := newDamage(t, noted, j)
	for id, used := range d.used(t) {
		if !used {
			continue
		}
		for back, old := range versions[:len(versions)-1] {
			// Without its last table of contents, a file is as it was before its
			// last event, to the byte: only who has noted that event can tell.
			if id < 2 || (id+1)*size > len(old) {
				continue
			}
			page := old[id*size : (id+1)*size]
			if bytes.Equal(page, d.whole[id*size:(id+1)*size]) {
				continue
			}
			file := bytes.Clone(d.whole)
			copy(file[id*size:], page)
			if !d.judge(t, fmt.Sprintf("page %d as it was %d events ago", id, len(versions)-1-back), file) {
				t.Errorf("nobody noticed that page %d is as it was %d events ago", id, len(versions)-1-back)
			}
		}
		for other := range d.used(t) {
			if other == id || !long && (other+id)%3 > 0 {
				continue
			}
			file := bytes.Clone(d.whole)
			copy(file[id*size:(id+1)*size], d.whole[other*size:])
			if !d.judge(t, fmt.Sprintf("page %d where page %d was", other, id), file) {
				t.Errorf("nobody noticed page %d where page %d was", other, id)
			}
		}
		for name, junk := range map[string][]byte{"zeros": make([]byte, size), "noise": noise(size)} {
			file := bytes.Clone(d.whole)
			copy(file[id*size:], junk)
			if !d.judge(t, fmt.Sprintf("page %d is %s", id, name), file) {
				t.Errorf("nobody noticed that page %d is %s", id, name)
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
func TestDamageByTruncation(t *testing.T) { byAnyone(t, damageByTruncation) }

func damageByTruncation(t *testing.T, noted bool) {
	d := newDamage(t, noted, broken(t))
	lengths := []int{1, 15, 79, 80, 81, 1000, 4095, 4096, 4097}
	for n := 512; n < len(d.whole); n += 512 {
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
		"a sqlite file":  is(append([]byte("SQLite format 3\x00\x10\x00\x01\x01\x00\x40\x20\x20"), noise(8192)...)),
		"half a head":    is(mustReadFile(t, filepath.Join("testdata", "v2.db"))[:50]),
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

// Nor is what is no file; a pipe would be waited for, for ever.
func TestDamageThatLeavesNoFile(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"a folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"a pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
	} {
		j := New(filepath.Join(t.TempDir(), "journal.db"))
		if err := make(j.path); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{"Verify": readOne(j), "Append": appendOne(j), "Backup": j.Backup()} {
			var damaged *DamagedError
			if !errors.As(err, &damaged) {
				t.Errorf("%s, %s: got %T (%v), want a *DamagedError", name, what, err, err)
			}
		}
	}
}

// A file that is cut short while it is in use is a fault in mapped memory, in
// whichever of bbolt's locks. The process lives, and the file is let go.
func TestDamageWhileInUse(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(j *Journal) error{
		"read": func(j *Journal) error {
			return j.reading(func(p *pages) error {
				return errors.Join(os.Truncate(j.path, 4096), p.events.each(nil, func(element) (bool, error) { return true, nil }))
			})
		},
		"append": func(j *Journal) error {
			return j.writing(func(*pages) error { return nil }, func(tx *bbolt.Tx) error {
				return errors.Join(os.Truncate(j.path, 4096), tx.Bucket(bucketEvents).ForEach(func(_, _ []byte) error { return nil }))
			})
		},
	} {
		j := broken(t)
		whole := mustReadFile(t, j.path)
		done := make(chan error)
		go func() { done <- act(j) }()
		select {
		case err := <-done:
			var damaged *DamagedError
			if !errors.As(err, &damaged) || !strings.Contains(damaged.Reason, "cut short") {
				t.Errorf("%s: got %T (%v), want a *DamagedError", name, err, err)
			}
		case <-time.After(trialTime):
			t.Fatalf("%s: the journal hangs", name)
		}
		mustWriteFile(t, j.path, whole)
		if ev := mustAppend(t, j, Event{Promotion: "p", Kind: Note}); ev.Seq != 21 {
			t.Errorf("%s: the next event has number %d", name, ev.Seq)
		}
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
