package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		if got := string(tx.Bucket(bucketMeta).Get(keySchema)); got != "2" {
			t.Errorf("schema is %q; a new one wants an upgrade step and a file in testdata", got)
		}
		return nil
	})
}

// testdata/v*.db were written once, each by a rel of that schema, and are never
// written again: whatever comes, what operators have on their disks can be read.
func TestSchemasCanBeReadForEver(t *testing.T) {
	t.Parallel()
	const promotion = "20261122-183229-dc8876b"
	for version, id := range map[int]string{
		// A file of schema 1 has none, but is to be given this one.
		1: "26cd5d3d61178cfe4611a29ac47aedb9",
		2: "bb7d3c5f68d92508eb70a8acc142195d",
	} {
		file := mustReadFile(t, filepath.Join("testdata", fmt.Sprintf("v%d.db", version)))
		j := New(filepath.Join(t.TempDir(), "journal.db"))
		t.Cleanup(func() { checkSound(t, j.path) })
		mustWriteFile(t, j.path, file)

		got := mustRead(t, j)
		want := storedEvents(t, version)
		equal(t, "promotions", got.IDs, []string{promotion})
		equal(t, "events", got.all(t), want)
		equal(t, "head", got.Head, Head{Journal: id, Seq: int64(len(want)), Hash: want[len(want)-1].Hash})
		equal(t, "file after reading", mustReadFile(t, j.path), file)

		// The history goes on where the old rel left it.
		ev := mustAppend(t, j, Event{Promotion: promotion, Kind: Resumed, State: "synced"})
		if ev.Seq != got.Head.Seq+1 || ev.Prev != got.Head.Hash {
			t.Errorf("the next event is %d after %v, want %d after %v", ev.Seq, ev.Prev, got.Head.Seq+1, got.Head.Hash)
		}
		after := mustRead(t, j)
		equal(t, "events after the upgrade", after.all(t), append(want, ev))
		equal(t, "head after the upgrade", after.Head, Head{Journal: id, Seq: ev.Seq, Hash: ev.Hash})
		checkSchemaIs(t, j.path, Schema)

		// The file as it was stays, for who has to go back to the older rel.
		backups := backupsOf(t, j)
		if version == Schema {
			equal(t, "backups", backups, []string(nil))
			continue
		}
		if len(backups) != 1 || !strings.HasSuffix(backups[0], fmt.Sprintf(".schema%d.db", version)) {
			t.Fatalf("backups: %q, want one of schema %d", backups, version)
		}
		checkSound(t, backups[0])
		checkSchemaIs(t, backups[0], version)
		equal(t, "backup", mustRead(t, New(backups[0])), got)
	}
}

