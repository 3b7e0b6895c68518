package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Origin is the name under which the git daemon is stopped, started and asked for its address.
const Origin = "origin"

// originPort is git's own.
const originPort = "9418"

func (l *Lab) originDir() string { return filepath.Join(l.Dir, "origin") }
func (l *Lab) bareDir() string   { return filepath.Join(l.originDir(), "choiros.git") }
func (l *Lab) workDir() string   { return filepath.Join(l.Dir, "work") }

// makeOrigin makes the bare repository and the clone that Bump works in, with the first commit pushed.
func (l *Lab) makeOrigin(ctx context.Context) error {
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", "--template=", l.bareDir()},
		{"init", "--quiet", "--initial-branch=main", "--template=", l.workDir()},
		{"-C", l.workDir(), "remote", "add", "origin", l.bareDir()},
	} {
		if _, err := run(ctx, nil, "git", args...); err != nil {
			return err
		}
	}
	if err := putFixture("repo", l.putWork("")); err != nil {
		return err
	}
	for _, name := range l.extra {
		if err := putFixture(name, l.putWork(name)); err != nil {
			return err
		}
	}
	return l.publish(ctx, "choiros: version 1")
}

// putWork writes files into a folder of the work clone.
func (l *Lab) putWork(folder string) func(name string, b []byte) error {
	return func(name string, b []byte) error {
		to := filepath.Join(l.workDir(), folder, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	}
}

// publish commits the whole work clone and pushes it.
func (l *Lab) publish(ctx context.Context, subject string) error {
	for _, args := range [][]string{
		{"add", "--all"},
		{"commit", "--quiet", "--no-verify", "-m", subject},
		{"push", "--quiet", "origin", "HEAD:main"},
	} {
		if _, err := l.git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// git runs git in the work clone.
func (l *Lab) git(ctx context.Context, args ...string) (string, error) {
	out, err := run(ctx, nil, "git", append([]string{"-C", l.workDir()}, args...)...)
	return strings.TrimSpace(out), err
}

// Head is the commit that main of the origin is at.
func (l *Lab) Head(ctx context.Context) (string, error) {
	out, err := run(ctx, nil, "git", "--git-dir", l.bareDir(), "rev-parse", "refs/heads/main")
	return strings.TrimSpace(out), err
}

// serveOrigin starts the git daemon and waits until it answers.
func (l *Lab) serveOrigin(ctx context.Context) error {
	core, err := run(ctx, nil, "git", "--exec-path")
	if err != nil {
		return err
	}
	log := filepath.Join(l.Dir, "log", "origin.log")
	// The daemon itself, not "git daemon": one process to stop instead of two.
	err = start(ctx, log, filepath.Join(strings.TrimSpace(core), "git-daemon"), "--export-all", "--reuseaddr",
		"--base-path="+l.originDir(), "--listen="+l.state.gateway(), "--port="+originPort, l.originDir())
	if err != nil {
		return err
	}
	if err := await(ctx, 10*time.Second, "the origin on "+l.state.gateway(), l.originAnswers); err != nil {
		return fmt.Errorf("%w%s", err, tailOf(log))
	}
	l.say("origin: %s", l.state.originURL())
	return nil
}

func (l *Lab) originAnswers(ctx context.Context) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(l.state.gateway(), originPort))
	if err != nil {
		return err
	}
	return c.Close()
}
