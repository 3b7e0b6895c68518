package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// ownerVar makes this test binary the owner of a lab with a guard, for TestGuard to kill.
const ownerVar = "REL_LAB_TEST_OWNER"

func TestMain(m *testing.M) {
	Main()
	if dir := os.Getenv(ownerVar); dir != "" {
		own(dir)
	}
	os.Exit(m.Run())
}

// own brings a lab up under a guard, says so, and waits to be killed.
func own(dir string) {
	if _, err := Guard(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if _, err := Up(context.Background(), Options{Dir: dir}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("up")
	select {}
}

// needLab skips a test where there can be no lab; in CI that is a failure, or nobody would see that nothing is tested.
func needLab(t *testing.T) {
	t.Helper()
	err := Available()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	case testing.Short():
		t.Skip("boots real hosts, which -short leaves out")
	}
}

// deadline is a context that ends before the test's own time does, so that a hang is told by what hangs.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// labDir is a folder for one lab, which is gone when the test is over, whatever the test did.
func labDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	t.Cleanup(func() {
		if err := Down(context.Background(), dir, nil); err != nil {
			t.Errorf("clear up: %v", err)
		}
		wantNothingLeft(t, dir)
	})
	return dir
}

func up(t *testing.T, dir string) *Lab {
	t.Helper()
	l, err := Up(deadline(t), Options{Dir: dir, Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// left is everything of the lab in dir that the machine still has.
func left(dir string) (all []string, err error) {
	l, err := design(Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	mounts, err1 := mountsBelow(l.Dir)
	ps, err2 := l.processes(ofLab)
	links, err3 := os.ReadDir("/sys/class/net")
	roots, err4 := cgroupRoots()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	all = append(all, mounts...)
	for _, p := range ps {
		all = append(all, fmt.Sprintf("process %d (%s %s)", p.pid, p.role, p.host))
	}
	for _, i := range links {
		if l.ofLabLink(i.Name()) {
			all = append(all, "link "+i.Name())
		}
	}
	for _, root := range append(roots, "/run/systemd/nspawn/propagate") {
		found, _ := filepath.Glob(filepath.Join(root, l.state.Bridge+"-*"))
		all = append(all, found...)
	}
	for _, path := range []string{l.Dir, l.Dir + ".lock"} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			all = append(all, path)
		}
	}
	return all, nil
}

func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	all, err := left(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) > 0 {
		t.Errorf("left of the lab in %s:\n  %s", dir, strings.Join(all, "\n  "))
	}
}

func TestUpTwice(t *testing.T) {
	needLab(t)
	l := up(t, labDir(t))
	// The hosts' own services come and go; what stands for the lab does not.
	pillars := func(p process) bool { return p.host == "" || p.role == "supervisor" || p.isInit }
	before, err := l.processes(pillars)
	if err != nil {
		t.Fatal(err)
	}
	again := up(t, l.Dir)
	after, err := l.processes(pillars)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) || again.Addr(l.BuildHost()) != l.Addr(l.BuildHost()) {
		t.Errorf("a second up changed the lab: %v, then %v", before, after)
	}
	_, err = Up(deadline(t), Options{Dir: l.Dir, Targets: 2})
	if err == nil || !strings.Contains(err.Error(), "rel-lab down") {
		t.Errorf("up with another number of targets: got %v, want an error that names rel-lab down", err)
	}
	if err := l.Down(deadline(t)); err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t, l.Dir)
	if err := l.Down(deadline(t)); err != nil {
		t.Errorf("a second down: %v", err)
	}
}

func TestHosts(t *testing.T) {
	needLab(t)
	ctx := deadline(t)
	l := up(t, labDir(t))
	prod := l.Targets()[0]

	t.Run("ssh", func(t *testing.T) {
		for _, host := range []string{l.BuildHost(), prod} {
			out, err := run(ctx, nil, "ssh", "-F", l.SSHConfigPath(), "-o", "BatchMode=yes", host, "hostname; git -C "+checkout+" status --porcelain")
			if err != nil || out != host+"\n" {
				t.Errorf("%s says %q (%v), want its name and a clean tree", host, out, err)
			}
		}
	})
	t.Run("no way from the build host", func(t *testing.T) {
		_, err := l.Exec(ctx, l.BuildHost(), "ssh -o BatchMode=yes -o StrictHostKeyChecking=no "+prod+" true")
		if err == nil || !strings.Contains(err.Error(), "Permission denied") {
			t.Errorf("the build host logs in to %s by itself: %v", prod, err)
		}
	})
	t.Run("without sshd", func(t *testing.T) {
		if out, err := l.Exec(ctx, prod, "systemctl stop ssh && cat /etc/hostname"); err != nil || out != prod+"\n" {
			t.Errorf("got %q, %v", out, err)
		}
		if _, err := l.Exec(ctx, prod, "systemctl start ssh"); err != nil {
			t.Error(err)
		}
	})
	t.Run("power cut", func(t *testing.T) { powerCut(ctx, t, l, prod) })
	t.Run("origin away", func(t *testing.T) { originAway(ctx, t, l) })
}

