package lab

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/google/renameio/v2"
)

// fixture is everything that is written to hosts and into the repository:
//
//	repo/    the origin's first commit; ".txt" behind .go and go.mod keeps them out of our own build
//	host/    files of every host, by their place in it
//	target/  files of the targets alone
//	many/    the extra artifact of that name, and
//	big/     the other
//
//go:embed fixture
var fixture embed.FS

// putFixture writes a folder of the fixture through put, with the paths relative to it.
func putFixture(folder string, put func(name string, b []byte) error) error {
	top := path.Join("fixture", folder)
	return fs.WalkDir(fixture, top, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fixture.ReadFile(p)
		if err != nil {
			return err
		}
		return put(strings.TrimSuffix(strings.TrimPrefix(p, top+"/"), ".txt"), b)
	})
}

// writeConfig writes what the operator needs: rel.toml and ssh_config.
func (l *Lab) writeConfig(context.Context) error {
	facts := struct {
		Dir, BuildHost string
		Targets        []string
		Hosts          []member
	}{l.Dir, l.BuildHost(), l.Targets(), l.state.Hosts}
	for name, to := range map[string]string{"rel.toml.tmpl": l.ConfigPath(), "ssh_config.tmpl": l.SSHConfigPath()} {
		t, err := template.ParseFS(fixture, "fixture/"+name)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, facts); err != nil {
			return err
		}
		if err := os.WriteFile(to, b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// goRoot is the machine's Go, which the build host is lent. What a go.mod or an environment variable would rather have
// does not count: the build host has only the one.
func goRoot(ctx context.Context) (string, error) {
	out, err := run(ctx, []string{"GOTOOLCHAIN=local"}, "go", "env", "GOROOT")
	return strings.TrimSpace(out), err
}

// goCache is the machine's own Go build cache.
func goCache(ctx context.Context) (string, error) {
	out, err := run(ctx, []string{"GOCACHE=" + os.Getenv("GOCACHE")}, "go", "env", "GOCACHE")
	if err != nil {
		return "", err
	}
	dir := strings.TrimSpace(out)
	if !plainPath.MatchString(dir) {
		return "", fmt.Errorf("go's build cache %q cannot be mounted in a host; set GOCACHE to a plain path", dir)
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// warm is held while the machine's Go build cache is being filled; it says whether this process has done that already.
var warm struct {
	sync.Mutex
	done bool
}

// linkedDir is the folder of the build cache that has the servers, linked. Go takes what lies where it would put a
// program for its own if it is what it would make, and makes it anew if not: compile.sh puts it there.
const linkedDir = "rel-lab"

// warmCache builds the servers once with the machine's Go and the settings of server.nix, so that a build on the build
// host compiles and links small packages, and not the standard library.
func (l *Lab) warmCache(ctx context.Context) error {
	began := time.Now()
	cache, err := goCache(ctx)
	if err != nil {
		return err
	}
	scratch := filepath.Join(l.Dir, "warm")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return err
	}
	env := []string{
		"GOCACHE=" + cache, "GOENV=off", "GOFLAGS=", "GOPROXY=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		"GOPATH=" + scratch,
		"GOTMPDIR=" + scratch, // where a Go that is killed leaves its files: they go with the lab
	}
	if err := l.warmServers(ctx, env, filepath.Join(cache, linkedDir), scratch); err != nil {
		return fmt.Errorf("warm the Go cache: %w", err)
	}
	if slices.Contains(l.extra, Big) {
		if err := l.warmBig(ctx, env, filepath.Join(scratch, Big)); err != nil {
			return fmt.Errorf("warm the Go cache: %w", err)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		l.say("Go cache warmed in %.1fs; the next lab finds it warm", took.Seconds())
	}
	return nil
}

// warmServers links each server into the folder linked.
func (l *Lab) warmServers(ctx context.Context, env []string, linked, scratch string) error {
	warm.Lock()
	defer warm.Unlock()
	if warm.done {
		return nil
	}
	if err := os.MkdirAll(linked, 0o755); err != nil {
		return err
	}
	for name, folder := range folders {
		made, kept := filepath.Join(scratch, name), filepath.Join(linked, name)
		old, err := os.ReadFile(kept)
		if err == nil {
			err = os.WriteFile(made, old, 0o755)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		src := filepath.Join(l.workDir(), folder)
		if _, err := run(ctx, env, "go", "build", "-C", src, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", made, "."); err != nil {
			return err
		}
		text, err := os.ReadFile(made)
		if err == nil && !bytes.Equal(text, old) {
			err = renameio.WriteFile(kept, text, 0o755) // others may be at it
		}
		if err != nil {
			return err
		}
	}
	warm.done = true
	return nil
}
