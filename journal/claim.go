package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Claim says who is at work on this journal's app from this machine. Events
// may be appended by one claimant only: two runs of one promotion would each
// act on what the other has just undone.
type Claim struct {
	PID       int       `json:"pid"`
	Operator  string    `json:"operator"`
	Promotion string    `json:"promotion,omitempty"`
	Since     time.Time `json:"since"`
}

// ClaimedError names the run that is at work already.
type ClaimedError struct{ Holder Claim }

func (e *ClaimedError) Error() string {
	what := "another rel"
	if e.Holder.Promotion != "" {
		what = "promotion " + e.Holder.Promotion
	}
	return fmt.Sprintf("%s is running here (pid %d, %s, since %s)", what,
		e.Holder.PID, e.Holder.Operator, e.Holder.Since.Local().Format(time.TimeOnly))
}

// Acquire claims the app for this process until release is called or the
// process ends, however it ends: the claim is the kernel's lock on a file.
// name sets the promotion that a second claimant is told of.
func (j *Journal) Acquire() (name func(promotion string), release func(), err error) {
	path := filepath.Join(filepath.Dir(j.path), "run.lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the journal's folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("claim the journal: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil, &ClaimedError{Holder: readClaim(path + ".who")}
		}
		return nil, nil, fmt.Errorf("claim the journal: %w", err)
	}
	claim := Claim{PID: os.Getpid(), Operator: j.Operator.Name, Since: j.now()}
	name = func(promotion string) {
		claim.Promotion = promotion
		// Only for the words of a ClaimedError; the lock itself is the claim.
		if b, err := json.Marshal(claim); err == nil {
			_ = renameio.WriteFile(path+".who", b, 0o600)
		}
	}
	name("")
	return name, func() {
		// What is being forked has the file open too, until it is what it is to be:
		// closing the file alone would leave the claim with it.
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
		f.Close()
	}, nil
}

func readClaim(path string) Claim {
	var claim Claim
	if b, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(b, &claim)
	}
	return claim
}
