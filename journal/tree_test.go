package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// What is read by pages is what bbolt reads, from trees of every shape.
func TestTreeIsReadAsBboltReadsIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(inMemory(t), "any.db")
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, PageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for name, fill := range map[string]func(b *bbolt.Bucket) error{
			"empty": func(*bbolt.Bucket) error { return nil },
			"small": func(b *bbolt.Bucket) error { return b.Put([]byte("k"), []byte("v")) },
			"tall": func(b *bbolt.Bucket) (err error) {
				for n := range 3000 {
					err = errors.Join(err, b.Put(seqKey(int64(n*2)), bytes.Repeat([]byte{byte(n)}, n%200)))
				}
				return err
			},
			"wide": func(b *bbolt.Bucket) (err error) {
				for n := range 20 {
					err = errors.Join(err, b.Put(seqKey(int64(n*2)), make([]byte, 900*n)))
				}
				return err
			},
		} {
			b, err := tx.CreateBucket([]byte(name))
			if err != nil {
				return err
			}
			if err := fill(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	if db, err = bbolt.Open(path, 0o600, options(true)); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	file := mustReadFile(t, path)
	p, err := readPages(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			mine, other, err := p.top().bucket(name)
			if err != nil || mine == nil || other {
				return fmt.Errorf("%s: %v, %v, %w", name, mine, other, err)
			}
			compareTrees(t, mine, b)
			return b.ForEach(func(key, value []byte) error {
				want[string(name)] = append(want[string(name)], string(key))
				return nil
			})
		})
	})
	if err != nil || len(want["tall"]) != 3000 {
		t.Fatal(len(want["tall"]), err)
	}
	if none, other, err := p.top().bucket([]byte("none")); none != nil || other || err != nil {
		t.Errorf("a bucket that is not there: %v, %v, %v", none, other, err)
	}
}

func compareTrees(t *testing.T, mine *bucket, b *bbolt.Bucket) {
	t.Helper()
	list := func(from []byte) (keys []string) {
		c := b.Cursor()
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			keys = append(keys, string(k)+string(v))
		}
		return keys
	}
	collect := func(into *[]string) func(element) (bool, error) {
		return func(e element) (bool, error) {
			*into = append(*into, string(e.key)+string(e.value))
			return true, nil
		}
	}
	for n := range int64(200) {
		key := seqKey(n * 31)
		var got []string
		if err := mine.each(key, collect(&got)); err != nil || !slices.Equal(got, list(key)) {
			t.Fatalf("from %d: %d elements, %v; bbolt has %d", n*31, len(got), err, len(list(key)))
		}
		value, err := mine.value(key)
		if err != nil || !bytes.Equal(value, b.Get(key)) || (value == nil) != (b.Get(key) == nil) {
			t.Fatalf("key %d: %d bytes, %v", n*31, len(value), err)
		}
	}
	var back []string
	err := mine.descend(collect(&back))
	if slices.Reverse(back); err != nil || !slices.Equal(back, list([]byte{0})) {
		t.Fatalf("backwards: %d elements, %v", len(back), err)
	}
	last, found, err := mine.last()
	if k, _ := b.Cursor().Last(); err != nil || found != (k != nil) || !bytes.Equal(last.key, k) {
		t.Fatalf("the last is %x, %v, %v; bbolt has %x", last.key, found, err, k)
	}
}

// lastOfAll is an id that comes after all others.
const lastOfAll = "99991231-235959-aaaaaaa"

// forest is a journal whose trees have branches, to be damaged page by page.
type forest struct {
	*damage
	*pages
	t *testing.T
}

func newForest(t *testing.T) *forest { return newForestOf(t, 8) }

