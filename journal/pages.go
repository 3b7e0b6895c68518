package journal

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// bbolt believes what its pages say: one damaged byte in them can send it round
// in circles for ever, exhaust the stack, which nothing recovers from, hide the
// last events, or have it write over a page that is in use. The records' hashes
// tell of none of these in time. So what is read is read here, page by page and
// each looked at first (tree.go), and bbolt, which only writes, gets to see a
// file that is known to be whole (state.go).
//
// A page begins with its number (8 bytes), its kind (2), the count of its
// elements (2) and how many more pages it runs on over (4).
const (
	pageHeader    = 16
	elementHeader = 16 // of a branch's and of a leaf's elements alike
	bucketHeader  = 16 // the number of a bucket's first page, and a counter

	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageMeta     = 0x04
	pageFreeList = 0x10

	// maxDepth is far beyond a tree of two elements a page that fills a disk.
	maxDepth = 64
)

// pages are those that the newer meta speaks of. They are read when they are
// asked for: of a journal of gigabytes, most commands need some ten.
type pages struct {
	meta
	file io.ReaderAt
	// list is the page of the free list, free what it holds.
	list []byte
	free []uint64
	// nodes are those that were read for a look-up, reads how many pages were.
	nodes map[uint64]*node
	reads int
	// events, promotions and about are the buckets of a journal.
	events, promotions, about *bucket
	// used marks what a walk over everything has reached, and spare is what it
	// reads into.
	used  []bool
	spare [][]byte
}

// readPages reads, of a file of size bytes, what all else depends on.
func readPages(file io.ReaderAt, size int64) (*pages, error) {
	metas, err := readMetas(file)
	if err != nil {
		return nil, err
	}
	p := &pages{meta: metas[0], file: file, nodes: map[uint64]*node{}}
	if metas[1].tx > metas[0].tx {
		p.meta = metas[1]
	}
	if p.high < 4 || p.high > uint64(size)/p.pageSize {
		return nil, damagedf("it should have %d pages of %d bytes, and has %d bytes", p.high, p.pageSize, size)
	}
	return p, p.readFree()
}

// read reads a page with what it runs on over, into a slice that it may grow.
func (p *pages) read(id uint64, into []byte) ([]byte, error) {
	if id < 2 || id >= p.high {
		return nil, damagedf("page %d is beyond the end", id)
	}
	page, err := p.readAt(id, 1, into)
	if err != nil {
		return nil, err
	}
	n := 1 + uint64(native.Uint32(page[12:]))
	if native.Uint64(page) != id || n > p.high-id {
		return nil, damagedf("page %d is not what was written", id)
	}
	if n > 1 {
		page, err = p.readAt(id, n, page)
	}
	return page, err
}

func (p *pages) readAt(id, n uint64, into []byte) ([]byte, error) {
	p.reads += int(n)
	page := slices.Grow(into[:0], int(n*p.pageSize))[:n*p.pageSize]
	_, err := p.file.ReadAt(page, int64(id*p.pageSize))
	if errors.Is(err, io.EOF) {
		return nil, damagedf("it was cut short while in use")
	}
	return page, err
}

// readFree reads the list of the pages that bbolt may write over, in which each
// is to be there once, in order. Its length is in its first element where the
// count has no room for it.
func (p *pages) readFree() (err error) {
	if p.list, err = p.read(p.freeList, nil); err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(p.list[10:])), p.list[pageHeader:]
	if count == 0xFFFF {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(p.list[8:]) != pageFreeList || count > uint64(len(ids))/8 {
		return damagedf("page %d, the list of free pages, is not what was written", p.freeList)
	}
	p.free = make([]uint64, count)
	for i := range p.free {
		id := native.Uint64(ids[i*8:])
		if id < 2 || id >= p.high || i > 0 && id <= p.free[i-1] {
			return damagedf("page %d cannot be free", id)
		}
		p.free[i] = id
	}
	return nil
}

// isFree reports whether bbolt may write over the page: nothing may lead to it.
func (p *pages) isFree(id uint64) bool {
	_, free := slices.BinarySearch(p.free, id)
	return free
}

// check walks the whole tree and the free list: each page must be reached once,
// be in order within, and what is reached by neither must not exist. bbolt
// leaves no page out, so a page that nothing leads to was lost.
func (p *pages) check() error {
	p.used = make([]bool, p.high)
	p.used[0], p.used[1] = true, true
	if err := p.tree(p.root, 0, nil, nil); err != nil {
		return err
	}
	if err := p.mark(p.freeList, p.list); err != nil {
		return err
	}
	for _, id := range p.free {
		if p.used[id] {
			return damagedf("page %d is in use and free", id)
		}
		p.used[id] = true
	}
	for id, used := range p.used {
		if !used {
			return damagedf("page %d is neither in use nor free", id)
		}
	}
	return nil
}

// mark notes that a page with what it runs on over is in use; once only.
func (p *pages) mark(id uint64, page []byte) error {
	for i := range uint64(len(page)) / p.pageSize {
		if p.used[id+i] {
			return damagedf("page %d is in use twice", id+i)
		}
		p.used[id+i] = true
	}
	return nil
}

