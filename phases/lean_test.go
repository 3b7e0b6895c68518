package phases

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLean: what is sent of a script is the script. A shell that prints what it has
// understood prints the same of both, with every quoted text as it is in the file.
func TestLean(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash to ask")
	}
	files, err := filepath.Glob("*.sh")
	if err != nil || len(files) != len(parts) {
		t.Errorf("there are %d scripts, and %d in parts: %v", len(files), len(parts), err)
	}
	before, after := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		small := lean(string(text))
		before, after = before+len(text), after+len(small)
		if got, want := understood(t, small), understood(t, string(text)); got != want {
			t.Errorf("%s is another script without its comments:\n%s\nand with them:\n%s", file, got, want)
		}
		if first, _, _ := strings.Cut(string(text), "\n"); !strings.HasPrefix(small, first+"\n") {
			t.Errorf("%s does not say what it is: %q", file, first)
		}
		if out, err := exec.Command("sh", "-n", "-c", small).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
		}
		if !slices.ContainsFunc(parts, func(part *string) bool { return *part == small }) {
			t.Errorf("%s is not among the parts, or is sent with its comments", file)
		}
	}
	t.Logf("figures: %d bytes of %d are sent", after, before)
}

// understood is a script as bash prints it: the body of a function.
func understood(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", `eval "f() {
$1
}" && declare -f f`, "bash", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestParts: a script is its parts, and what is behind them.
func TestParts(t *testing.T) {
	code := targetHead + repoPart + syncScript
	if got := Parts(code); !slices.Equal(got, []string{targetHead, repoPart}) {
		t.Errorf("it has %d parts", len(got))
	}
	if got := Parts(takeScript + targetHead); got != nil {
		t.Errorf("what is not at the beginning is a part: %d", len(got))
	}
	if got := Parts(targetHead); !slices.Equal(got, []string{targetHead}) {
		t.Errorf("one part has %d", len(got))
	}
}

// TestLeanLeaves: what looks like a comment, or like an indentation, and is none.
func TestLeanLeaves(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"# What it is.\n#\n# More.\n\n    a  # why\n  # why\n\tb\n", "# What it is.\na  # why\nb\n"},
		{"a 'x\n  # y\n\n  z'\n  b\n", "a 'x\n  # y\n\n  z'\nb\n"},
		{"a \"x\n  # y \\\" z\n  #\"\n  b\n", "a \"x\n  # y \\\" z\n  #\"\nb\n"},
		{"# A.\na it\\'s\n  # b\n  c\n", "# A.\na it\\'s\nc\n"},
		{"# A.\na # don't\n  # b\n  c\n", "# A.\na # don't\nc\n"},
		{"# A.\na ${b#x} 'c\n  #'\n", "# A.\na ${b#x} 'c\n  #'\n"},
		{"# A.\n  cat <<EOT\n  # x\n\n  'y\nEOT\n  # b\n  c\n", "# A.\ncat <<EOT\n  # x\n\n  'y\nEOT\nc\n"},
		{"# A.\n  cat <<'EOT'\n  x\nEOT\n  c\n", "# A.\ncat <<'EOT'\n  x\nEOT\nc\n"},
		{"# A.\na=$((1 << 2))\n  # b\n  c\n", "# A.\na=$((1 << 2))\nc\n"},
	} {
		if got := lean(c.script); got != c.want {
			t.Errorf("of %q is left %q, want %q", c.script, got, c.want)
		}
	}
}