func checkSchemaIs(t *testing.T, path string, version int) {
	t.Helper()
	err := New(path).view(func(p *pages) error {
		got, err := p.schema()
		equal(t, "schema of "+path, got, version)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// storedEvents is what testdata/v*.db holds: an event a line, as `rel log
// --json` prints it.
func storedEvents(t *testing.T, version int) []Event {
	t.Helper()
	name := fmt.Sprintf("v%d.jsonl", version)
	var list []Event
	for line := range bytes.Lines(mustReadFile(t, filepath.Join("testdata", name))) {
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
	if len(list) < 4 || list[0].Kind != Opened || list[3].Hash.IsZero() {
		t.Fatalf("%s is not what it was: %+v", name, list)
	}
	return list
}

// schemaOne is a journal of the old schema in a folder of its own.
func schemaOne(t *testing.T) *Journal {
	t.Helper()
	j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
	mustWriteFile(t, j.path, mustReadFile(t, filepath.Join("testdata", "v1.db")))
	return j
}

func TestUpgradesLeadToTheSchema(t *testing.T) {
	t.Parallel()
	for version := range Schema - 1 {
		if upgrades[version+1] == nil {
			t.Errorf("nothing leads on from schema %d", version+1)
		}
	}
	if len(upgrades) != Schema-1 {
		t.Errorf("%d upgrades lead to schema %d", len(upgrades), Schema)
	}
}

// An upgrade that is not recorded with its event has not happened, and is tried
// again with the next: it leaves one copy of the old file, not one for each try.
func TestUpgradeIsOneWithItsEvent(t *testing.T) {
	t.Parallel()
	j := schemaOne(t)
	before := mustRead(t, j)
	for range 3 {
		if _, err := j.Append(Event{Promotion: "p", Kind: Note, Data: json.RawMessage("{")}); err == nil {
			t.Fatal("half an event was recorded")
		}
		checkSchemaIs(t, j.path, 1)
	}
	equal(t, "content", mustRead(t, j), before)
	if names := backupsOf(t, j); len(names) != 1 {
		t.Errorf("backups: %q", names)
	}
	// Where the old file cannot be kept, it is not upgraded.
	j = schemaOne(t)
	mustWriteFile(t, backupDir(j.path), []byte("in the way"))
	if err := appendOne(j); err == nil {
		t.Error("the old file was upgraded without a copy of it")
	}
	checkSchemaIs(t, j.path, 1)
}

// However often the journal is backed up after it, the file from before an
// upgrade stays; so does the newest ten of the others.
func TestUpgradeKeepsTheOldFileForGood(t *testing.T) {
	t.Parallel()
	j := schemaOne(t)
	for i := range 2 * backupsKept {
		j.now = func() time.Time { return someday.Add(time.Duration(i) * time.Hour) }
		if err := errors.Join(appendOne(j), j.Backup()); err != nil {
			t.Fatal(err)
		}
	}
	names := backupsOf(t, j)
	if len(names) != backupsKept+1 || !strings.Contains(names[0], ".schema1.") {
		t.Fatalf("backups: %q", names)
	}
	checkSchemaIs(t, names[0], 1)

	// Going back to it, and on from there, is the same journal.
	id := mustRead(t, j).Head.Journal
	mustWriteFile(t, j.path, mustReadFile(t, names[0]))
	equal(t, "id in the restored file", mustRead(t, j).Head.Journal, id)
	mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	equal(t, "id after its upgrade", mustRead(t, j).Head.Journal, id)
	checkSound(t, j.path)
}

// A rel of schema 1 that was cut between the file and its first event has left
// a file without either; it becomes a journal like any new one.
func TestUpgradeOfAnEmptyJournal(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	mustWriteFile(t, j.path, nil)
	edit(t, j.path, func(tx *bbolt.Tx) error {
		return errors.Join(initialize(tx), tx.Bucket(bucketMeta).Delete(keyID), tx.Bucket(bucketMeta).Delete(keyHead), putSchema(tx, 1))
	})
	if head, err := j.Head(); err != nil || head != (Head{}) {
		t.Errorf("before: %+v, %v", head, err)
	}
	ev := mustAppend(t, j, Event{Promotion: "p", Kind: Note})
	head, err := j.Head()
	if err != nil || len(head.Journal) != 32 || head.Seq != 1 || head.Hash != ev.Hash {
		t.Errorf("after: %+v, %v", head, err)
	}
	if names := backupsOf(t, j); len(names) != 0 {
		t.Errorf("backups: %q", names)
	}
}

// What says which upgrade to take, and whose history it is, must not have
// changed unseen.
func TestSchemaAndIDThatHaveChangedAreDamage(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"an older schema": func(tx *bbolt.Tx) error { return putSchema(tx, 1) },
		"schema 0":        func(tx *bbolt.Tx) error { return putSchema(tx, 0) },
		"another id": func(tx *bbolt.Tx) error {
			value := bytes.Clone(tx.Bucket(bucketMeta).Get(keyID))
			value[40] ^= 1
			return tx.Bucket(bucketMeta).Put(keyID, value)
		},
		"half an id": func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketMeta).Put(keyID, tx.Bucket(bucketMeta).Get(keyID)[:20])
		},
		"no end": func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyHead) },
		"no id":  func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Delete(keyID) },
	} {
		j := broken(t)
		edit(t, j.path, change)
		before := mustReadFile(t, j.path)
		_, head := j.Head()
		for what, err := range map[string]error{"Head": head, "Verify": readOne(j), "Append": appendOne(j)} {
			if err == nil || !isDamage(err) {
				t.Errorf("%s: %s: got %T (%v), want it to be damage", name, what, err, err)
			}
		}
		equal(t, "file", mustReadFile(t, j.path), before)
	}
}
