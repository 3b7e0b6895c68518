package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// What someone with write access to the file does to the past is evident: the
// first record that is not what was once written is named. Cutting off the end
// is not found here; the heads in the targets' ledgers tell.
func TestChainTellsOfTampering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		tamper func(events, index *bbolt.Bucket) error
		seq    int64
		// readable: the promotion's own events are, taken one by one, sound.
		readable bool
	}{
		{name: "a word in the fifth record is another", seq: 5, tamper: func(events, _ *bbolt.Bucket) error {
			return rewrite(events, 5, func(ev *Event) { ev.Text = "nothing happened" }, false)
		}},
		{name: "the fifth record is rewritten together with its hash", seq: 6, readable: true, tamper: func(events, _ *bbolt.Bucket) error {
			return rewrite(events, 5, func(ev *Event) { ev.Text = "nothing happened" }, true)
		}},
		{name: "the operator of the first record is another", seq: 1, tamper: func(events, _ *bbolt.Bucket) error {
			return rewrite(events, 1, func(ev *Event) { ev.Operator.Name = "eve@laptop" }, false)
		}},
		{name: "the first record is rewritten together with its hash", seq: 2, readable: true, tamper: func(events, _ *bbolt.Bucket) error {
			return rewrite(events, 1, func(ev *Event) { ev.Operator.Name = "eve@laptop" }, true)
		}},
		{name: "the last record is rewritten", seq: 9, tamper: func(events, _ *bbolt.Bucket) error {
			return rewrite(events, 9, func(ev *Event) { ev.State = "healthy" }, false)
		}},
		{name: "the fourth record is gone", seq: 4, readable: true, tamper: func(events, index *bbolt.Bucket) error {
			return errors.Join(events.Delete(seqKey(4)), index.Delete(seqKey(4)))
		}},
		{name: "the fourth record is gone, but still listed", seq: 4, tamper: func(events, _ *bbolt.Bucket) error {
			return events.Delete(seqKey(4))
		}},
		{name: "the first record is gone", seq: 1, readable: true, tamper: func(events, index *bbolt.Bucket) error {
			return errors.Join(events.Delete(seqKey(1)), index.Delete(seqKey(1)))
		}},
		{name: "a record is there twice", seq: 10, tamper: func(events, index *bbolt.Bucket) error {
			return errors.Join(events.Put(seqKey(10), events.Get(seqKey(3))), index.Put(seqKey(10), nil))
		}},
		{name: "two records have changed places", seq: 4, tamper: func(events, _ *bbolt.Bucket) error {
			four, five := string(events.Get(seqKey(4))), string(events.Get(seqKey(5)))
			return errors.Join(events.Put(seqKey(4), []byte(five)), events.Put(seqKey(5), []byte(four)))
		}},
		{name: "a record is put in behind the end, with a sound hash", seq: 10, readable: true, tamper: func(events, index *bbolt.Bucket) error {
			ev := Event{Seq: 12, Promotion: "p", Kind: Note, Text: "forged"}
			body, err := json.Marshal(ev)
			hash := chain(ev.Prev, body)
			return errors.Join(err, events.Put(seqKey(12), append(hash[:], body...)), index.Put(seqKey(12), nil))
		}},
		{name: "the last record is of another past, though its hash is right", seq: 9, tamper: func(events, _ *bbolt.Bucket) error {
			value := events.Get(seqKey(9))
			ev, err := decode(seqKey(9), value)
			if err != nil {
				return err
			}
			body := bytes.Replace(value[len(ev.Hash):], []byte(ev.Prev.String()), []byte(strings.Repeat("0", 64)), 1)
			hash := chain(ev.Prev, body)
			return errors.Join(events.Put(seqKey(9), append(hash[:], body...)), putHead(events.Tx(), hash))
		}},
		{name: "a record is of another form", seq: 7, tamper: func(events, _ *bbolt.Bucket) error {
			return events.Put(seqKey(7), []byte(strings.Repeat("x", 100)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			j := New(t.TempDir() + "/journal.db")
			for range 9 {
				mustAppend(t, j, Event{Promotion: "p", Kind: Note, Text: "something happened"})
			}
			if head, err := j.Verify(); err != nil || head.Seq != 9 {
				t.Fatalf("before: %+v, %v", head, err)
			}
			edit(t, j.path, func(tx *bbolt.Tx) error {
				return c.tamper(tx.Bucket(bucketEvents), tx.Bucket(bucketPromotions).Bucket([]byte("p")))
			})
			var chain *ChainError
			if _, err := j.Verify(); !errors.As(err, &chain) {
				t.Fatalf("Verify: got %T (%v), want a *ChainError", err, err)
			}
			if chain.Seq != c.seq || chain.Reason == "" {
				t.Errorf("Verify names record %d (%s), want %d", chain.Seq, chain.Reason, c.seq)
			}
			if _, err := j.Events("p"); (err == nil) != c.readable {
				t.Errorf("Events: got %v, want an error: %v", err, !c.readable)
			}
		})
	}
}

// rewrite changes a stored record behind the journal's back; with the hash, as
// someone would who has read the code.
func rewrite(events *bbolt.Bucket, seq int64, change func(*Event), rehash bool) error {
	value := events.Get(seqKey(seq))
	ev, err := decode(seqKey(seq), value)
	if err != nil {
		return err
	}
	hash := ev.Hash
	ev.Hash = Hash{}
	change(&ev)
	body, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	if rehash {
		hash = chain(ev.Prev, body)
	}
	return events.Put(seqKey(seq), append(hash[:], body...))
}

// spoil changes a word of a record, as damage would: the hash stays.
func spoil(t *testing.T, path string, seq int64) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		return rewrite(tx.Bucket(bucketEvents), seq, func(ev *Event) { ev.Text = "forged" }, false)
	})
}

