package journal

import (
	"bytes"
	"io"
)

// bbolt believes what its pages say: one damaged byte in them can send it round
// in circles for ever, exhaust the stack, which nothing recovers from, hide the
// last events, or have it write over a page that is in use. The records' hashes
// tell of none of these in time. So the pages are walked before bbolt sees them.
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

// pages are those that the newer meta speaks of.
type pages struct {
	meta
	file []byte
	used []bool
}

// readPages reads what belongs to the database, of a file of size bytes.
func readPages(file io.ReaderAt, size int64) (*pages, error) {
	metas, err := readMetas(file)
	if err != nil {
		return nil, err
	}
	p := &pages{meta: metas[0]}
	if metas[1].tx > metas[0].tx {
		p.meta = metas[1]
	}
	if p.high < 4 || p.high > uint64(size)/p.pageSize {
		return nil, damagedf("it should have %d pages of %d bytes, and has %d bytes", p.high, p.pageSize, size)
	}
	p.file, p.used = make([]byte, p.high*p.pageSize), make([]bool, p.high)
	_, err = file.ReadAt(p.file, 0)
	return p, err
}

// check walks the whole tree and the free list: each page must be reached once,
// be in order within, and what is reached by neither must not exist. bbolt
// leaves no page out, so a page that nothing leads to was lost.
func (p *pages) check() error {
	p.used[0], p.used[1] = true, true
	if err := p.tree(p.root, 0, nil, nil); err != nil {
		return err
	}
	if err := p.free(); err != nil {
		return err
	}
	for id, used := range p.used {
		if !used {
			return damagedf("page %d is neither in use nor free", id)
		}
	}
	return nil
}

// take is a page with what it runs on over; it may be taken once.
func (p *pages) take(id uint64) ([]byte, error) {
	if id >= p.high {
		return nil, damagedf("page %d is beyond the end", id)
	}
	page := p.file[id*p.pageSize:]
	n := 1 + uint64(native.Uint32(page[12:]))
	if native.Uint64(page) != id || n > p.high-id {
		return nil, damagedf("page %d is not what was written", id)
	}
	for i := id; i < id+n; i++ {
		if p.used[i] {
			return nil, damagedf("page %d is in use twice", i)
		}
		p.used[i] = true
	}
	return page[:n*p.pageSize], nil
}

// tree checks page id of a bucket and all below it. Their keys are not before
// from, and before to; nil is no bound.
func (p *pages) tree(id uint64, depth int, from, to []byte) error {
	page, err := p.take(id)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return damagedf("page %d lies too deep", id)
	}
	switch kind := native.Uint16(page[8:]); kind {
	case pageLeaf:
		_, err := p.leaf(page, from, to)
		return err
	case pageBranch:
		return p.branch(page, depth, from, to)
	default:
		return damagedf("page %d is of kind %#x", id, kind)
	}
}

func (p *pages) branch(page []byte, depth int, from, to []byte) error {
	var children []uint64
	var keys [][]byte
	_, err := elements(page, from, to, func(head, key, _ []byte) error {
		children, keys = append(children, native.Uint64(head[8:])), append(keys, key)
		return nil
	})
	if err != nil {
		return err
	}
	if len(children) == 0 {
		return damagedf("page %d leads nowhere", native.Uint64(page))
	}
	keys = append(keys, to)
	for i, child := range children {
		if err := p.tree(child, depth+1, keys[i], keys[i+1]); err != nil {
			return err
		}
	}
	return nil
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

// bucket checks what a bucket's name stands for: the number of its first page,
// or, if that is 0, a small page of its own within the value.
func (p *pages) bucket(value []byte) error {
	if len(value) < bucketHeader {
		return damagedf("a bucket is cut short")
	}
	root, inline := native.Uint64(value), value[bucketHeader:]
	if root != 0 {
		if len(inline) != 0 {
			return damagedf("a bucket is in two places")
		}
		return p.tree(root, 0, nil, nil)
	}
	if len(inline) < pageHeader || native.Uint16(inline[8:]) != pageLeaf {
		return damagedf("a small bucket is not what was written")
	}
	end, err := p.leaf(inline, nil, nil)
	if err == nil && end != len(inline) {
		err = damagedf("a small bucket ends elsewhere")
	}
	return err
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

// free checks the list of the pages that bbolt may write over. Its length is
// in its first element where the count has no room for it.
func (p *pages) free() error {
	page, err := p.take(p.freeList)
	if err != nil {
		return err
	}
	count, ids := uint64(native.Uint16(page[10:])), page[pageHeader:]
	if count == 0xFFFF {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if native.Uint16(page[8:]) != pageFreeList || count > uint64(len(ids)/8) {
		return damagedf("page %d is no list of free pages", p.freeList)
	}
	for ; count > 0; count, ids = count-1, ids[8:] {
		id := native.Uint64(ids)
		if id >= p.high || p.used[id] {
			return damagedf("page %d is in use, or beyond the end, and among the free", id)
		}
		p.used[id] = true
	}
	return nil
}
