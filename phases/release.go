package phases

import (
	"bufio"
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"
)

// Release is a commit with its artifacts' exact store paths, once built.
type Release struct {
	// ID is the promotion that built it.
	ID        string    `json:"id"`
	Commit    string    `json:"commit"`
	Subject   string    `json:"subject,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	Repo      string    `json:"repo"`
	Outputs   []Output  `json:"outputs"`
	// Closure are all paths of all artifacts' closures, references first.
	Closure []string `json:"closure"`
	// Bytes is the closure's size unpacked.
	Bytes int64 `json:"bytes"`
}

// Output is one built artifact.
type Output struct {
	Artifact
	// Path is the artifact's store path.
	Path string `json:"path"`
}

// Target is what the artifact's link points at: the binary in the store.
func (o *Output) Target() string { return path.Join(o.Path, o.Binary) }

// Manifest writes the release down as KEY=value lines, for scripts that read
// it. It is data: parsed, never sourced.
func (r *Release) Manifest() []byte {
	var b bytes.Buffer
	put := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, value) }
	put("RELEASE_SHA", r.Commit)
	put("RELEASE_SHORT_SHA", Short(r.Commit))
	put("RELEASE_CREATED_AT", r.CreatedAt.UTC().Format(time.RFC3339))
	put("RELEASE_ID", r.ID)
	put("REPO_ROOT", r.Repo)
	put("GIT_DIRTY", "false")
	for i := range r.Outputs {
		o := &r.Outputs[i]
		put(manifestKey(o.Name)+"_PATH", o.Path)
		put(manifestKey(o.Name)+"_BIN", o.Target())
	}
	return b.Bytes()
}

func manifestKey(name string) string {
	return strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// ParseManifest reads KEY=value lines. Values are taken as they stand: a value
// such as $(touch /x) stays text. A line that is not of the form, a key that is
// no shell name or that comes twice is an error.
func ParseManifest(data []byte) (map[string]string, error) {
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok || !isName(key) {
			return nil, fmt.Errorf("manifest line %d: %q is not KEY=value", n, clip(line))
		}
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("manifest line %d: %s is there twice", n, key)
		}
		values[key] = value
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return values, nil
}

func isName(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