// Nothing is chained to a record that is not sound: what follows it would be
// worth nothing.
func TestChainIsNotContinuedAfterADamagedEnd(t *testing.T) {
	t.Parallel()
	j := broken(t)
	edit(t, j.path, func(tx *bbolt.Tx) error {
		return rewrite(tx.Bucket(bucketEvents), 20, func(ev *Event) { ev.Text = "forged" }, false)
	})
	before := mustReadFile(t, j.path)
	var chain *ChainError
	if _, err := j.Append(Event{Promotion: "p", Kind: Note}); !errors.As(err, &chain) || chain.Seq != 20 {
		t.Errorf("Append: got %T (%v), want a *ChainError for record 20", err, err)
	}
	equal(t, "file", mustReadFile(t, j.path), before)
}

// An event belongs to one promotion, and none is listed that is not there.
func TestChainTellsOfWhatIsListedWrongly(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]func(promotions *bbolt.Bucket) error{
		"by another promotion as well": func(b *bbolt.Bucket) error { return b.Bucket([]byte(promotions[0])).Put(seqKey(2), nil) },
		"by another promotion instead": func(b *bbolt.Bucket) error {
			return errors.Join(b.Bucket([]byte(promotions[1])).Delete(seqKey(2)), b.Bucket([]byte(promotions[0])).Put(seqKey(2), nil))
		},
		"by nobody":               func(b *bbolt.Bucket) error { return b.Bucket([]byte(promotions[1])).Delete(seqKey(2)) },
		"though it is none":       func(b *bbolt.Bucket) error { return b.Bucket([]byte(promotions[0])).Put(seqKey(21), nil) },
		"though it has no number": func(b *bbolt.Bucket) error { return b.Bucket([]byte(promotions[0])).Put([]byte("x"), nil) },
		"by who has no other": func(b *bbolt.Bucket) error {
			other, err := b.CreateBucket([]byte("other"))
			return errors.Join(err, other.Put(seqKey(2), nil))
		},
	} {
		j := broken(t)
		edit(t, j.path, func(tx *bbolt.Tx) error { return list(tx.Bucket(bucketPromotions)) })
		var chain *ChainError
		if _, err := j.Verify(); !errors.As(err, &chain) {
			t.Errorf("listed %s: got %T (%v), want a *ChainError", name, err, err)
		}
	}
}

// What would be missing from what is shown first is noticed there.
func TestChainTellsOfANewestThatIsNotListed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bbolt.Bucket) error{
		"the event":     func(b *bbolt.Bucket) error { return b.Bucket([]byte(promotions[1])).Delete(seqKey(20)) },
		"the promotion": func(b *bbolt.Bucket) error { return b.DeleteBucket([]byte(promotions[1])) },
	} {
		j := broken(t)
		edit(t, j.path, func(tx *bbolt.Tx) error { return change(tx.Bucket(bucketPromotions)) })
		_, last := j.Last(20)
		_, recent := j.Recent(func(Event) bool { return false })
		for what, err := range map[string]error{"Last": last, "Recent": recent} {
			var chain *ChainError
			if !errors.As(err, &chain) || chain.Seq != 20 {
				t.Errorf("%s is not listed: %s: got %T (%v), want a *ChainError for record 20", name, what, err, err)
			}
		}
	}
}

// The hash covers the hash before: the same event twice has two hashes.
func TestChainLinksEqualEvents(t *testing.T) {
	t.Parallel()
	body := []byte(`{"seq":1}`)
	first := chain(Hash{}, body)
	if second := chain(first, body); first == second {
		t.Error("the hash does not depend on the one before")
	}
	if other := chain(Hash{}, []byte(`{"seq":2}`)); first == other {
		t.Error("the hash does not depend on the record")
	}
}