// newForestOf is one whose last promotion has n events.
func newForestOf(t *testing.T, n int) *forest {
	t.Helper()
	j := chronicle(t, 40)
	for n := range n { // so that some pages are free, and hold what was
		mustAppend(t, j, Event{Promotion: lastOfAll, Kind: Note, Text: fmt.Sprint(n)})
	}
	f := &forest{damage: &damage{whole: mustReadFile(t, j.path), dir: inMemory(t), noted: true}, t: t}
	var err error
	if f.pages, err = readPages(bytes.NewReader(f.whole), int64(len(f.whole))); err == nil {
		err = j.checkSchema(f.pages)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// branch is the first page of a bucket, which is to be a branch: where it lies.
func (f *forest) branch(b *bucket) (at int, n *node) {
	f.t.Helper()
	n, err := b.first()
	if err != nil || n.leaf || len(n.elements) < 3 {
		f.t.Fatalf("the tree is too small: %v", err)
	}
	return int(b.root * f.pageSize), n
}

// leadsTo is where branch element i has the number of its page.
func leadsTo(branch, i int) int { return branch + pageHeader + i*elementHeader + 8 }

// noticed lets fn use the journal after a change to its file, by somebody or by the
// disk, which each has to be noticed.
func (f *forest) noticed(what string, byDisk bool, change func(file []byte), fn func(j *Journal) error) {
	f.t.Helper()
	f.n++
	j := New(filepath.Join(f.dir, fmt.Sprint(f.n), "journal.db"))
	file := bytes.Clone(f.whole)
	change(file)
	if bytes.Equal(file, f.whole) {
		f.t.Fatalf("%s: nothing was changed", what)
	}
	if byDisk {
		f.rot(f.t, j, file)
	} else {
		mustWriteFile(f.t, j.path, file)
	}
	defer os.RemoveAll(filepath.Dir(j.path))
	defer time.AfterFunc(trialTime, func() { panic(what + ": the journal hangs") }).Stop()
	if err := fn(j); err == nil || !isDamage(err) {
		f.t.Errorf("%s: got %T (%v), want it to be damage", what, err, err)
	}
}

// A list of free pages that names one in use would have bbolt write over history.
func TestTreeFreeListThatNamesAPageInUse(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	_, n := f.branch(f.events)
	inUse := n.elements[1].child // not on the way to the end
	if len(f.free) < 2 {
		t.Fatalf("free pages: %v", f.free)
	}
	for _, byDisk := range []bool{false, true} {
		f.noticed(fmt.Sprint("free list, by the disk: ", byDisk), byDisk, func(file []byte) {
			ids := append(slices.Clone(f.free[1:]), inUse)
			slices.Sort(ids)
			for i, id := range ids {
				native.PutUint64(file[int(f.freeList*f.pageSize)+pageHeader+8*i:], id)
			}
		}, appendOne)
	}
}

// A branch that leads to another page than it did: to what is free and holds what was
// there before, to the neighbour, or to itself.
func TestTreeThatLeadsAstray(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	at, n := f.branch(f.promotions)
	ends := len(n.elements) - 1
	var first element
	leaf, err := f.node(n.elements[0].child, 1, nil, nil)
	if err == nil {
		first = leaf.elements[0]
	}
	newest := lastOfAll
	read := func(id string) func(*Journal) error {
		return func(j *Journal) error {
			events, err := j.Events(id)
			if err == nil {
				t.Errorf("%d events are read", len(events))
			}
			return err
		}
	}
	lead := func(element int, to uint64) func([]byte) {
		return func(file []byte) { native.PutUint64(file[leadsTo(at, element):], to) }
	}
	// What the last page was before, with all that it then listed.
	stale := uint64(0)
	for _, id := range f.free {
		page, err := f.read(id, nil)
		if err != nil || native.Uint16(page[8:]) != pageLeaf {
			continue
		}
		if old, _, err := takeApart(page); err == nil && len(old.elements) > 0 && old.elements[0].nested && bytes.Compare(old.elements[0].key, n.elements[ends].key) >= 0 {
			stale = id
		}
	}
	if stale == 0 || err != nil {
		t.Fatalf("no page is free that was the last: %v, %v", f.free, err)
	}
	for _, byDisk := range []bool{false, true} {
		f.noticed("to what is free: reading", byDisk, lead(ends, stale), read(newest))
		f.noticed("to what is free: appending", byDisk, lead(ends, stale), func(j *Journal) error {
			_, err := j.Append(Event{Promotion: newest, Kind: Note})
			return err
		})
		f.noticed("to the neighbour: reading", byDisk, lead(0, n.elements[1].child), read(string(first.key)))
		f.noticed("to the neighbour: appending", byDisk, lead(ends, n.elements[0].child), func(j *Journal) error {
			_, err := j.Append(Event{Promotion: newest, Kind: Note})
			return err
		})
		f.noticed("to itself: reading", byDisk, lead(ends, f.promotions.root), read(newest))
		f.noticed("beyond the end: reading", byDisk, lead(ends, f.high), read(newest))
		f.noticed("to the tables of contents: reading", byDisk, lead(ends, 1), read(newest))
	}
}

// A page that says it runs on would be freed together with its neighbour.
func TestTreePageThatRunsOn(t *testing.T) {
	t.Parallel()
	f := newForest(t)
	written := []uint64{f.root, f.events.root, f.promotions.root}
	for _, b := range []*bucket{f.events, f.promotions} {
		_, n := f.branch(b)
		written = append(written, n.elements[len(n.elements)-1].child)
	}
	tried := 0
	for _, id := range written {
		if id+1 >= f.high || f.isFree(id+1) || slices.Contains(written, id+1) || id+1 == f.freeList {
			continue // that much bbolt itself notices
		}
		tried++
		for _, byDisk := range []bool{false, true} {
			f.noticed(fmt.Sprint("page ", id, " runs on"), byDisk, func(file []byte) { file[int(id*f.pageSize)+12]++ }, func(j *Journal) error {
				_, err := j.Append(Event{Promotion: lastOfAll, Kind: Note})
				return err
			})
		}
	}
	if tried == 0 {
		t.Errorf("of the pages that are written %v, free %v, none has a neighbour", written, f.free)
	}
	last := written[3]
	for _, byDisk := range []bool{false, true} {
		f.noticed("it is empty", byDisk, func(file []byte) {
			page := file[last*f.pageSize:]
			page[10], page[11] = 0, 0
		}, func(j *Journal) error {
			_, err := j.Head()
			return err
		})
	}
}

// The index of a promotion with many events has pages of its own.
func TestTreeOfALongIndexIsLookedAt(t *testing.T) {
	t.Parallel()
	f := newForestOf(t, 200)
	index, err := f.index([]byte(lastOfAll))
	if err != nil || index.root == 0 {
		t.Fatalf("the index lies within its value: %v", err)
	}
	for _, byDisk := range []bool{false, true} {
		f.noticed("the index", byDisk, func(file []byte) { file[int(index.root*f.pageSize)+pageHeader+4] ^= 1 }, func(j *Journal) error {
			_, err := j.Append(Event{Promotion: lastOfAll, Kind: Note})
			return err
		})
	}
}
