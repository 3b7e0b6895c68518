package journal

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestPlace: where the journal will lie is looked at before there is a folder for it,
// and none is made.
func TestPlace(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	home := t.TempDir()
	j := New(filepath.Join(home, "state", "app", "journal.db"))
	if dir, network, err := j.Place(); dir != home || network != "" || err != nil {
		t.Errorf("it will lie below %s (%s): %v", dir, network, err)
	}
	if err := errors.Join(j.Room(), j.Claimed()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(home, "state")); err == nil {
		t.Error("a folder was made")
	}
	mustMount(t, "none", filepath.Join(home, "full"), "tmpfs", "size=64k")
	var full *RoomError
	if err := New(filepath.Join(home, "full", "app", "journal.db")).Room(); !errors.As(err, &full) || full.Dir != filepath.Join(home, "full") {
		t.Errorf("on a disk that is full: %v", err)
	}
	mustMount(t, "none", filepath.Join(home, "readonly"), "tmpfs", "ro")
	if _, _, err := New(filepath.Join(home, "readonly", "app", "journal.db")).Place(); err == nil {
		t.Error("on a disk that cannot be written nothing is said")
	}
}