func powerCut(ctx context.Context, t *testing.T, l *Lab, host string) {
	if _, err := l.Exec(ctx, host, "echo kept >/root/note"); err != nil {
		t.Fatal(err)
	}
	if err := l.Stop(ctx, host); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Exec(ctx, host, "true"); !errors.Is(err, errOff) {
		t.Errorf("a stopped host answers: %v", err)
	}
	if err := l.Start(ctx, host); err != nil {
		t.Fatal(err)
	}
	if out, err := l.Exec(ctx, host, "cat /root/note"); err != nil || out != "kept\n" {
		t.Errorf("after the power cut the note is %q, %v", out, err)
	}
}

func originAway(ctx context.Context, t *testing.T, l *Lab) {
	fetch := "git -C " + checkout + " fetch --quiet"
	if err := l.Stop(ctx, Origin); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Exec(ctx, l.BuildHost(), fetch); err == nil {
		t.Error("a fetch works with the origin stopped")
	}
	if err := l.Start(ctx, Origin); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Exec(ctx, l.BuildHost(), fetch); err != nil {
		t.Error(err)
	}
}

// build builds all three on the build host, as rel does, and returns the store path of each by name.
func build(ctx context.Context, l *Lab) (map[string]string, error) {
	out, err := l.Exec(ctx, l.BuildHost(), "set -e; cd "+checkout+"; git pull --quiet --ff-only;"+
		"nix build ./sandbox#sandbox ./hypervisor#hypervisor ./dioxus-desktop#desktop --json --no-link; git status --porcelain >&2; test -z \"$(git status --porcelain)\"")
	if err != nil {
		return nil, err
	}
	var built []struct{ Outputs struct{ Out string } }
	if err := json.Unmarshal([]byte(out), &built); err != nil {
		return nil, err
	}
	paths := map[string]string{}
	for _, b := range built {
		name := strings.Split(filepath.Base(b.Outputs.Out), "-")[1]
		paths[name] = b.Outputs.Out
	}
	return paths, nil
}

