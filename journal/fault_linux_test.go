package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Whatever the file system refuses, once, at any step of a promotion's life: no
// event that was acknowledged is lost, nothing panics, nothing hangs, and once
// it refuses nothing more, the next try is recorded.
func TestFaultAtAnyStep(t *testing.T) {
	t.Parallel()
	if !ownMounts(t) {
		return
	}
	base := t.TempDir()
	mustMount(t, "none", filepath.Join(base, "memory"), "tmpfs", "size=64m")
	// The worker is there before the mount, or it would inherit the file system's
	// end of it, and wait for itself when the server is killed.
	worker := spawn(t, "scenario", New(""), "", dieTogether)
	f := mountFaulty(t, filepath.Join(base, "memory"), filepath.Join(base, "faulty"))
	ask := func(what, dir string, acked []Head) scenario {
		t.Helper()
		line, err := json.Marshal(order{What: what, Dir: filepath.Join(base, "faulty", dir), Acked: acked})
		if err != nil {
			t.Fatal(err)
		}
		// On a busy machine it was seen, once in some hundred runs, to stand still while
		// nobody had anything to do, and to go on as soon as it was looked at.
		defer time.AfterFunc(trialTime, func() {
			fmt.Fprintf(os.Stderr, "%s in %s takes longer than %s\n%s%s", what, dir, trialTime, waits(worker.Process.Pid), waits(os.Getpid()))
		}).Stop()
		defer time.AfterFunc(2*trialTime, func() {
			_ = worker.Process.Signal(syscall.SIGQUIT) // it says where
			time.Sleep(time.Second)
			debug.SetTraceback("all") // of the server of its file system
			panic(what + " in " + dir + " hangs")
		}).Stop()
		if _, err := worker.in.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
		var s scenario
		if line := worker.line(); line == "" {
			t.Fatalf("%s in %s: the worker has ended", what, dir)
		} else if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s in %s: %q: %v", what, dir, line, err)
		}
		return s
	}
	try := func(kind faultKind, nth int) (hit string, s scenario) {
		dir := fmt.Sprintf("%s-%d", kind.name, nth)
		mustMkdir(t, filepath.Join(base, "memory", dir))
		defer os.RemoveAll(filepath.Join(base, "memory", dir))
		f.arm(kind, nth)
		s = ask("run", dir, nil)
		hit = f.disarm()
		for _, problem := range s.Problems {
			t.Errorf("%s of operation %d (%s): %s", kind.name, nth, hit, problem)
		}
		for range 2 {
			for _, problem := range ask("check", dir, s.Acked).Problems {
				t.Errorf("%s of operation %d (%s): afterwards: %s", kind.name, nth, hit, problem)
			}
		}
		return hit, s
	}
	outcomes := map[string]int{}
	cases := 0
	for _, kind := range faultKinds {
		stride := kind.stride
		if long {
			stride = 1
		}
		for nth := 1; ; nth += stride {
			hit, s := try(kind, nth)
			if hit == "" {
				if nth < 20 {
					t.Errorf("%s: the whole scenario has only %d operations", kind.name, nth)
				}
				break
			}
			cases++
			if len(s.Errors) == 0 {
				outcomes[kind.name+" "+hit+": unnoticed"]++
			}
			for _, kind := range s.Errors {
				outcomes[hit+": "+kind]++
			}
		}
	}
	t.Logf("figures: one operation of the disk fails: %d cases", cases)
	for _, what := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("figures: %5d %s", outcomes[what], what)
	}
}

// waits says what each thread of a process waits for in the kernel.
func waits(pid int) string {
	var b strings.Builder
	stacks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stack", pid))
	for _, name := range stacks {
		text, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s: %v\n%s", name, err, text)
	}
	return b.String()
}

func init() { helpers["scenario"] = runScenarios }

// order is a line that the worker reads, scenario one that it answers with.
type order struct {
	What, Dir string
	Acked     []Head
}

type scenario struct {
	// Acked are the heads that Append has acknowledged.
	Acked []Head
	// Errors are the kinds of the errors there were, which the fault explains.
	Errors []string
	// Problems are what no fault explains.
	Problems []string
}

