package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func acquire(t *testing.T, j *Journal) (name func(string), release func()) {
	t.Helper()
	name, release, err := j.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	return name, release
}

// Two runs would each act on what the other has just undone. The second is told
// who the first is, as far as that one has got.
func TestClaimIsOnesAlone(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	j.now = func() time.Time { return someday }
	name, release := acquire(t, j)
	second := New(j.path)
	second.Operator.Name = "grace@desk"

	claimed := func() Claim {
		t.Helper()
		var err error
		if _, _, err = second.Acquire(); err == nil {
			t.Fatal("claimed twice")
		}
		var held *ClaimedError
		if !errors.As(err, &held) {
			t.Fatalf("got %T (%v), want a *ClaimedError", err, err)
		}
		if !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), "ada@laptop") ||
			!strings.Contains(err.Error(), held.Holder.Promotion) {
			t.Errorf("%q does not say who", err)
		}
		return held.Holder
	}
	got := claimed()
	if !got.Since.Equal(someday) {
		t.Errorf("claimed since %v, want %v", got.Since, someday)
	}
	got.Since = time.Time{}
	equal(t, "claim before the promotion has an id", got, Claim{PID: os.Getpid(), Operator: "ada@laptop"})

	name("20261122-183229-dc8876b")
	if got := claimed().Promotion; got != "20261122-183229-dc8876b" {
		t.Errorf("claimed for promotion %q", got)
	}

	// A claim is none on the database: reading goes on.
	if _, err := second.Verify(); err != nil {
		t.Errorf("reading beside a claim: %v", err)
	}

	release()
	name, release = acquire(t, second)
	defer release()
	name("20261123-080000-1234567")
	if _, _, err := j.Acquire(); err == nil || !strings.Contains(err.Error(), "grace@desk") || strings.Contains(err.Error(), "dc8876b") {
		t.Errorf("after the claim has changed hands: %v", err)
	}
}

// Each app has a journal of its own, in a folder of its own; so have claims.
func TestClaimsOfTwoAppsDoNotMeet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, app := range []string{"one", "two"} {
		_, release := acquire(t, New(filepath.Join(dir, app, "journal.db")))
		defer release()
	}
}

// A claim lives as long as its process, however that ends: nobody has to clear
// a stale lock away.
func TestClaimEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*child) error{
		"killed": func(c *child) error { return c.Process.Kill() },
		"exited": func(c *child) error { return c.in.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := fresh(t)
			holder := spawn(t, "claim", j, "20261122-183229-dc8876b")
			if got := holder.line(); got != "claimed" {
				t.Fatalf("the helper says %q", got)
			}
			var held *ClaimedError
			if _, _, err := j.Acquire(); !errors.As(err, &held) {
				t.Fatalf("beside another process: %v", err)
			}
			if h := held.Holder; h.PID != holder.Process.Pid || h.Operator != "helper@elsewhere" || h.Promotion != "20261122-183229-dc8876b" {
				t.Errorf("held by %+v, want pid %d", h, holder.Process.Pid)
			}
			if err := end(holder); err != nil {
				t.Fatal(err)
			}
			_ = holder.Wait()
			_, release := acquire(t, j)
			release()
		})
	}
}

// Who holds the claim is only told for its words: where that is lost, the claim
// still holds.
func TestClaimHoldsWithoutItsWords(t *testing.T) {
	t.Parallel()
	for name, words := range map[string][]byte{"gone": nil, "noise": noise(50)} {
		j := fresh(t)
		_, release := acquire(t, j)
		defer release()
		who := filepath.Join(filepath.Dir(j.path), "run.lock.who")
		if err := os.Remove(who); err != nil {
			t.Fatal(err)
		}
		if words != nil {
			mustWriteFile(t, who, words)
		}
		var held *ClaimedError
		if _, _, err := j.Acquire(); !errors.As(err, &held) || held.Holder.PID != 0 {
			t.Errorf("%s: got %v, %+v", name, err, held)
		}
	}
}

// What this process is forking while a claim ends has the file open too: it does not
// keep the claim.
func TestClaimEndsWithItsRelease(t *testing.T) {
	t.Parallel()
	j := fresh(t)
	_, release := acquire(t, j)
	lock := filepath.Join(filepath.Dir(j.path), "run.lock")
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("it cannot be seen which files are open here")
	}
	var mine []int
	for _, entry := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + entry.Name()); to == lock {
			fd, _ := strconv.Atoi(entry.Name())
			mine = append(mine, fd)
		}
	}
	if len(mine) != 1 {
		t.Fatalf("%d open files are the claim", len(mine))
	}
	other, err := syscall.Dup(mine[0])
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(other)
	release()
	_, release = acquire(t, j)
	release()
}
