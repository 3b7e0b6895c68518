package journal

import (
	"os"
	"path/filepath"
	"testing"
)

// What hosts print is kept per attempt, and a reopened file is gone on with:
// attempts are never overwritten.
func TestOutputIsKeptPerAttempt(t *testing.T) {
	t.Parallel()
	j := New(filepath.Join(t.TempDir(), "app", "journal.db"))
	for _, write := range []struct {
		phase   string
		attempt int
		text    string
	}{
		{"build", 1, "one\n"}, {"build", 2, "two\n"}, {"copy", 1, "three\n"}, {"build", 1, "more\n"},
	} {
		f, err := j.Output("20261122-183229-dc8876b", write.phase, write.attempt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(write.text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(filepath.Dir(j.path), "logs", "20261122-183229-dc8876b")
	for name, want := range map[string]string{"build-1.log": "one\nmore\n", "build-2.log": "two\n", "copy-1.log": "three\n"} {
		path := filepath.Join(dir, name)
		if got := string(mustReadFile(t, path)); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v: what hosts print may be secret", name, info.Mode(), err)
		}
	}
	if got := j.OutputPath("20261122-183229-dc8876b", "build", 2); got != filepath.Join(dir, "build-2.log") {
		t.Errorf("OutputPath says %s", got)
	}
	// The database is none of its business.
	if _, err := os.Stat(j.path); err == nil {
		t.Error("keeping output made a journal")
	}
}