// runScenarios does what it is told to in a process that is not the one that
// serves the file system: a fault in a page of it would stop both for ever.
func runScenarios(*Journal, string) error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var o order
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return err
		}
		var s scenario
		j := New(filepath.Join(o.Dir, "app", "journal.db"))
		if o.What == "run" {
			s.run(j)
		} else {
			s.check(j, o.Acked)
		}
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		fmt.Println(string(line))
	}
	return nil
}

// twice tries again what has failed: of two tries, one meets no fault.
func (s *scenario) twice(what string, try func() error) {
	err := try()
	if err == nil {
		return
	}
	kind := outcome(err)
	if errno := syscall.Errno(0); kind == "something else" && errors.As(err, &errno) {
		kind = errno.Error()
	} else if kind == "something else" {
		kind = "other words"
	}
	s.Errors = append(s.Errors, what+" fails with "+kind)
	if again := try(); again != nil {
		s.Problems = append(s.Problems, fmt.Sprintf("%s fails with %v, and then, without a fault, with %v", what, err, again))
	}
}

func (s *scenario) run(j *Journal) {
	for n := range 12 {
		s.twice("Append", func() error {
			ev, err := j.Append(Event{Promotion: promotions[n%2], Kind: Note, Text: fmt.Sprint("event ", n)})
			if err == nil {
				s.Acked = append(s.Acked, Head{Seq: ev.Seq, Hash: ev.Hash})
			}
			return err
		})
		if n%4 == 3 {
			s.twice("reading", func() error {
				_, err := read(j)
				return err
			})
		}
	}
	s.twice("Backup", j.Backup)
	s.twice("Verify", func() error {
		_, err := j.Verify()
		return err
	})
}

// check looks at what the scenario has left, without a fault, and goes on.
func (s *scenario) check(j *Journal, acked []Head) {
	problem := func(format string, args ...any) { s.Problems = append(s.Problems, fmt.Sprintf(format, args...)) }
	if len(acked) != 12 {
		problem("%d events were acknowledged", len(acked))
	}
	c, err := read(j)
	if err != nil {
		problem("reading: %v", err)
	}
	for _, head := range acked {
		if ev, found, err := j.At(head.Seq); err != nil || !found || ev.Hash != head.Hash {
			problem("event %d was acknowledged, and is %+v, %v", head.Seq, ev, err)
		}
	}
	// One event may be there that was not acknowledged; and those of a check.
	if c.Head.Seq > int64(len(acked))+2 {
		problem("%d events", c.Head.Seq)
	}
	if ev, err := j.Append(Event{Promotion: "after", Kind: Note}); err != nil || ev.Seq != c.Head.Seq+1 || ev.Prev != c.Head.Hash {
		problem("the next event is %+v, %v", ev, err)
	}
	names, err := backups(backupDir(j.path))
	if err != nil || len(names) == 0 {
		problem("backups: %q, %v", names, err)
	}
	for _, name := range names {
		if head, err := New(name).Verify(); err != nil || head.Seq < int64(len(acked)) {
			problem("backup %s: %+v, %v", name, head, err)
		}
	}
}

// faultKind is one way to refuse, and the operations that can be refused so.
type faultKind struct {
	name   string
	status fuse.Status
	of     string
	stride int // between those that are tried in CI
	times  int // how many in a row are refused
}

var faultKinds = []faultKind{
	{"EIO", fuse.EIO, "lookup getattr setattr open create read write fsync flush opendir readdir fsyncdir mkdir link rename unlink", 41, 1},
	{"ENOSPC", fuse.Status(syscall.ENOSPC), "setattr create write fsync mkdir link rename", 13, 1},
	{"short", fuse.Status(syscall.ENOSPC), "write", 9, 1},
	// Where reading ahead fails, the kernel tries again, twice, what is waited for.
	{"EIO thrice", fuse.EIO, "read", 5, 3},
}

