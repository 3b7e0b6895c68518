package journal

import (
	"fmt"
	"os"
	"path/filepath"
)

// OutputPath names the file that holds what the hosts printed in one attempt
// at a phase.
func (j *Journal) OutputPath(promotion, phase string, attempt int) string {
	return filepath.Join(filepath.Dir(j.path), "logs", promotion, fmt.Sprintf("%s-%d.log", phase, attempt))
}

// Output opens that file for appending. It is not synced line by line: a lost
// tail of a log costs nothing that the events do not tell.
func (j *Journal) Output(promotion, phase string, attempt int) (*os.File, error) {
	path := j.OutputPath(promotion, phase, attempt)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep the hosts' output: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the hosts' output: %w", err)
	}
	return f, nil
}