func TestBump(t *testing.T) {
	needLab(t)
	ctx := deadline(t)
	l := up(t, labDir(t))
	first, err := build(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	sha, err := l.Bump(ctx, Bump{Only: "hypervisor"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := build(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 3 || first["sandbox"] != second["sandbox"] || first["desktop"] != second["desktop"] || first["hypervisor"] == second["hypervisor"] {
		t.Errorf("a commit to the hypervisor alone made\n  %v of\n  %v", second, first)
	}
	if out, err := l.Exec(ctx, l.BuildHost(), "grep -c "+sha+" "+second["hypervisor"]+"/share/release"); err != nil {
		t.Errorf("the hypervisor does not carry %s: %q, %v", sha, out, err)
	}
	if _, err := l.Bump(ctx, Bump{Broken: "build"}); err != nil {
		t.Fatal(err)
	}
	if _, err := build(ctx, l); err == nil || !strings.Contains(err.Error(), "broken on purpose") {
		t.Errorf("a broken build: got %v", err)
	}
	if _, err := l.Bump(ctx, Bump{}); err != nil {
		t.Fatal(err)
	}
	if _, err := build(ctx, l); err != nil {
		t.Errorf("the bump after a broken one does not mend it: %v", err)
	}
}

func TestTwoLabs(t *testing.T) {
	needLab(t)
	dirs := []string{labDir(t), labDir(t)}
	labs := make([]*Lab, len(dirs))
	var g errgroup.Group
	for i, dir := range dirs {
		g.Go(func() (err error) {
			labs[i], err = Up(deadline(t), Options{Dir: dir})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if labs[0].state.Subnet == labs[1].state.Subnet || labs[0].state.Bridge == labs[1].state.Bridge {
		t.Errorf("two labs share %s or %s", labs[0].state.Subnet, labs[0].state.Bridge)
	}
	if err := labs[0].Down(deadline(t)); err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t, dirs[0])
	if err := labs[1].answers(deadline(t)); err != nil {
		t.Errorf("the other lab is not well: %v", err)
	}
	// Two systemds in one cgroup would stop each other's services.
	if out, err := labs[1].Exec(deadline(t), labs[1].BuildHost(), "systemctl is-system-running"); err != nil {
		t.Errorf("a host is %q: %v", out, err)
	}
}

// relLab builds the real command.
func relLab(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "rel-lab")
	if out, err := exec.CommandContext(deadline(t), "go", "build", "-o", bin, "choir.chat/rel/cmd/rel-lab").CombinedOutput(); err != nil {
		t.Fatalf("build rel-lab: %v\n%s", err, out)
	}
	return bin
}

func TestKilledUp(t *testing.T) {
	needLab(t)
	bin := relLab(t)
	for _, when := range []struct {
		name string
		seen func(*Lab) bool
	}{
		{"lab.json", func(l *Lab) bool { _, err := os.Stat(statePath(l.Dir)); return err == nil }},
		{"bridge", func(l *Lab) bool { return linkExists(l.state.Bridge) }},
		{"origin", func(l *Lab) bool { ps, _ := l.processes(ofOrigin); return len(ps) > 0 }},
		{"mount", func(l *Lab) bool { at, _ := mountsBelow(l.Dir); return len(at) > 0 }},
		{"container", func(l *Lab) bool {
			ps, _ := l.processes(func(p process) bool { return p.role == "supervisor" })
			return len(ps) > 0
		}},
		{"init", func(l *Lab) bool { _, err := l.initOf(l.state.Hosts[0]); return err == nil }},
		{"rel.toml and ca", func(l *Lab) bool { _, err := os.Stat(l.CAPath()); return err == nil }},
	} {
		t.Run(when.name, func(t *testing.T) {
			dir := labDir(t)
			killUpWhen(t, bin, dir, when.seen)
			if out, err := exec.CommandContext(deadline(t), bin, "down", "--dir", dir).CombinedOutput(); err != nil {
				t.Fatalf("down: %v\n%s", err, out)
			}
			wantNothingLeft(t, dir)
		})
	}
	t.Run("up again", func(t *testing.T) {
		dir := labDir(t)
		killUpWhen(t, bin, dir, func(l *Lab) bool { _, err := l.initOf(l.state.Hosts[1]); return err == nil })
		out, err := exec.CommandContext(deadline(t), bin, "up", "--dir", dir).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "clearing it first") {
			t.Errorf("up after a killed one: %v\n%s", err, out)
		}
	})
}

// killUpWhen starts rel-lab up and kills it the moment something of the lab is seen.
func killUpWhen(t *testing.T, bin, dir string, seen func(*Lab) bool) {
	t.Helper()
	l, err := design(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(deadline(t), bin, "up", "--dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err = await(deadline(t), time.Minute, "the moment to kill up", func(context.Context) error {
		if !seen(l) {
			return errors.New("not yet")
		}
		return nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
}

// A supervisor that is killed leaves its host running by itself, with nothing on its command line that names the lab.
func TestOrphanedHost(t *testing.T) {
	needLab(t)
	l := up(t, labDir(t))
	ps, err := l.processes(func(p process) bool { return p.role == "supervisor" })
	if err != nil || len(ps) == 0 {
		t.Fatalf("supervisors: %v, %v", ps, err)
	}
	for _, p := range ps {
		if err := l.killOne(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Down(deadline(t)); err != nil {
		t.Fatal(err)
	}
	wantNothingLeft(t, l.Dir)
}

func TestUpLeavesOthersAlone(t *testing.T) {
	needLab(t)
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.tex")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Up(deadline(t), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not a lab's folder") {
		t.Errorf("up in somebody's folder: got %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(lockPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock stays beside somebody's folder: %v", err)
	}
}

func TestInterruptedUp(t *testing.T) {
	needLab(t)
	dir := labDir(t)
	ctx, cancel := context.WithCancel(deadline(t))
	_, err := Up(ctx, Options{Dir: dir, Log: func(line string) {
		if strings.Contains(line, "origin:") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupted up: got %v, want %v", err, context.Canceled)
	}
	wantNothingLeft(t, dir)
}

func TestGuard(t *testing.T) {
	needLab(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := labDir(t)
	owner := exec.CommandContext(deadline(t), self)
	owner.Env = append(os.Environ(), ownerVar+"="+dir)
	owner.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("the owner of the lab says %q", line)
	}
	// All that a terminal or a test runner may do to it, at once.
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-owner.Process.Pid, s)
	}
	_ = owner.Wait()
	err = await(deadline(t), 30*time.Second, "the guard to take the lab down", func(context.Context) error {
		all, err := left(dir)
		if err == nil && len(all) > 0 {
			err = fmt.Errorf("still there: %s", strings.Join(all, ", "))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDismissedGuard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	stop, err := Guard(dir)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	stop() // a second dismissal does nothing
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("a dismissed guard took the lab down: %v", err)
	}
}
