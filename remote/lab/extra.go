package lab

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The artifacts that a lab has only if it is asked for them, since they take their time. They are no services: each is
// only there to be sent.
const (
	// Many is 300 small store paths.
	Many = "many"
	// Big is a Go program of some 94 MB.
	Big = "big"
)

// Extras are their names.
var Extras = []string{Many, Big}

// warmBig compiles Big's packages once; a build on the build host then links them.
func (l *Lab) warmBig(ctx context.Context, env []string, scratch string) error {
	if err := os.CopyFS(scratch, os.DirFS(filepath.Join(l.workDir(), Big))); err != nil {
		return err
	}
	if _, err := run(ctx, env, "go", "run", "-C", scratch, "./generate", "."); err != nil {
		return err
	}
	_, err := run(ctx, env, "go", "build", "-C", scratch, "-trimpath", "-buildvcs=false", "-o", os.DevNull, ".")
	return err
}

// writeExtra sets the next version of the extra artifact that b touches.
func (l *Lab) writeExtra(ctx context.Context, b Bump) error {
	if !slices.Contains(Extras, b.Only) {
		return nil
	}
	dir := filepath.Join(l.workDir(), b.Only)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("the lab in %s was made without %s: %w", l.Dir, b.Only, err)
	}
	// The usual artifacts keep theirs, so that it takes another number to count by.
	text, err := l.git(ctx, "rev-list", "--count", "HEAD")
	if err != nil {
		return err
	}
	commits, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("git rev-list --count: %w", err)
	}
	if b.Only == Big {
		return setEdition(filepath.Join(dir, "main.go"), commits+1)
	}
	return os.WriteFile(filepath.Join(dir, "version"), fmt.Appendf(nil, "%d\n", commits+1), 0o644)
}

// edition is the line of a program that Bump changes.
var edition = regexp.MustCompile(`(?m)^const edition = ".*"$`)

// writeLine changes a line of each program that b touches.
func (l *Lab) writeLine(b Bump, version int) error {
	for name, folder := range folders {
		if b.Only != "" && b.Only != name {
			continue
		}
		if err := setEdition(filepath.Join(l.workDir(), folder, "main.go"), version); err != nil {
			return err
		}
	}
	return nil
}

func setEdition(file string, version int) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !edition.Match(text) {
		return fmt.Errorf("%s has no edition: %w", file, fs.ErrInvalid)
	}
	// Never as long as the one before: what lies behind it in the program moves, as it mostly does.
	line := fmt.Sprintf(`const edition = "edition %05d%s"`, version, strings.Repeat("+", version%8*4))
	return os.WriteFile(file, edition.ReplaceAll(text, []byte(line)), 0o644)
}
