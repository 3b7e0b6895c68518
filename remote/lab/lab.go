// Package lab lays out throwaway hosts that are real: a build host and one or more targets, each with its own systemd,
// sshd, git and Nix, on one machine, as root, on Linux. It is what rel is tried on, by hand (cmd/rel-lab) and by tests.
//
// A host is an overlay of the machine's own root file system with a tmpfs on top, booted by systemd-nspawn on a bridge.
// What must not shine through (the Nix store, root's home, the machine's units and keys) is hidden. Beside the hosts
// stands the origin: a git daemon, a process of its own, so that it can be away while the hosts are up.
//
// A lab is one folder and one bridge. Names are derived from the folder and written to lab.json before anything is
// made; nothing else is remembered. Which processes, mounts and links belong to a lab is always read from the kernel, so
// that Down clears up after an Up that was killed at any instant, and never takes a recorded pid for its own.
//
// A test that uses a lab calls Main first in its TestMain, and Guard after Up: then the lab goes with the test, however
// that ends.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// upWithin is how long a whole Up may take; a cold Go cache is most of it.
const upWithin = 5 * time.Minute

// upBigWithin is the same with Big in it, the first time on this machine.
const upBigWithin = 30 * time.Minute

// downWithin is how long clearing up may take.
const downWithin = time.Minute

// DefaultDir is where a lab is when nobody says otherwise.
const DefaultDir = "/var/lib/rel-lab"

// Options say which lab Up makes.
type Options struct {
	Dir     string       // the lab's folder; DefaultDir if empty
	Targets int          // how many targets; 1 if zero
	Extra   []string     // artifacts of the repository beside the usual three: those of Extras
	Log     func(string) // told what is being done, a line at a time; nil for silence
}

// Lab is a lab that is up, or was when it was opened.
type Lab struct {
	// Dir is the folder that holds everything the lab has.
	Dir string

	state state
	extra []string
	began time.Time
	log   func(string)
	inits sync.Map // by the host's name the pid that its first process had when it was looked for
}

