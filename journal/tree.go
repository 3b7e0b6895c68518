package journal

import (
	"bytes"
	"slices"
)

// node is a page of a tree, taken apart once it was found to be in order.
type node struct {
	leaf     bool
	elements []element
}

// element is a key with what it stands for: another page in a branch, in a leaf a
// value or a bucket.
type element struct {
	key, value []byte
	child      uint64
	nested     bool
}

// nodesKept bounds what is kept of a long reading. The upper pages of the trees,
// which every look-up goes through, are few.
const nodesKept = 512

// node reads page id of a tree. Nothing below it is looked at, but all that the
// page itself says: its keys are not before from, and before to.
func (p *pages) node(id uint64, depth int, from, to []byte) (*node, error) {
	n := p.nodes[id]
	if n == nil {
		if p.isFree(id) {
			return nil, damagedf("page %d is in use and free", id)
		}
		page, err := p.read(id, nil)
		if err != nil {
			return nil, err
		}
		var end int
		if n, end, err = takeApart(page); err != nil {
			return nil, err
		}
		if err := p.fits(page, depth, end); err != nil {
			return nil, err
		}
		if len(p.nodes) >= nodesKept {
			clear(p.nodes)
		}
		p.nodes[id] = n
	}
	if depth > maxDepth {
		return nil, damagedf("page %d lies too deep", id)
	}
	if count := len(n.elements); count > 0 &&
		(bytes.Compare(n.elements[0].key, from) < 0 || to != nil && bytes.Compare(n.elements[count-1].key, to) >= 0) {
		return nil, damagedf("page %d is out of order", id)
	}
	return n, nil
}

// takeApart takes a page apart; end is where its last element ends.
func takeApart(page []byte) (n *node, end int, err error) {
	id, kind, count := native.Uint64(page), native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	if kind != pageLeaf && kind != pageBranch {
		return nil, 0, damagedf("page %d is of kind %#x", id, kind)
	}
	n = &node{leaf: kind == pageLeaf, elements: make([]element, 0, min(count, len(page)/elementHeader))}
	end, err = elements(page, nil, nil, func(head, key, value []byte) error {
		e := element{key: key, value: value}
		if !n.leaf {
			e.child = native.Uint64(head[8:])
		} else if flags := native.Uint32(head); flags > 1 {
			return damagedf("page %d holds what is neither a value nor a bucket", id)
		} else {
			e.nested = flags == 1
		}
		n.elements = append(n.elements, e)
		return nil
	})
	if err == nil && !n.leaf && len(n.elements) == 0 {
		err = damagedf("page %d leads nowhere", id)
	}
	return n, end, err
}

// bucket is a tree of keys: in pages of its own, or a small one.
type bucket struct {
	pages *pages
	root  uint64
	small *node
}

// top is the bucket of the buckets.
func (p *pages) top() *bucket { return &bucket{pages: p, root: p.root} }

// bucket is the one that a name in b stands for; nil, if there is none. other says
// that the name stands for something else.
func (b *bucket) bucket(name []byte) (found *bucket, other bool, err error) {
	e, ok, err := b.get(name)
	if err != nil || !ok || !e.nested {
		return nil, ok, err
	}
	root, inline, err := readBucket(e.value)
	if err != nil || root != 0 {
		return &bucket{pages: b.pages, root: root}, false, err
	}
	small, end, err := takeApart(inline)
	if err == nil && end != len(inline) {
		err = damagedf("a small bucket ends elsewhere")
	}
	return &bucket{pages: b.pages, small: small}, false, err
}

// first is b's first page.
func (b *bucket) first() (*node, error) {
	if b.small != nil {
		return b.small, nil
	}
	return b.pages.node(b.root, 0, nil, nil)
}

// value is what a key stands for; nil, if it stands for none.
func (b *bucket) value(key []byte) ([]byte, error) {
	e, ok, err := b.get(key)
	if err != nil || !ok || e.nested {
		return nil, err
	}
	return e.value, nil
}

// get goes down to one key.
func (b *bucket) get(key []byte) (e element, found bool, err error) {
	n, err := b.first()
	var from, to []byte
	for depth := 1; err == nil && !n.leaf; depth++ {
		i := n.at(key)
		from, to = n.bounds(i, from, to)
		n, err = b.pages.node(n.elements[i].child, depth, from, to)
	}
	if err != nil {
		return element{}, false, err
	}
	i, found := n.search(key)
	if !found {
		return element{}, false, nil
	}
	return n.elements[i], true, nil
}

func (n *node) search(key []byte) (int, bool) {
	return slices.BinarySearchFunc(n.elements, key, func(e element, key []byte) int { return bytes.Compare(e.key, key) })
}

// at is the element of a branch that leads to a key: the last that does not lie
// beyond it.
func (n *node) at(key []byte) int {
	i, found := n.search(key)
	if !found && i > 0 {
		i--
	}
	return i
}

// bounds are what the keys below element i of a branch are to lie between.
func (n *node) bounds(i int, from, to []byte) (low, high []byte) {
	low, high = n.elements[i].key, to
	if i+1 < len(n.elements) {
		high = n.elements[i+1].key
	}
	return low, high
}

// last is the last element; found is whether there is one.
func (b *bucket) last() (e element, found bool, err error) {
	err = b.descend(func(last element) (bool, error) {
		e, found = last, true
		return false, nil
	})
	return e, found, err
}

// each gives fn all elements whose keys are not before from, in order, until fn
// wants no more.
func (b *bucket) each(from []byte, fn func(element) (more bool, err error)) error {
	n, err := b.first()
	if err != nil {
		return err
	}
	_, err = b.up(n, 1, nil, nil, from, fn)
	return err
}

func (b *bucket) up(n *node, depth int, from, to, start []byte, fn func(element) (bool, error)) (more bool, err error) {
	if n.leaf {
		i, _ := n.search(start)
		for _, e := range n.elements[i:] {
			if more, err := fn(e); !more || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	for i := n.at(start); i < len(n.elements); i++ {
		low, high := n.bounds(i, from, to)
		child, err := b.pages.node(n.elements[i].child, depth, low, high)
		if err != nil {
			return false, err
		}
		if more, err := b.up(child, depth+1, low, high, start, fn); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// descend gives fn all elements, the last first, until fn wants no more.
func (b *bucket) descend(fn func(element) (more bool, err error)) error {
	n, err := b.first()
	if err != nil {
		return err
	}
	_, err = b.down(n, 1, nil, nil, fn)
	return err
}

func (b *bucket) down(n *node, depth int, from, to []byte, fn func(element) (bool, error)) (more bool, err error) {
	for i, e := range slices.Backward(n.elements) {
		if n.leaf {
			if more, err := fn(e); !more || err != nil {
				return false, err
			}
			continue
		}
		low, high := n.bounds(i, from, to)
		child, err := b.pages.node(e.child, depth, low, high)
		if err != nil {
			return false, err
		}
		if more, err := b.down(child, depth+1, low, high, fn); !more || err != nil {
			return false, err
		}
	}
	return true, nil
}
