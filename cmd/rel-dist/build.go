package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// build is one release in the making.
type build struct {
	*cli
	version string
	made    time.Time
	work    string
}

// compile builds rel for a system, and returns the file. Nothing of where it is built gets
// into it.
func (b *build) compile(ctx context.Context, s system) (string, error) {
	file := filepath.Join(b.work, "rel-"+s.os+"-"+s.arch)
	env := []string{"CGO_ENABLED=0", "GOOS=" + s.os, "GOARCH=" + s.arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off"}
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-tags", b.Tags}, strings.Fields(b.Flags)...)
	_, err := output(ctx, env, b.Go, append(args, "-ldflags", "-s -w -buildid= -X main.builtAs="+b.version, "-o", file, "./cmd/rel")...)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > b.Largest {
		err = fmt.Errorf("it has %d bytes, and may have %d", info.Size(), b.Largest)
	}
	return file, err
}

// common are the files of every archive, but for the binary and what depends on it.
func (b *build) common(ctx context.Context) ([]entry, error) {
	var list []entry
	// The pages of the README lie where it links to, and so does what they link to.
	names, err := filepath.Glob("cmd/rel/doc/*.md")
	if err != nil {
		return nil, err
	}
	screens, err := filepath.Glob("cmd/rel/doc/screens/*")
	if err != nil {
		return nil, err
	}
	names = append(names, screens...)
	for _, name := range append(names, "LICENSE", "README.md", "CHANGELOG.md", "BENCHMARKS.md", "cmd/rel-bench/predecessor.sh", "cmd/rel/count_test.go") {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: name, mode: 0o644, content: text})
	}
	// One for this machine, whatever that is, prints the rest.
	here := filepath.Join(b.work, "rel")
	if _, err := output(ctx, []string{"CGO_ENABLED=0"}, b.Go, "build", "-buildvcs=false", "-tags", b.Tags, "-ldflags", "-X main.builtAs="+b.version, "-o", here, "./cmd/rel"); err != nil {
		return nil, err
	}
	for _, p := range []struct{ file, command, what string }{
		{"man/man1/rel.1", "man", "rel.1"}, {"man/man5/rel.toml.5", "man", "rel.toml.5"},
		{"completion/rel.bash", "completion", "bash"}, {"completion/_rel", "completion", "zsh"}, {"completion/rel.fish", "completion", "fish"},
	} {
		text, err := output(ctx, nil, here, p.command, p.what)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: p.file, mode: 0o644, content: []byte(text + "\n")})
	}
	return list, nil
}

// pack writes the archive of a system, and its parts list beside it.
func (b *build) pack(ctx context.Context, s system, common []entry) error {
	file, err := b.compile(ctx, s)
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return err
	}
	parts, err := b.parts(ctx, info)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("rel-%s-%s-%s", b.version, s.os, s.arch)
	bom, err := sbom(b.version, s, b.made, info.GoVersion, binary, parts)
	if err != nil {
		return err
	}
	list := append([]entry{
		{name: "rel", mode: 0o755, content: binary},
		{name: "THIRD-PARTY.txt", mode: 0o644, content: notices(parts)},
	}, common...)
	archive, err := tarball(name, list, b.made)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.Out, name+".cdx.json"), bom, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.Out, name+".tar.gz"), archive, 0o644)
}