// Up makes a lab and returns when every host answers: ssh on all of them, Caddy with its certificates on the targets. A
// lab that is up already and well is returned as it is; what a killed Up left is cleared first. If Up fails nothing stays.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if err := Available(); err != nil {
		return nil, err
	}
	l, err := design(o)
	if err != nil {
		return nil, err
	}
	within := upWithin
	if slices.Contains(o.Extra, Big) {
		within = upBigWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	unlock, err := lock(ctx, l.Dir, l.log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	defer removeLockOfNothing(l.Dir)

	switch old, err := readState(l.Dir); {
	case err == nil && old.Ready:
		return l.reuse(ctx, old)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := l.clearRemains(ctx); err != nil {
		return nil, err
	}
	if err := l.raise(ctx); err != nil {
		if cerr := l.clear(ctx); cerr != nil {
			return nil, fmt.Errorf("%w (and clearing up failed: %w)", err, cerr)
		}
		return nil, err
	}
	l.say("ready: %s", l.Dir)
	return l, nil
}

// Open returns the lab in dir, which must have come up.
func Open(dir string) (*Lab, error) {
	dir, err := cleanDir(dir)
	if err != nil {
		return nil, err
	}
	s, err := readState(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no lab in %s; make one with: rel-lab up --dir %s", dir, dir)
	case err != nil:
		return nil, err
	case !s.Ready:
		return nil, fmt.Errorf("the lab in %s never came up whole; clear it with: rel-lab down --dir %s", dir, dir)
	}
	return &Lab{Dir: dir, state: s, began: time.Now(), log: func(string) {}}, nil
}

// design is the lab that o asks for, with nothing of it made yet.
func design(o Options) (*Lab, error) {
	dir, err := cleanDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.Targets == 0 {
		o.Targets = 1
	}
	if o.Targets < 1 || o.Targets > maxTargets {
		return nil, fmt.Errorf("a lab has 1 to %d targets, not %d", maxTargets, o.Targets)
	}
	for _, name := range o.Extra {
		if !slices.Contains(Extras, name) {
			return nil, fmt.Errorf("a lab can have %s beside the usual artifacts, not %q", strings.Join(Extras, " and "), name)
		}
	}
	log := o.Log
	if log == nil {
		log = func(string) {}
	}
	return &Lab{Dir: dir, state: newState(dir, o.Targets), extra: o.Extra, began: time.Now(), log: log}, nil
}

// reuse returns the lab that is there already, if it is the one asked for and all of it answers.
func (l *Lab) reuse(ctx context.Context, old state) (*Lab, error) {
	want := len(l.state.Hosts)
	l.state = old
	cure := fmt.Sprintf("clear it with: rel-lab down --dir %s", l.Dir)
	if len(old.Hosts) != want {
		return nil, fmt.Errorf("the lab in %s is up with %d targets, not %d; %s", l.Dir, len(old.Hosts)-1, want-1, cure)
	}
	if err := l.answers(ctx); err != nil {
		return nil, fmt.Errorf("the lab in %s is up but not well: %w; %s", l.Dir, err, cure)
	}
	l.say("already up, ready: %s", l.Dir)
	return l, nil
}

// raise makes the lab, step by step; the hosts side by side.
func (l *Lab) raise(ctx context.Context) error {
	if err := l.claim(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{l.layNetwork, l.makeKeys, l.makeOrigin, l.serveOrigin, l.writeConfig} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	warm := make(chan struct{})
	g.Go(func() error {
		defer close(warm)
		return l.warmCache(gctx)
	})
	for _, h := range l.state.Hosts {
		g.Go(func() error {
			if h.Build {
				<-warm // its cache is an overlay of the machine's, which is being filled
			}
			return l.raiseHost(gctx, h)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := l.checkPaths(ctx); err != nil {
		return err
	}
	if err := l.collectCA(); err != nil {
		return err
	}
	l.state.Ready = true
	return l.state.write()
}

// claim makes the folder and writes down what is about to be made, before any of it is.
func (l *Lab) claim() error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(l.Dir, 0o700); err != nil {
		return err
	}
	if err := l.state.write(); err != nil {
		return err
	}
	for _, d := range []string{"log", "hosts", "state"} {
		if err := os.MkdirAll(filepath.Join(l.Dir, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// say tells whoever listens what is being done, and how long after the start.
func (l *Lab) say(format string, args ...any) {
	l.log(fmt.Sprintf("%5.1fs  ", time.Since(l.began).Seconds()) + fmt.Sprintf(format, args...))
}

// ConfigPath is the lab's rel.toml.
func (l *Lab) ConfigPath() string { return filepath.Join(l.Dir, "rel.toml") }

// SSHConfigPath is an ssh_config with an alias for every host.
func (l *Lab) SSHConfigPath() string { return filepath.Join(l.Dir, "ssh_config") }

// JournalPath is where rel may keep its journal of this lab, so that it goes with the lab.
func (l *Lab) JournalPath() string { return filepath.Join(l.Dir, "state", "journal.db") }

// CAPath is the root certificates of every target's Caddy, as PEM.
func (l *Lab) CAPath() string { return filepath.Join(l.Dir, "ca.pem") }

// ConsolePath is what host wrote to its console.
func (l *Lab) ConsolePath(host string) string { return filepath.Join(l.Dir, "log", host+".console") }

// Targets are the names of the targets, in order.
func (l *Lab) Targets() []string {
	var names []string
	for _, h := range l.state.Hosts {
		if !h.Build {
			names = append(names, h.Name)
		}
	}
	return names
}

// BuildHost is the name of the build host.
func (l *Lab) BuildHost() string { return l.state.Hosts[0].Name }

// Addr is the address of a host, or of Origin; "" if the lab has no such host.
func (l *Lab) Addr(name string) string {
	if name == Origin {
		return l.state.gateway()
	}
	h, err := l.host(name)
	if err != nil {
		return ""
	}
	return h.Addr
}