// tree checks page id of a bucket and all below it. Their keys are not before
// from, and before to; nil is no bound.
func (p *pages) tree(id uint64, depth int, from, to []byte) error {
	var into []byte
	if n := len(p.spare); n > 0 {
		into, p.spare = p.spare[n-1], p.spare[:n-1]
	}
	page, err := p.read(id, into)
	if err != nil {
		return err
	}
	defer func() { p.spare = append(p.spare, page) }()
	if err := p.mark(id, page); err != nil {
		return err
	}
	if depth > maxDepth {
		return damagedf("page %d lies too deep", id)
	}
	end := 0
	switch kind := native.Uint16(page[8:]); kind {
	case pageLeaf:
		end, err = p.leaf(page, from, to)
	case pageBranch:
		end, err = p.branch(page, depth, from, to)
	default:
		return damagedf("page %d is of kind %#x", id, kind)
	}
	if err != nil {
		return err
	}
	return p.fits(page, depth, end)
}

// fits checks what is beyond a page's elements: a page runs on over no more
// than it fills, or bbolt would free what others have; and only a bucket's first
// page may be empty.
func (p *pages) fits(page []byte, depth, end int) error {
	if end <= len(page)-int(p.pageSize) {
		return damagedf("page %d runs on over pages that it does not fill", native.Uint64(page))
	}
	if depth > 0 && native.Uint16(page[10:]) == 0 {
		return damagedf("page %d holds nothing", native.Uint64(page))
	}
	return nil
}

func (p *pages) branch(page []byte, depth int, from, to []byte) (end int, err error) {
	var children []uint64
	var keys [][]byte
	end, err = elements(page, from, to, func(head, key, _ []byte) error {
		children, keys = append(children, native.Uint64(head[8:])), append(keys, key)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(children) == 0 {
		return 0, damagedf("page %d leads nowhere", native.Uint64(page))
	}
	keys = append(keys, to)
	for i, child := range children {
		if err := p.tree(child, depth+1, keys[i], keys[i+1]); err != nil {
			return 0, err
		}
	}
	return end, nil
}

// leaf checks a page of buckets or values; end is where its last one ends.
func (p *pages) leaf(page []byte, from, to []byte) (end int, err error) {
	return elements(page, from, to, func(head, _, value []byte) error {
		switch native.Uint32(head) {
		case 0:
			return nil
		case 1:
			return p.bucket(value)
		}
		return damagedf("page %d holds what is neither a value nor a bucket", native.Uint64(page))
	})
}

// bucket checks what a bucket's name stands for.
func (p *pages) bucket(value []byte) error {
	root, inline, err := readBucket(value)
	if err != nil {
		return err
	}
	if root != 0 {
		return p.tree(root, 0, nil, nil)
	}
	end, err := p.leaf(inline, nil, nil)
	if err == nil && end != len(inline) {
		err = damagedf("a small bucket ends elsewhere")
	}
	return err
}

// readBucket reads what a bucket's name stands for: the number of its first
// page, or, if that is 0, a small page of its own within the value.
func readBucket(value []byte) (root uint64, inline []byte, err error) {
	if len(value) < bucketHeader {
		return 0, nil, damagedf("a bucket is cut short")
	}
	root, inline = native.Uint64(value), value[bucketHeader:]
	if root != 0 && len(inline) != 0 {
		return 0, nil, damagedf("a bucket is in two places")
	}
	if root == 0 && (len(inline) < pageHeader || native.Uint16(inline[8:]) != pageLeaf) {
		return 0, nil, damagedf("a small bucket is not what was written")
	}
	return root, inline, nil
}

// elements walks the elements of a page. An element's head lies in a row behind
// the page's and says where its key and value are; bbolt packs these in the
// same order without a gap behind the last head, so that a count or length
// that has changed does not hide an element.
func elements(page []byte, from, to []byte, fn func(head, key, value []byte) error) (end int, err error) {
	id, count := native.Uint64(page), int(native.Uint16(page[10:]))
	end = pageHeader + count*elementHeader
	if end > len(page) {
		return 0, damagedf("page %d has no room for its %d elements", id, count)
	}
	leaf := native.Uint16(page[8:]) == pageLeaf
	for i := range count {
		at := pageHeader + i*elementHeader
		head := page[at : at+elementHeader]
		pos, keySize, valueSize := native.Uint32(head), uint64(native.Uint32(head[4:])), uint64(0)
		if leaf {
			pos, keySize, valueSize = native.Uint32(head[4:]), uint64(native.Uint32(head[8:])), uint64(native.Uint32(head[12:]))
		}
		if at+int(pos) != end || keySize == 0 || keySize+valueSize > uint64(len(page)-end) {
			return 0, damagedf("page %d: element %d is not where it was written", id, i)
		}
		value := end + int(keySize)
		key := page[end:value]
		end = value + int(valueSize)
		if i > 0 && bytes.Compare(from, key) >= 0 || i == 0 && bytes.Compare(from, key) > 0 || to != nil && bytes.Compare(key, to) >= 0 {
			return 0, damagedf("page %d: element %d is out of order", id, i)
		}
		from = key
		if err := fn(head, key, page[value:end]); err != nil {
			return 0, err
		}
	}
	return end, nil
}
