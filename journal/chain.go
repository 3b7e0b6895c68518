package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// ChainError names the first record that is not what was once written.
type ChainError struct {
	// Path is the journal's file.
	Path   string
	Seq    int64
	Reason string
	// Backup is the newest backup whose chain is sound; empty if there is none.
	Backup string
}

func (e *ChainError) Error() string {
	if e.Seq == 0 {
		return "a record is damaged: " + e.Reason
	}
	return fmt.Sprintf("record %d is damaged: %s", e.Seq, e.Reason)
}

// Head is the end of the chain, and whose it is: what an audit compares a
// journal with, wherever it was noted down. Only who has the journal's whole
// past can make another event of that number and hash.
type Head struct {
	// Journal is the id of the journal; see [Journal.Head].
	Journal string `json:"journal,omitempty"`
	Seq     int64  `json:"seq"`
	Hash    Hash   `json:"hash"`
}

// Head returns the journal's id with the number and hash of its last event,
// zero for an empty history. It looks at no other event: that is [Journal.Verify].
//
// The id is made with the journal and stays with it and its copies, so that a
// head that was noted elsewhere tells whose history it was, even when all of it
// is gone. A file of an older rel, which has none, is given the id that any copy
// of its history is given.
func (j *Journal) Head() (Head, error) {
	var head Head
	err := j.view(func(p *pages) (err error) {
		head, err = p.head()
		return err
	})
	return head, err
}

func (p *pages) head() (Head, error) {
	id, err := p.identity()
	if err != nil {
		return Head{}, err
	}
	last, err := p.lastEvent()
	if err != nil {
		return Head{}, err
	}
	return Head{Journal: id, Seq: last.Seq, Hash: last.Hash}, nil
}

// lastEvent is the end of the chain; the zero event, if there is none.
func (p *pages) lastEvent() (Event, error) {
	e, found, err := p.events.last()
	if err != nil {
		return Event{}, err
	}
	if !found {
		return Event{}, p.checkEnd(Head{})
	}
	last, err := decode(e.key, e.value)
	if err == nil {
		err = p.checkEnd(Head{Seq: last.Seq, Hash: last.Hash})
	}
	return last, err
}

// checkEnd compares where the chain ends with where it was said to, which lies
// in another page: one that a disk has left out of a transaction holds what it
// held before, and may be a sound chain that ends too soon.
func (p *pages) checkEnd(end Head) error {
	version, err := p.schema()
	if err != nil || version < 2 {
		return err
	}
	noted, err := p.about.value(keyHead)
	if err == nil && !bytes.Equal(noted, end.Hash[:]) {
		err = &ChainError{Seq: end.Seq + 1, Reason: "the chain does not end where it was noted to end"}
	}
	return err
}

func putHead(tx *bbolt.Tx, hash Hash) error {
	return tx.Bucket(bucketMeta).Put(keyHead, hash[:])
}

// At returns the event with a number, and whether there is one. A head that was
// noted down holds if the event at its number has its hash.
func (j *Journal) At(seq int64) (Event, bool, error) {
	var (
		ev    Event
		found bool
	)
	err := j.view(func(p *pages) error {
		key := seqKey(seq)
		value, err := p.events.value(key)
		if value != nil {
			ev, err = decode(key, value)
			found = err == nil
		}
		return err
	})
	return ev, found, err
}

// Verify looks at all of the file, walks the whole chain and returns its head. The
// first event whose hash, number or link to the one before is wrong, or that is not
// in its place under its promotion, is returned as a *[ChainError].
func (j *Journal) Verify() (Head, error) {
	var head Head
	err := j.view(func(p *pages) (err error) {
		if err := p.check(); err != nil {
			return err
		}
		if head, err = p.walk(); err != nil {
			return err
		}
		head.Journal, err = p.identity()
		return err
	})
	if err != nil {
		return Head{}, err
	}
	return head, nil
}

// walk follows the chain, and then holds the promotions' indexes against it.
func (p *pages) walk() (Head, error) {
	var head Head
	// owners has, for each event, the number of its promotion: with hundreds of
	// thousands of events names would fill the memory.
	numbers, owners := map[string]uint32{}, []uint32{0}
	err := p.events.each(nil, func(e element) (bool, error) {
		promotion, hash, err := follow(e, head)
		if err != nil {
			return false, err
		}
		number, known := numbers[string(promotion)]
		if !known {
			number = uint32(len(numbers)) + 1
			numbers[string(promotion)] = number
		}
		owners = append(owners, number)
		head = Head{Seq: head.Seq + 1, Hash: hash}
		return true, nil
	})
	if err != nil {
		return head, err
	}
	if err := p.checkEnd(head); err != nil {
		return head, err
	}
	return head, p.checkIndexes(numbers, owners)
}

