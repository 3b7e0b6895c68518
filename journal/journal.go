// Package journal keeps what happened, in order, for good.
//
// The one noun here is the [Event]: something that was about to happen, has
// happened or has failed, stamped with a sequence number, the time and the
// operator, and chained to the event before it by a hash. Events are only ever
// appended. The package knows bytes on disk; what the events are for is the
// business of its callers.
//
// Two doors by weight: [Journal.Append] is for events, each its own fsynced
// commit; [Journal.Output] is for what hosts print, one plain file per attempt
// beside the database, best effort.
//
// The database is opened for each transaction and closed again. An open bbolt
// writer shuts out every other process, readers too, so a journal that stayed
// open would leave `rel log` hanging for as long as a promotion runs.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// The bucket tree, as it lies on disk:
//
//	meta/
//	    schema            the schema version, in decimal
//	    id                32-byte hash of the id, then the id in hex
//	    head              32-byte hash of the last event, zeros if there is none
//	events/
//	    <8-byte seq>      32-byte hash, then the event as JSON (without its hash)
//	promotions/
//	    <promotion id>/
//	        <8-byte seq>  empty; the index from a promotion to its events
//
// Sequence numbers are big-endian, so that bbolt's byte order is their order.
var (
	bucketMeta       = []byte("meta")
	bucketEvents     = []byte("events")
	bucketPromotions = []byte("promotions")
	keySchema        = []byte("schema")
	keyID            = []byte("id")
	keyHead          = []byte("head")
)

// Journal is the operator's record of all promotions of one app, in one file.
// It holds nothing open; its methods may be called by several goroutines and
// from several processes.
type Journal struct {
	path string
	// Operator is stamped on every appended event.
	Operator Operator
	now      func() time.Time
	// walked is the last state of the file whose pages were found whole.
	walked atomic.Pointer[state]
}

// New returns the journal at path. It touches no file: a journal that does not
// exist yet is an empty history, and becomes a file with its first event.
func New(path string) *Journal {
	return &Journal{path: path, now: time.Now}
}

// Path is the database's file.
func (j *Journal) Path() string { return j.path }

// Append stamps ev with its number, time, operator and hash, and returns it as
// recorded. When Append returns without an error the event is on disk.
//
// A *[BusyError], *[DamagedError], *[ChainError] or *[NewerError] says why it
// could not be. After another error, the disk's, the event may be there or not.
func (j *Journal) Append(ev Event) (Event, error) {
	if ev.Promotion == "" || ev.Kind == "" {
		return Event{}, fmt.Errorf("journal: event without promotion or kind: %+v", ev)
	}
	if err := j.create(); err != nil {
		return Event{}, err
	}
	ev.Operator, ev.Text = j.Operator, oneLine(ev.Text)
	err := j.with(false, func(db *bbolt.DB) error {
		if err := db.View(j.keepOld); err != nil {
			return err
		}
		return db.Update(func(tx *bbolt.Tx) error {
			if err := upgrade(tx); err != nil {
				return err
			}
			return j.append(tx, &ev)
		})
	})
	if err != nil {
		return Event{}, err
	}
	return ev, nil
}

func (j *Journal) append(tx *bbolt.Tx, ev *Event) error {
	events := tx.Bucket(bucketEvents)
	last, err := lastEvent(tx)
	if err != nil {
		return err
	}
	if last.Seq == 0 {
		// Within the lock, so that no one else's event can be acknowledged in a
		// file whose name a power cut may still take away.
		if err := syncDir(filepath.Dir(j.path)); err != nil {
			return err
		}
	}
	ev.Seq, ev.Prev = last.Seq+1, last.Hash
	ev.At = j.now().UTC().Round(time.Millisecond)
	body, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	ev.Hash = chain(ev.Prev, body)
	value := append(ev.Hash[:], body...)
	if err := errors.Join(events.Put(seqKey(ev.Seq), value), putHead(tx, ev.Hash)); err != nil {
		return err
	}
	// What is returned is what is read back, to the byte.
	if *ev, err = decode(seqKey(ev.Seq), value); err != nil {
		return err
	}
	index, err := indexOf(tx, []byte(ev.Promotion))
	if err == nil && index == nil {
		index, err = tx.Bucket(bucketPromotions).CreateBucket([]byte(ev.Promotion))
	}
	if err != nil {
		return err
	}
	return index.Put(seqKey(ev.Seq), nil)
}

// Promotions lists the ids of all promotions, oldest first: an id begins with
// its UTC time, so their order is the order in which they were opened.
func (j *Journal) Promotions() ([]string, error) {
	var ids []string
	err := j.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketPromotions).ForEach(func(id, _ []byte) error {
			_, err := indexOf(tx, id)
			ids = append(ids, string(id))
			return err
		})
	})
	return ids, err
}

// Events returns the events of one promotion in order; none, if the journal
// has no such promotion.
func (j *Journal) Events(promotion string) ([]Event, error) {
	var list []Event
	err := j.view(func(tx *bbolt.Tx) (err error) {
		list, err = eventsOf(tx, []byte(promotion))
		return err
	})
	return list, err
}

// Histories returns the events of the last n promotions, all of them if n is
// zero: a list for each promotion, the oldest first, as they stood at one moment.
func (j *Journal) Histories(n int) ([][]Event, error) {
	var lists [][]Event
	err := j.view(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketPromotions).Cursor()
		for id, _ := cursor.Last(); id != nil; id, _ = cursor.Prev() {
			list, err := eventsOf(tx, id)
			if err != nil {
				return err
			}
			if lists = append(lists, list); len(lists) == n {
				break
			}
		}
		return nil
	})
	slices.Reverse(lists)
	return lists, err
}

// indexOf is the index of a promotion; nil, if there is none. One that has
// become something else would be passed over in silence.
func indexOf(tx *bbolt.Tx, promotion []byte) (*bbolt.Bucket, error) {
	promotions := tx.Bucket(bucketPromotions)
	index := promotions.Bucket(promotion)
	if index == nil && promotions.Get(promotion) != nil {
		return nil, damagedf("its index of promotion %s is none", promotion)
	}
	return index, nil
}

func eventsOf(tx *bbolt.Tx, promotion []byte) ([]Event, error) {
	index, err := indexOf(tx, promotion)
	if index == nil {
		return nil, err
	}
	var list []Event
	events := tx.Bucket(bucketEvents)
	err = index.ForEach(func(key, _ []byte) error {
		ev, err := decode(key, events.Get(key))
		if err == nil && ev.Promotion != string(promotion) {
			err = &ChainError{Seq: ev.Seq, Reason: "it is listed under another promotion"}
		}
		if err != nil {
			return err
		}
		list = append(list, ev)
		return nil
	})
	return list, err
}

// view reads in one transaction. A missing file is an empty history: fn is not
// called, and no file is made.
func (j *Journal) view(fn func(*bbolt.Tx) error) error {
	if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
		return j.lost()
	}
	return j.with(true, func(db *bbolt.DB) error { return db.View(fn) })
}
