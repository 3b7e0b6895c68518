package phases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
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
	// Infos are what the build host's Nix knows of them, in the same order; nil in a
	// record that was made without.
	Infos []Info `json:"infos,omitempty"`
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

// brief is the release without its closure, on one line: what a target keeps
// for an operator who has no record of it.
func (r *Release) brief() string {
	short := *r
	short.Closure, short.Infos = nil, nil
	b, err := json.Marshal(&short)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return string(b)
}

var (
	// As the operator's side makes them; an adopted release's ends with that word.
	releaseID = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-[0-9a-z]{1,40}$`)
	// ArtifactName are those that can be part of paths and of the manifest's keys.
	ArtifactName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
)

// check makes sure of a release that a host described: its paths go into links
// and into lists with one a line.
func (r *Release) check() error {
	if err := r.plain(); err != nil {
		return err
	}
	if len(r.Outputs) == 0 || len(r.Closure) == 0 {
		return fmt.Errorf("the record of release %q is not whole", r.ID)
	}
	for i := range r.Outputs {
		if o := &r.Outputs[i]; !isStorePath(o.Path) {
			return fmt.Errorf("the record of release %s has an artifact %q in %q", r.ID, clip(o.Name), clip(o.Path))
		}
	}
	for _, path := range r.Closure {
		if !isStorePath(path) {
			return fmt.Errorf("%q in a closure is no store path", clip(path))
		}
	}
	return nil
}

// plain makes sure of what stands in the record: it is shown, and names files on other
// hosts. Whatever the record was made safe for, JSON's escapes bring it back.
func (r *Release) plain() error {
	if !releaseID.MatchString(r.ID) {
		return fmt.Errorf("the record of a release calls it %q", clip(r.ID))
	}
	// That of an adopted one need not be known.
	if r.Commit != "" && !isCommit(r.Commit) {
		return fmt.Errorf("the record of release %s has %q for its commit", r.ID, clip(r.Commit))
	}
	// A subject is words alone, and may rightly have a joined emoji: it is no reason to
	// refuse a way back.
	r.Subject = strings.Map(func(c rune) rune {
		if hidden(c) {
			return -1
		}
		return c
	}, r.Subject)
	texts := []string{r.Repo}
	for i := range r.Outputs {
		o := &r.Outputs[i]
		if !ArtifactName.MatchString(o.Name) {
			return fmt.Errorf("the record of release %s has an artifact %q", r.ID, clip(o.Name))
		}
		texts = append(texts, o.Flake, o.Binary, o.Link, o.Path)
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, hidden) {
			return fmt.Errorf("the record of release %s has %q", r.ID, clip(text))
		}
	}
	return nil
}

// hidden are characters that steer a terminal, end a line or cannot be seen.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

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
	n := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		n++
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