// checkIndexes holds what each promotion lists against whose the events are.
func (p *pages) checkIndexes(numbers map[string]uint32, owners []uint32) error {
	err := p.promotions.each(nil, func(e element) (bool, error) {
		index, err := p.index(e.key)
		if err != nil {
			return false, err
		}
		number := numbers[string(e.key)]
		err = index.each(nil, func(listed element) (bool, error) {
			seq := uint64(0)
			if len(listed.key) == 8 {
				seq = binary.BigEndian.Uint64(listed.key)
			}
			if number == 0 || seq >= uint64(len(owners)) || owners[seq] != number {
				return false, &ChainError{Reason: fmt.Sprintf("promotion %s lists an event that is not its own", e.key)}
			}
			owners[seq] = 0
			return true, nil
		})
		return err == nil, err
	})
	if err != nil {
		return err
	}
	for seq, owner := range owners {
		if owner != 0 {
			return &ChainError{Seq: int64(seq), Reason: "it is not listed under its promotion"}
		}
	}
	return nil
}

// follow finds out whose the stored event is that is to come after head. All but
// those that somebody has tampered with are taken at their hash: of what it covers
// no more is read than it takes to know where the event belongs.
func follow(e element, head Head) (promotion []byte, hash Hash, err error) {
	if len(e.key) == 8 && int64(binary.BigEndian.Uint64(e.key)) == head.Seq+1 && len(e.value) >= len(hash) {
		hash = Hash(e.value[:len(hash)])
		body := e.value[len(hash):]
		if promotion, ok := frame(body, head); ok && bytes.Equal(hash[:], sum(head.Hash, body)) {
			return promotion, hash, nil
		}
	}
	ev, err := decode(e.key, e.value)
	var chain *ChainError
	if errors.As(err, &chain) {
		// All before it are sound: whatever number it gives itself.
		chain.Seq = head.Seq + 1
		return nil, hash, err
	}
	if ev.Seq != head.Seq+1 || ev.Prev != head.Hash {
		return nil, hash, &ChainError{Seq: head.Seq + 1, Reason: "it does not follow the event before it"}
	}
	return []byte(ev.Promotion), ev.Hash, err
}

// frame reads the promotion off an event that begins and ends as the one after
// head does:
//
//	{"seq":2,"at":"2026-11-22T18:32:30.357Z","promotion":"20261122-183229-dc8876b",...,"prev":"2893..."}
//
// One that is written in another way is for [decode] to judge.
func frame(body []byte, head Head) (promotion []byte, ok bool) {
	prev, _ := head.Hash.MarshalText()
	rest, begins := bytes.CutPrefix(body, fmt.Appendf(nil, `{"seq":%d,"at":"`, head.Seq+1))
	if !begins || !bytes.HasSuffix(body, fmt.Appendf(nil, `"prev":"%s"}`, prev)) {
		return nil, false
	}
	if _, rest, ok = bytes.Cut(rest, []byte(`","promotion":"`)); !ok {
		return nil, false
	}
	promotion, _, ok = bytes.Cut(rest, []byte(`"`))
	return promotion, ok && !bytes.ContainsRune(promotion, '\\')
}

func seqKey(seq int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(seq)) }

// decode reads one stored event and checks it against its own hash: bbolt has
// no checksum on data pages, so this is what makes damage evident.
func decode(key, value []byte) (Event, error) {
	if len(key) != 8 || len(value) < len(Hash{}) {
		return Event{}, &ChainError{Reason: "a record is cut short"}
	}
	seq := int64(binary.BigEndian.Uint64(key))
	var ev Event
	body := value[len(ev.Hash):]
	if err := json.Unmarshal(body, &ev); err != nil {
		return Event{}, &ChainError{Seq: seq, Reason: "it is not an event"}
	}
	ev.Hash = Hash(value[:len(ev.Hash)])
	if ev.Seq != seq || !bytes.Equal(ev.Hash[:], sum(ev.Prev, body)) {
		return Event{}, &ChainError{Seq: seq, Reason: "its content does not match its hash"}
	}
	return ev, nil
}

func sum(prev Hash, body []byte) []byte {
	h := sha256.New()
	h.Write(prev[:])
	h.Write(body)
	return h.Sum(nil)
}

func chain(prev Hash, body []byte) Hash { return Hash(sum(prev, body)) }
