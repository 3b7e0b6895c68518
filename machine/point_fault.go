//go:build fault

package machine

import (
	"os"
	"path/filepath"
	"time"
)

// pointWait is the longest that a point waits: nothing waits for ever.
const pointWait = 2 * time.Minute

// point stops the program where a test wants to harm it. If the folder
// REL_FAULT_DIR has a file <name>.stop it is renamed to <name>.reached, and the
// program goes on once that is removed.
func point(name string) {
	dir := os.Getenv("REL_FAULT_DIR")
	if dir == "" {
		return
	}
	reached := filepath.Join(dir, name+".reached")
	if err := os.Rename(filepath.Join(dir, name+".stop"), reached); err != nil {
		return
	}
	for until := time.Now().Add(pointWait); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(reached); err != nil {
			return
		}
	}
}
