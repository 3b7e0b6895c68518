package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bump says what the next commit is like.
type Bump struct {
	// Broken is how its hypervisor is broken, on purpose: "health" answers 500, "crash" exits after half a second,
	// "build" does not build, "late" takes 8 s for that, "slow" listens after 8 s. Empty is a good one, and mends what the
	// one before broke.
	Broken string
	// Only is the one artifact that the commit touches: "sandbox", "hypervisor" or "desktop", or one of Extras. Empty is
	// all three. The hypervisor is built anew in any case, since it carries the commit.
	Only string
	// Line says that a line of the programs' source is changed too, so that they are compiled anew.
	Line bool
}

// folders are where the repository has its artifacts.
var folders = map[string]string{"sandbox": "sandbox", "hypervisor": "hypervisor", "desktop": "dioxus-desktop"}

// Broken are the ways in which Bump can break a hypervisor.
var Broken = []string{"health", "crash", "build", "late", "slow"}

// Bump commits the next version to the work clone, pushes it to the origin's main, and returns the commit. Hosts do not
// hear of it until they fetch.
func (l *Lab) Bump(ctx context.Context, b Bump) (sha string, err error) {
	if b.Broken != "" && !slices.Contains(Broken, b.Broken) {
		return "", fmt.Errorf("broken can be one of %s, not %q", strings.Join(Broken, ", "), b.Broken)
	}
	if b.Only != "" && folders[b.Only] == "" && !slices.Contains(Extras, b.Only) {
		return "", fmt.Errorf("only can be sandbox, hypervisor, desktop, many or big, not %q", b.Only)
	}
	unlock, err := lock(ctx, l.Dir, l.log)
	if err != nil {
		return "", err
	}
	defer unlock()
	// From what the origin has, whatever a Bump that was cut left here.
	for _, args := range [][]string{{"fetch", "--quiet", "origin", "main"}, {"reset", "--quiet", "--hard", "FETCH_HEAD"}} {
		if _, err := l.git(ctx, args...); err != nil {
			return "", err
		}
	}
	version, err := l.writeVersion(b)
	if err != nil {
		return "", err
	}
	if err := l.writeExtra(ctx, b); err != nil {
		return "", err
	}
	subject := fmt.Sprintf("choiros: version %d", version)
	if b.Only != "" {
		subject = fmt.Sprintf("%s: version %d", b.Only, version)
	}
	if b.Broken != "" {
		subject += " (broken on purpose: " + b.Broken + ")"
	}
	if err := l.publish(ctx, subject); err != nil {
		return "", err
	}
	return l.Head(ctx)
}

// writeVersion sets the next version in the folders that b touches. It is one more than the highest of all.
func (l *Lab) writeVersion(b Bump) (version int, err error) {
	for _, folder := range folders {
		path := filepath.Join(l.workDir(), folder, "version")
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		version = max(version, n+1)
	}
	for name, folder := range folders {
		if b.Only != "" && b.Only != name {
			continue
		}
		path := filepath.Join(l.workDir(), folder, "version")
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", version), 0o644); err != nil {
			return 0, err
		}
	}
	if b.Line {
		if err := l.writeLine(b, version); err != nil {
			return 0, err
		}
	}
	mode := "ok"
	if b.Broken != "" {
		mode = b.Broken
	}
	return version, os.WriteFile(filepath.Join(l.workDir(), "hypervisor", "mode"), []byte(mode+"\n"), 0o644)
}
