package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed build.sh
var buildScript string

//go:embed closure.sh
var closureScript string

//go:embed valid.sh
var validScript string

// MissingBinaryError says that an artifact was built, but is not what the
// configuration says it is.
type MissingBinaryError struct {
	Host     string
	Artifact Artifact
	Path     string
}

func (e *MissingBinaryError) Error() string {
	return fmt.Sprintf("%s: artifact %q has no executable %s in %s", e.Host, e.Artifact.Name, e.Artifact.Binary, e.Path)
}

// Build builds all artifacts from the clean checkout in one go, makes sure
// that each has its binary, pins them on the build host until they are copied,
// and writes the release down. Outputs that are there already cost nothing.
func Build(ctx context.Context, p *Promotion) error {
	release, err := build(ctx, p)
	if err != nil {
		return err
	}
	if err := closure(ctx, p, release); err != nil {
		return err
	}
	if err := p.Build.Upload(ctx, p.Plan.Manifest, release.Manifest(), 0o644); err != nil {
		return err
	}
	p.Facts.Build = release
	p.Note(p.Build.Name(), fmt.Sprintf("%d artifacts, %d paths, %s", len(release.Outputs), len(release.Closure), bytesText(release.Bytes)))
	return nil
}

func build(ctx context.Context, p *Promotion) (*Release, error) {
	var rows [][]string
	for _, a := range p.Plan.Artifacts {
		rows = append(rows, []string{a.Name, a.Flake})
	}
	answer, err := ask(ctx, p, p.Build, Script{
		Name: "build.sh", Code: buildScript, Stdin: table(rows...),
		Env: map[string]string{"REPO": p.Plan.Build.Repo, "COMMIT": p.Plan.Commit},
	})
	if err != nil {
		return nil, err
	}
	if head := answer.get("moved"); head != "" {
		return nil, &Refusal{Reason: CommitsDiffer, Host: p.Build.Name(), Thing: p.Plan.Build.Repo, Items: []string{head}}
	}
	paths := map[string]string{}
	for _, row := range answer.all("built") {
		name, text, _ := strings.Cut(row, "\t")
		if paths[name], err = outPath([]byte(text)); err != nil {
			return nil, fmt.Errorf("%s: artifact %q: %w", p.Build.Name(), name, err)
		}
	}
	release := &Release{
		ID: p.ID, Commit: p.Plan.Commit, Subject: p.Plan.Subject,
		CreatedAt: time.Now().UTC().Truncate(time.Second), Repo: p.Plan.Build.Repo,
	}
	for _, a := range p.Plan.Artifacts {
		if paths[a.Name] == "" {
			return nil, fmt.Errorf("%s: nix did not say what it built for artifact %q", p.Build.Name(), a.Name)
		}
		release.Outputs = append(release.Outputs, Output{Artifact: a, Path: paths[a.Name]})
	}
	return release, nil
}

// outPath reads the store path of the default output from what
// `nix build --json` prints for one installable; the form is the same from
// Nix 2.4 on.
func outPath(text []byte) (string, error) {
	var results []struct {
		Outputs map[string]string `json:"outputs"`
	}
	if err := json.Unmarshal(text, &results); err != nil || len(results) != 1 {
		return "", fmt.Errorf("nix build --json printed %q", clip(string(text)))
	}
	out := results[0].Outputs["out"]
	if out == "" && len(results[0].Outputs) == 1 {
		for _, only := range results[0].Outputs {
			out = only
		}
	}
	if !isStorePath(out) {
		return "", fmt.Errorf("its output %q is no store path", clip(out))
	}
	return out, nil
}

// isStorePath reports whether s is a path directly in the store, in the
// alphabet that Nix allows for names. It goes into links and scripts' lists.
func isStorePath(s string) bool {
	name, ok := strings.CutPrefix(s, storeDir+"/")
	if !ok || len(name) < 34 || name[32] != '-' {
		return false
	}
	for _, r := range name {
		switch {
		case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		case strings.ContainsRune("+-._?=", r):
		default:
			return false
		}
	}
	return true
}

// closure checks the binaries and records what the release consists of.
func closure(ctx context.Context, p *Promotion, release *Release) error {
	var rows [][]string
	for _, o := range release.Outputs {
		rows = append(rows, []string{o.Name, o.Path, o.Binary})
	}
	a, err := ask(ctx, p, p.Build, Script{
		Name: "closure.sh", Code: closureScript, Stdin: table(rows...),
		Env: map[string]string{"APP": p.Plan.App, "ID": p.ID, "KEEP": strconv.Itoa(p.Plan.Keep)},
	})
	if err != nil {
		return err
	}
	for _, o := range release.Outputs {
		for _, name := range a.all("missing") {
			if name == o.Name {
				return &MissingBinaryError{Host: p.Build.Name(), Artifact: o.Artifact, Path: o.Path}
			}
		}
	}
	for _, path := range a.all("path") {
		if !isStorePath(path) {
			return fmt.Errorf("%s: %q in a closure is no store path", p.Build.Name(), clip(path))
		}
		release.Closure = append(release.Closure, path)
	}
	release.Bytes, err = strconv.ParseInt(a.get("bytes"), 10, 64)
	if err != nil || len(release.Closure) < 1 {
		return fmt.Errorf("%s: closure.sh did not answer with a closure and its size", p.Build.Name())
	}
	return nil
}

// built holds while the build host still has every output.
func built(ctx context.Context, p *Promotion) (lost string, err error) {
	missing, err := invalid(ctx, p, p.Build, p.Facts.Build.Closure)
	if err != nil || len(missing) == 0 {
		return "", err
	}
	return fmt.Sprintf("%s no longer has %s", p.Build.Name(), missing[0]), nil
}

// invalid asks which of the paths the host's store does not have.
func invalid(ctx context.Context, p *Promotion, host Host, paths []string) ([]string, error) {
	a, err := ask(ctx, p, host, Script{Name: "valid.sh", Code: validScript, Root: true, Reads: true, Stdin: lines(paths)})
	return a.all("missing"), err
}

func lines(list []string) *strings.Reader {
	return strings.NewReader(strings.Join(list, "\n") + "\n")
}

func bytesText(n int64) string {
	const unit = 1 << 10
	switch {
	case n < unit:
		return fmt.Sprintf("%d B", n)
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/(unit*unit))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(unit*unit*unit))
}
