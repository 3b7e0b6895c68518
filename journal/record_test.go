package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzRecord gives the reader of a stored record what a damaged page may hold.
// It must not panic, and must let through only what Append has written.
func FuzzRecord(f *testing.F) {
	ev := Event{Seq: 3, Promotion: "p", Kind: Note, Text: "x", Data: json.RawMessage(`{"a":1}`), Prev: Hash{9}}
	body, err := json.Marshal(ev)
	if err != nil {
		f.Fatal(err)
	}
	hash := chain(ev.Prev, body)
	sound := append(hash[:], body...)
	f.Add(seqKey(3), sound)
	f.Add(seqKey(4), sound)
	f.Add(seqKey(3)[:7], sound)
	f.Add(seqKey(-1), sound)
	f.Add(seqKey(3), sound[:32])
	f.Add(seqKey(3), sound[:31])
	f.Add(seqKey(3), append(bytes.Clone(sound), ' '))
	f.Add([]byte(nil), []byte(nil))
	f.Add(seqKey(3), append(make([]byte, 32), `{"seq":3,"prev":"zz"}`...))
	f.Add(seqKey(3), append(make([]byte, 32), `null`...))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		ev, err := decode(key, value)
		if err != nil {
			var chain *ChainError
			if !errors.As(err, &chain) {
				t.Errorf("got %T (%v), want a *ChainError", err, err)
			}
			if ev.Seq != 0 || ev.Kind != "" {
				t.Errorf("an unsound record gives away %+v", ev)
			}
			return
		}
		if !bytes.Equal(key, seqKey(ev.Seq)) {
			t.Errorf("key %x holds event %d", key, ev.Seq)
		}
		if chain(ev.Prev, value[32:]) != ev.Hash || !bytes.Equal(value[:32], ev.Hash[:]) {
			t.Errorf("hash %v is not that of the record", ev.Hash)
		}
		// Writing it anew must not make another record of it, for those that rel
		// has written: json.Marshal's form is a fixed point.
		stored := ev
		stored.Hash = Hash{}
		body, err := json.Marshal(stored)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		hash := chain(ev.Prev, body)
		again, err := decode(key, append(hash[:], body...))
		if err != nil {
			t.Fatalf("what was written anew cannot be read: %v", err)
		}
		stored.Hash = hash
		if body2, err := json.Marshal(again); err != nil || again.Hash != hash || !bytes.Equal(mustMarshal(t, stored), body2) {
			t.Errorf("written anew it is %+v, %v, and was %+v", again, err, ev)
		}
	})
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A record that is sound is let through whole: the fuzz target could not tell
// a reader that refuses everything.
func TestRecordIsDecoded(t *testing.T) {
	t.Parallel()
	want := Event{Seq: 3, Promotion: "p", Kind: Moved, Data: json.RawMessage(`{"a":1}`), Prev: Hash{9}}
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	want.Hash = chain(want.Prev, body)
	got, err := decode(seqKey(3), append(want.Hash[:], body...))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "event", got, want)
}
