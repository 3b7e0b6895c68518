package phases

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed outputs.sh
var outputsPart string

//go:embed build.sh
var buildScript string

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
	p.ahead = p.setOut(ctx)
	release, err := build(ctx, p)
	if err != nil {
		p.Drop()
		return err
	}
	p.ahead.over()
	p.Facts.Build = release
	p.Note(p.Build.Name(), fmt.Sprintf("%s, %s, %s", CountText(len(release.Outputs), "artifact"), CountText(len(release.Closure), "path"), BytesText(release.Bytes)))
	return nil
}

// newRelease is the plan's, with nothing built.
func (p *Promotion) newRelease() *Release {
	return &Release{
		ID: p.ID, Commit: p.Plan.Commit, Subject: p.Plan.Subject,
		CreatedAt: time.Now().UTC().Truncate(time.Second), Repo: p.Plan.Build.Repo,
	}
}

func build(ctx context.Context, p *Promotion) (*Release, error) {
	release := p.newRelease()
	var rows [][]string
	for _, a := range p.Plan.Artifacts {
		rows = append(rows, []string{"artifact", a.Name, a.Flake, a.Binary, manifestKey(a.Name)})
	}
	for line := range strings.Lines(string(release.Manifest())) {
		rows = append(rows, []string{"line", strings.TrimSuffix(line, "\n")})
	}
	said := newNixlog(func(t Tick) { p.tick(p.Build.Name(), t) })
	answer, err := ask(ctx, p, p.Build, Script{
		Name: "build.sh", Code: outputsPart + infosPart + buildScript, Stdin: table(rows...), Line: p.ahead.listen(p.lineOf(p.Build)),
		Decode: func(line string) string {
			p.Pulse.Beat()
			return said.decode(line)
		},
		Env: map[string]string{"APP": p.Plan.App, "ID": p.ID, "KEEP": strconv.Itoa(p.Plan.Keep),
			"REPO": p.Plan.Build.Repo, "COMMIT": p.Plan.Commit, "MANIFEST": p.Plan.Manifest},
	})
	if err != nil {
		return nil, err
	}
	if head := answer.get("moved"); head != "" {
		return nil, &Refusal{Reason: CommitsDiffer, Host: p.Build.Name(), Thing: p.Plan.Build.Repo, Items: []string{head}}
	}
	return release, release.describe(p, answer, p.Plan.Artifacts)
}

// describe writes down what the build host says of the artifacts that it has built.
func (r *Release) describe(p *Promotion, a answer, artifacts []Artifact) error {
	host, said := p.Build.Name(), a.table("built")
	for _, artifact := range artifacts {
		text, built := said[artifact.Name]
		if !built {
			return fmt.Errorf("%s: nix did not say what it built for artifact %q", host, artifact.Name)
		}
		path, err := outPath([]byte(text))
		if err != nil {
			return fmt.Errorf("%s: artifact %q: %w", host, artifact.Name, err)
		}
		if slices.Contains(a.all("missing"), artifact.Name) {
			return &MissingBinaryError{Host: host, Artifact: artifact, Path: path}
		}
		r.Outputs = append(r.Outputs, Output{Artifact: artifact, Path: path})
	}
	return r.consists(host, a)
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

// consists records what the release consists of, as the build host has it.
func (r *Release) consists(host string, a answer) error {
	r.Closure = a.all("path")
	for _, path := range r.Closure {
		if !isStorePath(path) {
			return fmt.Errorf("%s: %q in a closure is no store path", host, clip(path))
		}
	}
	for i := range r.Outputs {
		if o := &r.Outputs[i]; !slices.Contains(r.Closure, o.Path) {
			return fmt.Errorf("%s: the closure does not have %s, which was built for artifact %q", host, o.Path, o.Name)
		}
	}
	infos, err := parseInfos(host, r.Closure, a)
	if err != nil {
		return err
	}
	r.Infos = infos
	for i := range infos {
		r.Bytes += infos[i].Size
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

// BytesText is a number of bytes, for people: 16.5 MiB.
func BytesText(n int64) string {
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

// CountText is so many of a thing, for people: 1 path, 2 paths.
func CountText(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
