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
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// The bucket tree, as it lies on disk:
//
//	meta/
//	    schema            the schema version, in decimal
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
)

// Journal is the operator's record of all promotions of one app, in one file.
// It holds nothing open; its methods may be called by several goroutines and
// from several processes.
type Journal struct {
	path string
	// Operator is stamped on every appended event.
	Operator Operator
	now      func() time.Time
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
// A *[BusyError] or *[DamagedError] says why it could not be.
func (j *Journal) Append(ev Event) (Event, error) {
	if ev.Promotion == "" || ev.Kind == "" {
		return Event{}, fmt.Errorf("journal: event without promotion or kind: %+v", ev)
	}
	if err := j.create(); err != nil {
		return Event{}, err
	}
	ev.Operator, ev.Text = j.Operator, oneLine(ev.Text)
	err := j.with(false, func(db *bbolt.DB) error {
		return db.Update(func(tx *bbolt.Tx) error { return j.append(tx, &ev) })
	})
	return ev, err
}

func (j *Journal) append(tx *bbolt.Tx, ev *Event) error {
	events := tx.Bucket(bucketEvents)
	ev.Seq, ev.Prev = 1, Hash{}
	if key, value := events.Cursor().Last(); key != nil {
		last, err := decode(key, value)
		if err != nil {
			return err
		}
		ev.Seq, ev.Prev = last.Seq+1, last.Hash
	}
	ev.At = j.now().UTC().Round(time.Millisecond)
	body, err := json.Marshal(ev)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	ev.Hash = chain(ev.Prev, body)
	value := append(ev.Hash[:], body...)
	if err := events.Put(seqKey(ev.Seq), value); err != nil {
		return err
	}
	// What is returned is what is read back, to the byte.
	if *ev, err = decode(seqKey(ev.Seq), value); err != nil {
		return err
	}
	index, err := tx.Bucket(bucketPromotions).CreateBucketIfNotExists([]byte(ev.Promotion))
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
		return tx.Bucket(bucketPromotions).ForEachBucket(func(key []byte) error {
			ids = append(ids, string(key))
			return nil
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

func eventsOf(tx *bbolt.Tx, promotion []byte) ([]Event, error) {
	index := tx.Bucket(bucketPromotions).Bucket(promotion)
	if index == nil {
		return nil, nil
	}
	var list []Event
	events := tx.Bucket(bucketEvents)
	err := index.ForEach(func(key, _ []byte) error {
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

// Verify walks the whole chain and returns its head: the last event's number
// and hash, zero for an empty journal. The first event whose hash, number or
// link to the one before is wrong is returned as a *[ChainError].
func (j *Journal) Verify() (Head, error) {
	var head Head
	err := j.view(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketEvents).ForEach(func(key, value []byte) error {
			ev, err := decode(key, value)
			if err != nil {
				return err
			}
			if ev.Seq != head.Seq+1 || ev.Prev != head.Hash {
				return &ChainError{Seq: head.Seq + 1, Reason: "it does not follow the event before it"}
			}
			index := tx.Bucket(bucketPromotions).Bucket([]byte(ev.Promotion))
			if index == nil || index.Get(key) == nil {
				return &ChainError{Seq: ev.Seq, Reason: "it is not listed under its promotion"}
			}
			head = Head{Seq: ev.Seq, Hash: ev.Hash}
			return nil
		})
	})
	return head, err
}

// Head is the end of the chain.
type Head struct {
	Seq  int64 `json:"seq"`
	Hash Hash  `json:"hash"`
}

// view reads in one transaction. A missing file is an empty history: fn is not
// called, and no file is made.
func (j *Journal) view(fn func(*bbolt.Tx) error) error {
	if _, err := os.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
		return j.lost()
	}
	return j.with(true, func(db *bbolt.DB) error { return db.View(fn) })
}

// create makes the file of an empty journal under a temporary name and moves
// it into place, since bbolt's first file can be lost to a power cut.
func (j *Journal) create() error {
	if _, err := os.Stat(j.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(j.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the journal's folder: %w", err)
	}
	if err := j.lost(); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(j.path)+".*.new")
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	temporary := f.Name()
	defer os.Remove(temporary)
	f.Close()
	db, err := bbolt.Open(temporary, 0o600, options(false))
	if err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	err = db.Update(initialize)
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("make the journal: %w", err)
	}
	// Link, not rename: of two first events at once, one file must win and
	// neither may replace the other's history.
	if err := os.Link(temporary, j.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the journal: %w", err)
	}
	return syncDir(dir)
}

// lost tells a journal that is gone from one that never was: its backups are
// still there. Without this a history would start anew in silence.
func (j *Journal) lost() error {
	if names, err := backups(backupDir(j.path)); err != nil || len(names) > 0 {
		backup, _ := newestBackup(j.path)
		return &DamagedError{Path: j.path, Reason: "the file is gone, though its backups are there", Backup: backup}
	}
	return nil
}

func initialize(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bucketEvents, bucketPromotions} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return meta.Put(keySchema, []byte(fmt.Sprint(Schema)))
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

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
