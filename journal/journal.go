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
//
// bbolt only writes it. What is read, is read page by page and no more than is
// asked for (tree.go): bbolt trusts what a page says, and a walk over all of them
// before each look would take longer with every promotion.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
//
// Beside it lies journal.db.whole, a note of the state in which the file was last
// found whole (state.go). It is worth nothing, and may be removed at any time.
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
	// whole is the last state of the file that was found whole, walks how often
	// all of it was looked at for that.
	whole atomic.Pointer[state]
	walks atomic.Int64
	// reads is how many pages were read; for tests.
	reads atomic.Int64
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
		return Event{}, fmt.Errorf("an event of promotion %q and of kind %q cannot be recorded: it lacks one of the two", ev.Promotion, ev.Kind)
	}
	if err := j.create(); err != nil {
		return Event{}, err
	}
	ev.Operator, ev.Text = j.Operator, oneLine(ev.Text)
	var end standing
	err := j.writing(
		func(p *pages) (err error) {
			if end, err = j.standing(p, ev.Promotion); err == nil && end.schema < Schema {
				err = j.keepOld(p, end)
			}
			return err
		},
		func(tx *bbolt.Tx) error {
			if err := upgrade(tx, end); err != nil {
				return err
			}
			return j.append(tx, end.last, &ev)
		})
	if err != nil {
		return Event{}, err
	}
	return ev, nil
}

// standing is what an append goes on from.
type standing struct {
	schema int
	id     string
	last   Event
}

// standing reads it, and with it every page that bbolt is about to write anew: the
// ends of the chain and of the promotion's index, and the way there.
func (j *Journal) standing(p *pages, promotion string) (s standing, err error) {
	if s.schema, err = p.schema(); err != nil {
		return s, err
	}
	if s.id, err = p.identity(); err != nil {
		return s, err
	}
	if s.last, err = p.lastEvent(); err != nil {
		return s, err
	}
	index, err := p.index([]byte(promotion))
	if err == nil && index != nil {
		var found bool
		if _, found, err = index.last(); err == nil && !found {
			err = damagedf("its index of promotion %s is empty", promotion)
		}
	}
	return s, err
}

func (j *Journal) append(tx *bbolt.Tx, last Event, ev *Event) error {
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
	events := tx.Bucket(bucketEvents)
	// What is put at the end never gets a neighbour: a page that is split in two
	// would stay half empty for good.
	events.FillPercent = 1
	if err := errors.Join(events.Put(seqKey(ev.Seq), value), putHead(tx, ev.Hash)); err != nil {
		return err
	}
	// What is returned is what is read back, to the byte.
	if *ev, err = decode(seqKey(ev.Seq), value); err != nil {
		return err
	}
	promotions := tx.Bucket(bucketPromotions)
	promotions.FillPercent = 1
	index, err := promotions.CreateBucketIfNotExists([]byte(ev.Promotion))
	if err != nil {
		return err
	}
	index.FillPercent = 1
	return index.Put(seqKey(ev.Seq), nil)
}

// Promotions lists the ids of all promotions, oldest first: an id begins with
// its UTC time, so their order is the order in which they were opened.
func (j *Journal) Promotions() ([]string, error) { return j.Last(0) }

// Last lists the ids of the last n promotions, of all if n is zero, oldest first.
func (j *Journal) Last(n int) ([]string, error) {
	var ids []string
	err := j.view(func(p *pages) error {
		if err := p.checkNewest(); err != nil {
			return err
		}
		return p.promotions.descend(func(e element) (bool, error) {
			ids = append(ids, string(e.key))
			return len(ids) != n, p.isIndex(e)
		})
	})
	slices.Reverse(ids)
	return ids, err
}

// Events returns the events of one promotion in order; none, if the journal
// has no such promotion.
func (j *Journal) Events(promotion string) ([]Event, error) {
	var list []Event
	err := j.view(func(p *pages) (err error) {
		list, err = p.eventsOf([]byte(promotion))
		return err
	})
	return list, err
}

// Histories returns the events of the last n promotions, all of them if n is
// zero: a list for each promotion, the oldest first, as they stood at one moment.
func (j *Journal) Histories(n int) ([][]Event, error) {
	var lists [][]Event
	err := j.view(func(p *pages) error {
		return p.promotions.descend(func(e element) (bool, error) {
			if err := p.isIndex(e); err != nil {
				return false, err
			}
			list, err := p.eventsOf(e.key)
			lists = append(lists, list)
			return len(lists) != n, err
		})
	})
	slices.Reverse(lists)
	return lists, err
}

// Recent returns the events of the promotions that were at work since the last
// event that settles everything before it: a list for each, that of the settling
// event among them, in the order of their ids, as they stood at one moment.
func (j *Journal) Recent(settles func(Event) bool) ([][]Event, error) {
	var lists [][]Event
	err := j.view(func(p *pages) error {
		if err := p.checkNewest(); err != nil {
			return err
		}
		seen := map[string]bool{}
		err := p.events.descend(func(e element) (bool, error) {
			ev, err := decode(e.key, e.value)
			if err != nil {
				return false, err
			}
			seen[ev.Promotion] = true
			return !settles(ev), nil
		})
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			if err != nil {
				break
			}
			var list []Event
			if list, err = p.eventsOf([]byte(id)); err == nil && len(list) == 0 {
				err = damagedf("it has events of promotion %s, and no index of it", id)
			}
			lists = append(lists, list)
		}
		return err
	})
	return lists, err
}

// index is the index of a promotion; nil, if there is none. One that has become
// something else would be passed over in silence.
func (p *pages) index(promotion []byte) (*bucket, error) {
	index, other, err := p.promotions.bucket(promotion)
	if other {
		err = damagedf("its index of promotion %s is none", promotion)
	}
	return index, err
}

// checkNewest looks whether the last event is listed. Where the disk has left out
// the page that lists it, a promotion or its end would be missing without a word.
func (p *pages) checkNewest() error {
	newest, err := p.lastEvent()
	if err != nil || newest.Seq == 0 {
		return err
	}
	index, err := p.index([]byte(newest.Promotion))
	if err != nil {
		return err
	}
	if index != nil {
		e, _, err := index.last()
		if err != nil || bytes.Equal(e.key, seqKey(newest.Seq)) {
			return err
		}
	}
	return &ChainError{Seq: newest.Seq, Reason: "it is not listed under its promotion"}
}

// isIndex is as index, for one that is at hand.
func (p *pages) isIndex(e element) error {
	if !e.nested {
		return damagedf("its index of promotion %s is none", e.key)
	}
	return nil
}

func (p *pages) eventsOf(promotion []byte) ([]Event, error) {
	index, err := p.index(promotion)
	if index == nil || err != nil {
		return nil, err
	}
	var list []Event
	err = index.each(nil, func(e element) (bool, error) {
		ev, err := p.eventOf(string(promotion), e.key)
		list = append(list, ev)
		return err == nil, err
	})
	if err == nil && len(list) == 0 {
		err = damagedf("its index of promotion %s is empty", promotion)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// view reads the file as it is at one moment. A missing file is an empty history:
// fn is not called, and no file is made.
func (j *Journal) view(fn func(*pages) error) error {
	if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
		return j.lost()
	}
	return j.reading(fn)
}
