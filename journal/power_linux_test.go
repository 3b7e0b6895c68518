package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func init() { helpers["power"] = appendAndBackUp }

// step is a line by which the writer acknowledges an event or a backup.
type step struct {
	Head
	Backups int
}

// appendAndBackUp appends until it is killed, and backs up now and then.
func appendAndBackUp(j *Journal, _ string) error {
	backups := 0
	for n := 0; ; n++ {
		ev, err := j.Append(Event{Promotion: promotions[n%2], Kind: Note, Text: fmt.Sprint("event ", n)})
		if err == nil && n%4 == 2 {
			if err = j.Backup(); err == nil {
				backups = min(backups+1, backupsKept)
			}
		}
		if err != nil {
			return err
		}
		line, err := json.Marshal(step{Head{Seq: ev.Seq, Hash: ev.Hash}, backups})
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
}

// What was acknowledged is on the disk: the power may go at that very moment.
// The disk is a file with an ext4 in it, which writes by itself only every
// thousand seconds; a copy of that file is what a machine would find on its
// disk when the power is back.
func TestPowerLossLosesNothing(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	steps := 8
	if long {
		steps = 60
	}
	base := t.TempDir()
	disk := filepath.Join(base, "disk")
	image(t, disk)
	mustMount(t, disk, filepath.Join(base, "live"), "ext4", "loop,commit=1000")
	j := New(filepath.Join(base, "live", "home", "app", "journal.db"))

	writer := spawn(t, "power", j, "", dieTogether)
	var beyond int64
	for n := range steps {
		var acked step
		if err := json.Unmarshal([]byte(writer.line()), &acked); err != nil {
			t.Fatalf("after step %d the writer has ended: %v", n, err)
		}
		stop(t, writer)
		// If this were to be found afterwards, the copies would tell nothing.
		mustWriteFile(t, filepath.Join(base, "live", fmt.Sprint("never-synced", n)), noise(100))
		copied := fmt.Sprint(disk, n)
		if out, err := exec.Command("cp", "--sparse=always", disk, copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		beyond += afterPowerLoss(t, copied, fmt.Sprint(base, "/found", n), n, acked)
		if err := writer.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("figures: %d power cuts; %d events were found that had not been acknowledged yet", steps, beyond)
}

func image(t *testing.T, path string) {
	t.Helper()
	mustWriteFile(t, path, nil)
	if err := os.Truncate(path, 24<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", path).CombinedOutput(); err != nil {
		unavailable(t, fmt.Sprintf("mkfs.ext4: %v %s", err, out))
	}
}

// stop stops the writer wherever it is, and waits until it stands.
func stop(t *testing.T, c *child) {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(trialTime); time.Now().Before(until); time.Sleep(time.Millisecond) {
		stat := string(mustReadFile(t, fmt.Sprintf("/proc/%d/stat", c.Process.Pid)))
		if _, state, _ := strings.Cut(stat, ") "); strings.HasPrefix(state, "T") {
			return
		}
	}
	t.Fatal("the writer does not stop")
}

// afterPowerLoss looks at a disk as it was found, and returns how many events
// more than the acknowledged ones are there.
func afterPowerLoss(t *testing.T, disk, at string, n int, acked step) int64 {
	t.Helper()
	mustMkdir(t, at)
	if out, err := exec.Command("mount", "-o", "loop", disk, at).CombinedOutput(); err != nil {
		t.Fatalf("the disk does not mount any more: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		os.Remove(disk)
	}()
	if info, err := os.Stat(filepath.Join(at, fmt.Sprint("never-synced", n))); err == nil && info.Size() > 0 {
		t.Error("what was never synced is on the disk: the copy is not what a power cut leaves")
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	j := New(filepath.Join(at, "home", "app", "journal.db"))
	head, err := j.Verify()
	if err != nil || head.Seq < acked.Seq {
		t.Fatalf("%d events were acknowledged; found: %+v, %v", acked.Seq, head, err)
	}
	if ev, found, err := j.At(acked.Seq); err != nil || !found || ev.Hash != acked.Hash {
		t.Errorf("event %d was acknowledged with hash %v; found: %+v, %v", acked.Seq, acked.Hash, ev, err)
	}
	names, err := backups(backupDir(j.path))
	if err != nil || len(names) < acked.Backups {
		t.Errorf("%d backups were acknowledged; found: %q, %v", acked.Backups, names, err)
	}
	for _, name := range names {
		if backup, err := New(name).Verify(); err != nil || backup.Journal != head.Journal {
			t.Errorf("backup %s: %+v, %v", name, backup, err)
		}
	}
	if ev := mustAppend(t, j, Event{Promotion: "after", Kind: Note}); ev.Seq != head.Seq+1 {
		t.Errorf("the next event has number %d, want %d", ev.Seq, head.Seq+1)
	}
	checkSound(t, j.path)
	return head.Seq - acked.Seq
}
