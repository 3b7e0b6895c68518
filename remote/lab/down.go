package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Down ends the lab: its processes, mounts, links, cgroups and folder.
func (l *Lab) Down(ctx context.Context) error { return Down(ctx, l.Dir, l.log) }

// Down ends whatever lab there is in dir, whole or not: it goes by what the kernel shows, so that an Up that was killed
// leaves nothing that Down does not find. With no lab there it does nothing. It leaves a folder alone that is not a
// lab's.
func Down(ctx context.Context, dir string, log func(string)) error {
	l, err := design(Options{Dir: dir, Log: log})
	if err != nil {
		return err
	}
	if err := rootOnLinux(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWithin+downWithin)
	defer cancel()
	unlock, err := lock(ctx, l.Dir, l.log)
	if err != nil {
		return err
	}
	defer unlock()
	defer removeLockOfNothing(l.Dir)
	if err := l.clear(ctx); err != nil {
		return err
	}
	l.say("down: %s", l.Dir)
	return nil
}

// clearRemains takes away what an Up that was cut has left, if anything.
func (l *Lab) clearRemains(ctx context.Context) error {
	if err := l.checkOurs(); err != nil {
		return err
	}
	mounts, err := mountsBelow(l.Dir)
	if err != nil {
		return err
	}
	ps, err := l.processes(ofLab)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(mounts) == 0 && len(ps) == 0 && len(entries) == 0 && !linkExists(l.state.Bridge) {
		return nil
	}
	l.say("an earlier lab in %s was cut; clearing it first", l.Dir)
	return l.clear(ctx)
}

// clear takes the lab away. It goes on when the caller was interrupted, since half a lab helps nobody.
func (l *Lab) clear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), downWithin)
	defer cancel()
	if err := l.checkOurs(); err != nil {
		return err
	}
	// What a killed Up had just begun may appear while this looks away: so look until there is nothing twice over.
	for clean := 0; clean < 2; {
		found, err := l.sweep(ctx)
		if err != nil {
			return err
		}
		if found {
			clean = 0
			continue
		}
		clean++
	}
	return os.RemoveAll(l.Dir)
}

// sweep ends every process and takes every mount, link and cgroup away that is there now.
func (l *Lab) sweep(ctx context.Context) (found bool, err error) {
	ps, err := l.processes(ofLab)
	if err != nil {
		return false, err
	}
	if len(ps) > 0 {
		l.say("ending what runs: %d processes", len(ps))
		if err := l.kill(ctx, ofLab); err != nil {
			return true, err
		}
	}
	mounts, err := mountsBelow(l.Dir)
	if err != nil {
		return false, err
	}
	for _, at := range mounts {
		if err := unmount(at); err != nil {
			return true, err
		}
	}
	if err := removeLinks(ctx, l.ofLabLink); err != nil {
		return true, err
	}
	if err := l.removeTraces(); err != nil {
		return true, err
	}
	return len(ps)+len(mounts) > 0, nil
}

// removeTraces takes away what systemd-nspawn and the hosts' systemds leave outside the folder: empty cgroups and an
// empty folder for each machine.
func (l *Lab) removeTraces() error {
	roots, err := cgroupRoots()
	if err != nil {
		return nil //nolint:nilerr // without cgroups there was never a host
	}
	for _, root := range roots {
		machines, err := filepath.Glob(filepath.Join(root, l.state.Bridge+"-*"))
		if err != nil {
			return err
		}
		for _, m := range machines {
			if err := removeCgroup(m); err != nil {
				return err
			}
		}
	}
	propagate, err := filepath.Glob("/run/systemd/nspawn/propagate/" + l.state.Bridge + "-*")
	if err != nil {
		return err
	}
	for _, p := range propagate {
		_ = os.Remove(p) // empty; if it is not, it is not ours to judge
	}
	return nil
}

// removeCgroup removes a cgroup and those in it. The kernel may still be burying their last processes.
func removeCgroup(dir string) error {
	return await(context.Background(), 5*time.Second, "the cgroup "+dir+" to be empty", func(context.Context) error {
		var all []string
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, p)
			}
			return nil
		})
		for i := len(all) - 1; i >= 0; i-- {
			if rerr := os.Remove(all[i]); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
		return err
	})
}

// checkOurs keeps Down from removing a folder that somebody else put there.
func (l *Lab) checkOurs() error {
	_, err := readState(l.Dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		// lab.json is written first, under another name until it is whole.
		if !strings.HasPrefix(e.Name(), "lab.json") {
			return fmt.Errorf("%s is not a lab's folder (no lab.json, but %s): left alone", l.Dir, e.Name())
		}
	}
	return nil
}
