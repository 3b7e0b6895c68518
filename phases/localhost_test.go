package phases

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// local is a Host on this machine: scripts run in a real /bin/sh, with the
// real git. It is for what the scripts do to checkouts and files; the lab's
// tests have the rest.
type local struct {
	name string
	// env is added to the scripts' environment.
	env []string
	// state stands for /var/lib/rel, which is this machine's own.
	state string
	// as goes before the shell, to run it as another user.
	as []string
}

func (l *local) Name() string { return l.name }

func (l *local) Run(ctx context.Context, s Script) ([]byte, error) {
	code := s.Code
	if l.state != "" {
		code = strings.ReplaceAll(code, "/var/lib/rel/", l.state+"/")
	}
	shell := append(slices.Clone(l.as), "/bin/sh", "-c", code)
	cmd := exec.CommandContext(ctx, shell[0], shell[1:]...)
	cmd.Env = append(append(os.Environ(), "LC_ALL=C"), l.env...)
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdin = s.Stdin
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if s.Stdout != nil {
		cmd.Stdout = s.Stdout
	}
	err := cmd.Run()
	said := complaints.String()
	if s.Decode != nil {
		said = ""
		for line := range strings.Lines(complaints.String()) {
			said += s.Decode(strings.TrimSuffix(line, "\n"))
		}
	}
	for line := range strings.Lines(said) {
		if s.Line != nil {
			s.Line(strings.TrimSuffix(line, "\n"))
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, &exitError{l.name + ": " + s.Name + ": " + complaints.String(), exit.ExitCode()}
	}
	return out.Bytes(), err
}

// exitError is what a script failed with.
type exitError struct {
	text   string
	status int
}

func (e *exitError) Error() string   { return e.text }
func (e *exitError) ExitStatus() int { return e.status }

func (l *local) Upload(_ context.Context, path string, data []byte, mode uint32) error {
	return os.WriteFile(path, data, os.FileMode(mode))
}

func (l *local) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func (l *local) Uplink(context.Context, bool) (time.Duration, float64) { return 0, 0 }
func (l *local) Redial(context.Context) (Connection, error)            { return l, nil }

func (l *local) Loan(context.Context, string) (Loan, error) { panic("nobody copies here") }

func (l *local) Close() {}

// repos is an origin with some commits, and a checkout of it for each host.
type repos struct {
	t      *testing.T
	origin string
	// commits are those on main, oldest first.
	commits []string
}

func newRepos(t *testing.T) *repos {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(t.TempDir(), "none"))
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	r := &repos{t: t, origin: filepath.Join(t.TempDir(), "origin")}
	r.git("", "init", "-q", "-b", "main", r.origin)
	for _, text := range []string{"one", "two", "three"} {
		r.commit(r.origin, text)
	}
	return r
}

func (r *repos) git(dir string, args ...string) string {
	r.t.Helper()
	if dir != "" {
		args = append([]string{"-C", dir}, args...)
	}
	cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repos) commit(dir, text string) string {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.git(dir, "add", "file")
	r.git(dir, "commit", "-q", "-m", text)
	sha := r.git(dir, "rev-parse", "HEAD")
	if dir == r.origin {
		r.commits = append(r.commits, sha)
	}
	return sha
}

// clone makes a checkout that is at the given commit.
func (r *repos) clone(at string) string {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "checkout")
	r.git("", "clone", "-q", r.origin, dir)
	r.git(dir, "reset", "-q", "--hard", at)
	return dir
}

func (r *repos) head(dir string) string { return r.git(dir, "rev-parse", "HEAD") }

// promotion is one over a build host and a target, with a checkout on each.
func (r *repos) promotion(build, target, commit string) *Promotion {
	state := r.t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "app"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	return &Promotion{
		ID: "20260102-030405-" + Short(commit),
		Plan: Plan{App: "app", Branch: "main", Commit: commit, Build: Site{Host: "grind", Repo: build},
			Targets: []Site{{Host: "prod", Repo: target}}},
		Build: &local{name: "grind"}, Targets: []Host{&local{name: "prod", state: state}},
		Line: func(string, string) {}, Note: func(string, string) {},
	}
}
