package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// `rel log` on a machine that never promoted anything must not leave a journal
// behind that looks like an empty history.
func TestReaderOfAMissingFileMakesNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := New(filepath.Join(dir, "app", "journal.db"))
	if ids, err := j.Promotions(); err != nil || len(ids) != 0 {
		t.Errorf("Promotions() = %v, %v, want none", ids, err)
	}
	if events, err := j.Events("20261122-183229-dc8876b"); err != nil || len(events) != 0 {
		t.Errorf("Events() = %v, %v, want none", events, err)
	}
	if lists, err := j.Histories(0); err != nil || len(lists) != 0 {
		t.Errorf("Histories() = %v, %v, want none", lists, err)
	}
	if head, err := j.Verify(); err != nil || head != (Head{}) {
		t.Errorf("Verify() = %+v, %v, want the zero head", head, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("reading made %v, %v", names, err)
	}
}

func TestReaderChangesNothing(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	fill(t, j, 20)
	before := mustReadFile(t, j.path)
	info, err := os.Stat(j.path)
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, j)
	if events, err := j.Events("of no promotion"); err != nil || len(events) != 0 {
		t.Errorf("events of a promotion that is not there: %v, %v", events, err)
	}
	if !bytes.Equal(before, mustReadFile(t, j.path)) {
		t.Error("reading changed the file")
	}
	if after, err := os.Stat(j.path); err != nil || !after.ModTime().Equal(info.ModTime()) {
		t.Errorf("reading wrote the file: %v, %v", after, err)
	}
}

// `rel log` and `rel status` may run side by side: a reader takes no lock that
// shuts another reader out.
func TestReadersDoNotShutEachOtherOut(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	want := fill(t, j, 3)
	other, err := bbolt.Open(j.path, 0o600, options(true))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	equal(t, "events", mustRead(t, j).all(t), want)
}
