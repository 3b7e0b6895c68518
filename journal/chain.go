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
	err := j.view(func(tx *bbolt.Tx) (err error) {
		head, err = headOf(tx)
		return err
	})
	return head, err
}

func headOf(tx *bbolt.Tx) (Head, error) {
	id, err := identity(tx)
	if err != nil {
		return Head{}, err
	}
	last, err := lastEvent(tx)
	if err != nil {
		return Head{}, err
	}
	return Head{Journal: id, Seq: last.Seq, Hash: last.Hash}, nil
}

// lastEvent is the end of the chain; the zero event, if there is none.
func lastEvent(tx *bbolt.Tx) (Event, error) {
	key, value := tx.Bucket(bucketEvents).Cursor().Last()
	if key == nil {
		return Event{}, checkEnd(tx, Head{})
	}
	last, err := decode(key, value)
	if err == nil {
		err = checkEnd(tx, Head{Seq: last.Seq, Hash: last.Hash})
	}
	return last, err
}

// checkEnd compares where the chain ends with where it was said to, which lies
// in another page: one that a disk has left out of a transaction holds what it
// held before, and may be a sound chain that ends too soon.
func checkEnd(tx *bbolt.Tx, end Head) error {
	version, err := schemaOf(tx)
	if err != nil || version < 2 {
		return err
	}
	if !bytes.Equal(tx.Bucket(bucketMeta).Get(keyHead), end.Hash[:]) {
		return &ChainError{Seq: end.Seq + 1, Reason: "the chain does not end where it was noted to end"}
	}
	return nil
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
	err := j.view(func(tx *bbolt.Tx) (err error) {
		key := seqKey(seq)
		if value := tx.Bucket(bucketEvents).Get(key); value != nil {
			ev, err = decode(key, value)
			found = err == nil
		}
		return err
	})
	return ev, found, err
}

// Verify walks the whole chain and returns its head. The first event whose
// hash, number, link to the one before or place under its promotion is wrong is
// returned as a *[ChainError].
func (j *Journal) Verify() (Head, error) {
	var head Head
	err := j.view(func(tx *bbolt.Tx) (err error) {
		if head, err = walk(tx); err != nil {
			return err
		}
		head.Journal, err = identity(tx)
		return err
	})
	if err != nil {
		return Head{}, err
	}
	return head, nil
}

func walk(tx *bbolt.Tx) (Head, error) {
	var head Head
	listed := map[string]int{}
	promotions := tx.Bucket(bucketPromotions)
	err := tx.Bucket(bucketEvents).ForEach(func(key, value []byte) error {
		ev, err := decode(key, value)
		var chain *ChainError
		if errors.As(err, &chain) {
			// All before it are sound: whatever number it gives itself.
			chain.Seq = head.Seq + 1
			return err
		}
		if ev.Seq != head.Seq+1 || ev.Prev != head.Hash {
			return &ChainError{Seq: head.Seq + 1, Reason: "it does not follow the event before it"}
		}
		index := promotions.Bucket([]byte(ev.Promotion))
		if index == nil || index.Get(key) == nil {
			return &ChainError{Seq: ev.Seq, Reason: "it is not listed under its promotion"}
		}
		listed[ev.Promotion]++
		head = Head{Seq: ev.Seq, Hash: ev.Hash}
		return nil
	})
	if err != nil {
		return head, err
	}
	if err := checkEnd(tx, head); err != nil {
		return head, err
	}
	return head, promotions.ForEach(func(id, _ []byte) error {
		index, err := indexOf(tx, id)
		if err != nil {
			return err
		}
		return index.ForEach(func(_, _ []byte) error {
			if listed[string(id)]--; listed[string(id)] < 0 {
				return &ChainError{Reason: fmt.Sprintf("promotion %s lists an event that is not its own", id)}
			}
			return nil
		})
	})
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
