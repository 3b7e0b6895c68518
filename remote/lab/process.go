package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A process is the lab's own if its command line names the lab's folder in the way of systemd-nspawn or of the git
// daemon, or if the file system it runs on is a disk of the lab. Nothing else is ever killed.
type process struct {
	pid    int
	role   string // supervisor, inside or origin
	host   string // for a supervisor and for what runs inside: which host
	isInit bool   // for what runs inside: it is the host's first process
}

// processes are those of the lab that keep accepts.
func (l *Lab) processes(keep func(process) bool) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	self, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil, err
	}
	inside := map[string]string{self: ""}
	var found []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := l.identify(pid, inside); ok && keep(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// identify says what the process is to the lab, if anything. inside has the host, or "", of each mount namespace that
// was looked into: most of a host's processes share one. The caller's own is in it, where nothing of a host's inside is.
func (l *Lab) identify(pid int, inside map[string]string) (process, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	if ns, err := os.Readlink(dir + "/ns/mnt"); err == nil {
		host, seen := inside[ns]
		if !seen {
			// Of a process that ends meanwhile nothing can be read, which says nothing of the others.
			if host, err = l.hostInside(dir); err == nil {
				inside[ns] = host
			}
		}
		if host != "" {
			return process{pid: pid, role: "inside", host: host, isInit: isInit(dir)}, true
		}
	}
	b, err := os.ReadFile(dir + "/cmdline")
	if err != nil || len(b) == 0 {
		return process{}, false // gone, a zombie, or the kernel's
	}
	argv := strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
	if host, ok := l.hostSupervised(argv); ok {
		return process{pid: pid, role: "supervisor", host: host}, true
	}
	if filepath.Base(argv[0]) == "git-daemon" && slices.Contains(argv, "--base-path="+l.originDir()) {
		return process{pid: pid, role: Origin}, true
	}
	return process{}, false
}

// hostSupervised is the host of a systemd-nspawn, or of the shell that is about to become it.
func (l *Lab) hostSupervised(argv []string) (string, bool) {
	if !slices.ContainsFunc(argv, func(a string) bool { return filepath.Base(a) == "systemd-nspawn" }) {
		return "", false
	}
	at := slices.Index(argv, "-D")
	if at < 0 || at+1 >= len(argv) {
		return "", false
	}
	host, ok := strings.CutPrefix(argv[at+1], filepath.Join(l.Dir, "hosts")+"/")
	if !ok {
		return "", false
	}
	return strings.TrimSuffix(host, "/root"), true
}

// hostInside is the host on whose disk the process of this /proc folder runs; "" if that is none of the lab's.
func (l *Lab) hostInside(dir string) (string, error) {
	mounts, err := readMounts(dir + "/mountinfo")
	if err != nil {
		return "", err
	}
	for _, m := range mounts {
		if m.at != "/" || m.kind != "overlay" {
			continue
		}
		for _, opt := range strings.Split(m.super, ",") {
			if host, ok := strings.CutPrefix(opt, "upperdir="+filepath.Join(l.Dir, "hosts")+"/"); ok {
				return strings.TrimSuffix(host, "/disk/upper"), nil
			}
		}
	}
	return "", nil
}

// isInit says whether the process is the first in the innermost pid namespace it is in, and that is not ours.
func isInit(dir string) bool {
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(ids)
			return len(f) > 1 && f[len(f)-1] == "1"
		}
	}
	return false
}

func ofHost(h member) func(process) bool {
	return func(p process) bool { return p.host == h.Name }
}

func ofOrigin(p process) bool { return p.role == Origin }

func ofLab(process) bool { return true }

// initOf is the first process of a host that runs. The one that was found last is looked at first: to look at all of a
// machine's takes longer than most of what is done to a host.
func (l *Lab) initOf(h member) (pid int, err error) {
	if last, ok := l.inits.Load(h.Name); ok {
		if p, ok := l.identify(last.(int), map[string]string{}); ok && p.host == h.Name && p.isInit {
			return p.pid, nil
		}
	}
	ps, err := l.processes(func(p process) bool { return p.host == h.Name && p.isInit })
	if err != nil {
		return 0, err
	}
	if len(ps) == 0 {
		return 0, fmt.Errorf("%w; boot it with: rel-lab start %s --dir %s", errOff, h.Name, l.Dir)
	}
	l.inits.Store(h.Name, ps[0].pid)
	return ps[0].pid, nil
}

// grace is how long a host's systemd-nspawn may take to tidy up after its host's first process is gone.
const grace = 2 * time.Second

// kill ends the processes that pick accepts, as a power cut would, and waits until they are gone. A host's first process
// goes first: it takes all of the host with it, and then its systemd-nspawn ends by itself.
func (l *Lab) kill(ctx context.Context, pick func(process) bool) error {
	began := time.Now()
	hadInit := false
	return await(ctx, 15*time.Second, "processes to end", func(context.Context) error {
		ps, err := l.processes(pick)
		if err != nil {
			return err
		}
		hadInit = hadInit || slices.ContainsFunc(ps, func(p process) bool { return p.isInit })
		var errs []error
		for _, p := range ps {
			errs = append(errs, fmt.Errorf("process %d (%s %s) is still there", p.pid, p.role, p.host))
			now := p.isInit || p.role == Origin || !hadInit || time.Since(began) > grace
			if !now {
				continue
			}
			if err := l.killOne(p); err != nil {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}
