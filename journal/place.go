package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// nearest is the journal's folder or, before there is one, the nearest above it.
func (j *Journal) nearest() string {
	dir := filepath.Dir(j.path)
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// Place says where the journal lies, or will: its folder, and the kind of file system
// there if that is one of another machine's, on which neither locks nor mapped files
// are what the journal takes them for. The error says that it cannot be written there.
func (j *Journal) Place() (dir, network string, err error) {
	dir = j.nearest()
	if network, err = networkFS(dir); err != nil {
		return dir, "", fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	for _, name := range []string{dir, j.path} {
		if err := unix.Access(name, unix.W_OK); err != nil && !errors.Is(err, unix.ENOENT) {
			return dir, network, fmt.Errorf("%s cannot be written: %w", name, err)
		}
	}
	return dir, network, nil
}

// Claimed returns a *[ClaimedError] while another run has the app claimed. It
// claims nothing, and makes no file.
func (j *Journal) Claimed() error {
	path := filepath.Join(filepath.Dir(j.path), "run.lock")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("look for a claim: %w", err)
	}
	defer f.Close()
	// Shared: of several who look, nobody sees the others.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return &ClaimedError{Holder: readClaim(path + ".who")}
	} else if err != nil {
		return fmt.Errorf("look for a claim: %w", err)
	}
	return nil
}
