package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// A newer rel knows what this one does not: it is neither read nor written.
func TestSchemaOfANewerRelIsRefused(t *testing.T) {
	t.Parallel()
	j := broken(t)
	edit(t, j.path, func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keySchema, fmt.Append(nil, Schema+1))
	})
	before := mustReadFile(t, j.path)
	_, promotions := j.Promotions()
	_, events := j.Events("p")
	_, histories := j.Histories(1)
	_, verify := j.Verify()
	_, appended := j.Append(Event{Promotion: "p", Kind: Note})
	for what, err := range map[string]error{
		"Promotions": promotions, "Events": events, "Histories": histories, "Verify": verify, "Append": appended, "Backup": j.Backup(),
	} {
		var newer *NewerError
		if !errors.As(err, &newer) || newer.Schema != Schema+1 || newer.Path != j.path {
			t.Errorf("%s: got %T (%v), want a *NewerError for schema %d", what, err, err, Schema+1)
		}
	}
	equal(t, "file", mustReadFile(t, j.path), before)
}

func TestSchemaIsWritten(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	edit(t, j.path, func(tx *bbolt.Tx) error {
		if got := string(tx.Bucket(bucketMeta).Get(keySchema)); got != "1" {
			t.Errorf("schema is %q; a new one wants an upgrade step and a file in testdata", got)
		}
		return nil
	})
}

// testdata/v1.db was written once, by a rel of schema 1, and is never written
// again: whatever comes, what operators have on their disks can be read.
func TestSchemaOneCanBeReadForEver(t *testing.T) {
	t.Parallel()
	file := mustReadFile(t, filepath.Join("testdata", "v1.db"))
	j := New(filepath.Join(t.TempDir(), "journal.db"))
	t.Cleanup(func() { checkSound(t, j.path) })
	mustWriteFile(t, j.path, file)

	got := mustRead(t, j)
	want := v1Events(t)
	equal(t, "promotions", got.IDs, []string{"20261122-183229-dc8876b"})
	equal(t, "events", got.all(t), want)
	equal(t, "head", got.Head, Head{Seq: int64(len(want)), Hash: want[len(want)-1].Hash})
	equal(t, "file after reading", mustReadFile(t, j.path), file)

	// The history goes on where the old rel left it.
	ev := mustAppend(t, j, Event{Promotion: "20261122-183229-dc8876b", Kind: Resumed, State: "synced"})
	if ev.Seq != got.Head.Seq+1 || ev.Prev != got.Head.Hash {
		t.Errorf("the next event is %d after %v, want %d after %v", ev.Seq, ev.Prev, got.Head.Seq+1, got.Head.Hash)
	}
}

// v1Events is what testdata/v1.db holds: an event a line, as `rel log --json`
// prints it.
func v1Events(t *testing.T) []Event {
	t.Helper()
	var list []Event
	for line := range bytes.Lines(mustReadFile(t, filepath.Join("testdata", "v1.jsonl"))) {
		var ev Event
		if err := json.Unmarshal(line, &ev); err != nil {
			t.Fatal(err)
		}
		// Scripts read what --json prints: its form stays.
		if again, err := json.Marshal(ev); err != nil || string(again)+"\n" != string(line) {
			t.Errorf("an event is printed as\n%s, %v, and was as\n%s", again, err, line)
		}
		list = append(list, ev)
	}
	if len(list) != 4 || list[0].Kind != Opened || list[3].Hash.IsZero() {
		t.Fatalf("v1.jsonl is not what it was: %+v", list)
	}
	return list
}