// faulty is a file system that passes all on to another folder, but for one
// operation: the nth of those that its kind of fault is for.
type faulty struct {
	fuse.RawFileSystem
	mu    sync.Mutex
	kind  faultKind
	left  int
	hit   string
	short bool
}

func mountFaulty(t *testing.T, dir, at string) *faulty {
	t.Helper()
	mustMkdir(t, at)
	root, err := fs.NewLoopbackRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{RawFileSystem: fs.NewNodeFS(root, &fs.Options{})}
	server, err := fuse.NewServer(f, at, &fuse.MountOptions{
		DirectMountStrict: true, DisableXAttrs: true,
		DisabledCapabilities: fuse.CAP_PASSTHROUGH, // reads and writes are to come by
	})
	if err != nil {
		unavailable(t, "mount a FUSE file system: "+err.Error())
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
	return f
}

func (f *faulty) arm(kind faultKind, nth int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.left, f.hit, f.short = kind, nth, "", false
}

// disarm returns the operation that was refused.
func (f *faulty) disarm() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = -10
	return f.hit
}

// next says whether this operation is the one to be refused.
func (f *faulty) next(operation string) fuse.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left <= 1-f.kind.times || !slices.Contains(strings.Fields(f.kind.of), operation) {
		return fuse.OK
	}
	if f.left--; f.left > 0 {
		return fuse.OK
	}
	f.hit = operation
	return f.kind.status
}

// Write may also be cut short: what is left of it is refused after that, as by
// a disk that is full. A disk takes whole sectors.
func (f *faulty) Write(cancel <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	f.mu.Lock()
	rest := f.short
	f.short = false
	f.mu.Unlock()
	if rest {
		return 0, fuse.Status(syscall.ENOSPC)
	}
	status := f.next("write")
	if half := len(data) / 2 / 512 * 512; !status.Ok() && f.kind.name == "short" && half > 0 {
		f.mu.Lock()
		f.short = true
		f.mu.Unlock()
		data, status = data[:half], fuse.OK
	}
	if !status.Ok() {
		return 0, status
	}
	return f.RawFileSystem.Write(cancel, in, data)
}

func (f *faulty) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (f *faulty) Lookup(cancel <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if status := f.next("lookup"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Lookup(cancel, in, name, out)
}

func (f *faulty) GetAttr(cancel <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	if status := f.next("getattr"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.GetAttr(cancel, in, out)
}

func (f *faulty) SetAttr(cancel <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if status := f.next("setattr"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.SetAttr(cancel, in, out)
}

func (f *faulty) Open(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if status := f.next("open"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Open(cancel, in, out)
}

func (f *faulty) Create(cancel <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	if status := f.next("create"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Create(cancel, in, name, out)
}

func (f *faulty) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	if status := f.next("read"); !status.Ok() {
		return nil, status
	}
	return f.RawFileSystem.Read(cancel, in, buf)
}

func (f *faulty) Fsync(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if status := f.next("fsync"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Fsync(cancel, in)
}

func (f *faulty) Flush(cancel <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	if status := f.next("flush"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Flush(cancel, in)
}

func (f *faulty) OpenDir(cancel <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if status := f.next("opendir"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.OpenDir(cancel, in, out)
}

func (f *faulty) ReadDirPlus(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if status := f.next("readdir"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.ReadDirPlus(cancel, in, out)
}

func (f *faulty) ReadDir(cancel <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	if status := f.next("readdir"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.ReadDir(cancel, in, out)
}

func (f *faulty) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	if status := f.next("fsyncdir"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.FsyncDir(cancel, in)
}

func (f *faulty) Mkdir(cancel <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	if status := f.next("mkdir"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Mkdir(cancel, in, name, out)
}

func (f *faulty) Link(cancel <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	if status := f.next("link"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Link(cancel, in, name, out)
}

func (f *faulty) Rename(cancel <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	if status := f.next("rename"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Rename(cancel, in, from, to)
}

func (f *faulty) Unlink(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	if status := f.next("unlink"); !status.Ok() {
		return status
	}
	return f.RawFileSystem.Unlink(cancel, in, name)
}
