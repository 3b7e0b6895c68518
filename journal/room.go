package journal

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// leastRoom is what a promotion may need, in bytes: its events are some kilobytes,
// and bbolt makes a file that is full larger by doubling it.
const leastRoom = 8 << 20

// RoomError says that the journal's disk is too full to begin a promotion: one
// whose steps cannot be recorded would have to stop half-way.
type RoomError struct {
	Dir string
	// Free is what there is, Needed what there has to be, in bytes.
	Free, Needed int64
}

func (e *RoomError) Error() string {
	return fmt.Sprintf("too little room for the journal in %s: %d KiB free, %d KiB needed", e.Dir, e.Free>>10, e.Needed>>10)
}

// Room refuses, with a *[RoomError], a disk that is nearly full.
func (j *Journal) Room() error {
	dir := j.nearest()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look for room in %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * int64(fs.Bsize); free < leastRoom { //nolint:unconvert // their types differ between systems
		return &RoomError{Dir: dir, Free: free, Needed: leastRoom}
	}
	return nil
}
