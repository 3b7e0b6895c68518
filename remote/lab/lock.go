package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockWithin is how long one command waits for another on the same lab: a cold Up takes the better part of it.
const lockWithin = 2 * time.Minute

// lock lets one command at a time work on the lab in dir. The lock lies beside the folder, since Down removes that. It
// is gone with its holder, however that ends.
func lock(ctx context.Context, dir string, log func(string)) (unlock func(), err error) {
	path := lockPath(dir)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	told := false
	var f *os.File
	err = await(ctx, lockWithin, "the command that holds "+path, func(context.Context) error {
		got, err := tryLock(path)
		if errors.Is(err, unix.EWOULDBLOCK) && !told {
			told = true
			log(fmt.Sprintf("waiting for another command on %s", dir))
		}
		f = got
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

func lockPath(dir string) string { return dir + ".lock" }

// removeLockOfNothing removes the lock where no lab is left to lock. Its holder calls it, before it lets go: then nobody
// can hold a lock that nobody else sees.
func removeLockOfNothing(dir string) {
	if _, err := os.Stat(statePath(dir)); errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(lockPath(dir))
	}
}

// tryLock takes the lock now or says EWOULDBLOCK. A lock file that was removed while it was being opened is no lock.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	mine, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		f.Close()
		return nil, unix.EWOULDBLOCK
	}
	return f, nil
}
