package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// OutputPath names the file that holds what the hosts printed in one attempt
// at a phase.
func (j *Journal) OutputPath(promotion, phase string, attempt int) string {
	return filepath.Join(filepath.Dir(j.path), "logs", promotion, fmt.Sprintf("%s-%d.log", phase, attempt))
}

// RawOutputPath names the file beside it that holds the lines of that which were not
// safe to show, as they came.
func (j *Journal) RawOutputPath(promotion, phase string, attempt int) string {
	return strings.TrimSuffix(j.OutputPath(promotion, phase, attempt), ".log") + ".raw"
}

// Output opens the first of them for appending, and RawOutput the second. Neither is
// synced line by line: a lost
// tail of a log costs nothing that the events do not tell.
func (j *Journal) Output(promotion, phase string, attempt int) (*os.File, error) {
	return openOutput(j.OutputPath(promotion, phase, attempt))
}

// RawOutput is as Output.
func (j *Journal) RawOutput(promotion, phase string, attempt int) (*os.File, error) {
	return openOutput(j.RawOutputPath(promotion, phase, attempt))
}

func openOutput(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep the hosts' output: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the hosts' output: %w", err)
	}
	return f, nil
}
