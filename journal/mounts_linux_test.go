package journal

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// mountsEnv names the test that runs in a mount namespace of its own.
const mountsEnv = "REL_JOURNAL_TEST_MOUNTS"

// ownMounts runs a test that mounts file systems once more, as a process in a
// mount namespace of its own, and reports whether this is that process. Its
// mounts, and the loop devices under them, go away with the last process in the
// namespace, however that ends; and it ends when this one does.
func ownMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(mountsEnv) == t.Name() {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		return true
	}
	if os.Getuid() != 0 {
		unavailable(t, "mounting needs root")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.count=1", "-test.timeout=20m")
	cmd.Env = append(os.Environ(), mountsEnv+"="+t.Name(), "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "--- SKIP") {
		t.Skip(string(out))
	}
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in its own mount namespace: %v", err)
	}
	return false
}

// unavailable skips a test that this machine cannot run; CI's can.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func mustMount(t *testing.T, source, target, kind, options string) {
	t.Helper()
	mustMkdir(t, target)
	if out, err := exec.Command("mount", "-t", kind, "-o", options, source, target).CombinedOutput(); err != nil {
		unavailable(t, "mount "+source+": "+string(out))
	}
	t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
}

// dieTogether ends a helper with the test, also one that stands still.
func dieTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
