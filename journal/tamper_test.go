package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.etcd.io/bbolt"
)

// ledger is what targets hold of a journal: its head after each of its events.
type ledger []Head

// denies tells which of the ledger's heads the journal does not stand by, as an
// audit would: another journal, an event that is gone, one that was another.
func (l ledger) denies(j *Journal) (denied []int64, err error) {
	head, err := j.Head()
	if err != nil {
		return nil, err
	}
	for _, anchor := range l {
		ev, found, err := j.At(anchor.Seq)
		if err != nil {
			return nil, err
		}
		if anchor.Journal != head.Journal || !found || ev.Hash != anchor.Hash {
			denied = append(denied, anchor.Seq)
		}
	}
	return denied, nil
}

func ledgerOf(t *testing.T, j *Journal) ledger {
	t.Helper()
	c := mustRead(t, j)
	var l ledger
	for _, ev := range c.all(t) {
		l = append(l, Head{Journal: c.Head.Journal, Seq: ev.Seq, Hash: ev.Hash})
	}
	return l
}

// A byte that is another, anywhere in a stored record, is found, and the record
// named: also where who did it put the file's own checks right, as bbolt does.
func TestTamperedByteIsFound(t *testing.T) {
	t.Parallel()
	j := broken(t)
	stride, masks := 7, []byte{0x20}
	if long {
		stride, masks = 1, []byte{1, 2, 4, 8, 16, 32, 64, 128, 0xFF}
	}
	d := &damage{whole: mustReadFile(t, j.path)}
	trials := 0
	for _, record := range d.records(t) {
		for at := record.from + record.seq%stride; at < record.to; at += stride {
			for _, mask := range masks {
				file := bytes.Clone(d.whole)
				file[at] ^= mask
				trials++
				p, err := readPages(bytes.NewReader(file), int64(len(file)))
				if err == nil {
					err = j.checkSchema(p)
				}
				if err != nil {
					t.Fatal(err)
				}
				var chain *ChainError
				if _, err := p.walk(); !errors.As(err, &chain) || chain.Seq != int64(record.seq) {
					t.Errorf("record %d, byte %d ^ %#x: Verify says %v", record.seq, at-record.from, mask, err)
				}
			}
		}
	}
	t.Logf("figures: %d flips", trials)
	if trials < 500 {
		t.Errorf("only %d flips", trials)
	}
}

// Who can write the file can cut off its end, or write a part of its past anew
// with all that follows, so that the journal finds nothing: the heads that the
// targets hold tell, each of those that were after the change.
func TestTamperedPastIsFoundByAnchors(t *testing.T) {
	t.Parallel()
	const (
		events   = 20
		replaced = "cut off, and as many others put in its place"
	)
	whole := broken(t)
	anchors := ledgerOf(t, whole)
	file := mustReadFile(t, whole.path)
	if denied, err := anchors.denies(whole); len(denied) > 0 || err != nil {
		t.Fatalf("before: %v, %v", denied, err)
	}
	for n := int64(1); n <= events; n++ {
		for name, tamper := range map[string]func(tx *bbolt.Tx) error{
			"cut off":     func(tx *bbolt.Tx) error { return cutOff(tx, n) },
			replaced:      func(tx *bbolt.Tx) error { return cutOff(tx, n) },
			"written new": func(tx *bbolt.Tx) error { return rewriteFrom(tx, n) },
		} {
			what := fmt.Sprintf("%s from %d on", name, n)
			mustWriteFile(t, whole.path, file)
			edit(t, whole.path, tamper)
			j := New(whole.path)
			if name == replaced {
				for range events - n + 1 {
					mustAppend(t, j, Event{Promotion: promotions[0], Kind: Note, Text: "nothing to see"})
				}
			}
			if _, err := j.Verify(); err != nil {
				t.Errorf("%s: it was not done well: %v", what, err)
			}
			denied, err := anchors.denies(j)
			if err != nil || len(denied) != int(events-n)+1 || denied[0] != n {
				t.Errorf("%s: the anchors deny %v, %v", what, denied, err)
			}
		}
	}
	// Of a history that is gone as a whole, and one that was begun anew, the id
	// tells whose the anchors were.
	if err := os.Remove(whole.path); err != nil {
		t.Fatal(err)
	}
	fill(t, whole, events)
	if denied, err := anchors.denies(whole); len(denied) != events || err != nil {
		t.Errorf("begun anew: the anchors deny %v, %v", denied, err)
	}
}

// A head that is cut off without care is found without an anchor.
func TestTamperedEndIsFound(t *testing.T) {
	t.Parallel()
	whole := broken(t)
	file := mustReadFile(t, whole.path)
	for n := int64(1); n <= 20; n++ {
		j := New(whole.path)
		mustWriteFile(t, j.path, file)
		edit(t, j.path, func(tx *bbolt.Tx) error {
			head := bytes.Clone(tx.Bucket(bucketMeta).Get(keyHead))
			return errors.Join(cutOff(tx, n), tx.Bucket(bucketMeta).Put(keyHead, head))
		})
		_, head := j.Head()
		for what, err := range map[string]error{"Verify": readOne(j), "Head": head, "Append": appendOne(j)} {
			var chain *ChainError
			if !errors.As(err, &chain) || chain.Seq != n {
				t.Errorf("cut off from %d on: %s: got %T (%v), want a *ChainError for it", n, what, err, err)
			}
		}
	}
}

// cutOff removes the events from seq on, and all that tells of them.
func cutOff(tx *bbolt.Tx, seq int64) error {
	events := tx.Bucket(bucketEvents)
	// Not with Cursor.Last at the end: in bbolt 1.5 it runs for ever in a bucket
	// that the same transaction has emptied.
	var last Hash
	if value := events.Get(seqKey(seq - 1)); value != nil {
		last = Hash(value[:len(last)])
	}
	for ; events.Get(seqKey(seq)) != nil; seq++ {
		ev, err := decode(seqKey(seq), events.Get(seqKey(seq)))
		if err != nil {
			return err
		}
		index := tx.Bucket(bucketPromotions).Bucket([]byte(ev.Promotion))
		if err := errors.Join(events.Delete(seqKey(seq)), index.Delete(seqKey(seq))); err != nil {
			return err
		}
		if first, _ := index.Cursor().First(); first == nil {
			if err := tx.Bucket(bucketPromotions).DeleteBucket([]byte(ev.Promotion)); err != nil {
				return err
			}
		}
	}
	return putHead(tx, last)
}

// rewriteFrom changes an event, and chains all after it to it.
func rewriteFrom(tx *bbolt.Tx, seq int64) error {
	events := tx.Bucket(bucketEvents)
	var prev Hash
	for at := int64(1); events.Get(seqKey(at)) != nil; at++ {
		ev, err := decode(seqKey(at), events.Get(seqKey(at)))
		if err != nil {
			return err
		}
		if at == seq {
			ev.Text = "nothing to see"
		}
		if at >= seq {
			ev.Prev, ev.Hash = prev, Hash{}
			body, err := json.Marshal(ev)
			if err != nil {
				return err
			}
			ev.Hash = chain(prev, body)
			if err := events.Put(seqKey(at), append(ev.Hash[:], body...)); err != nil {
				return err
			}
		}
		prev = ev.Hash
	}
	return putHead(tx, prev)
}
