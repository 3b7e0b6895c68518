package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"choir.chat/rel/remote/lab"
)

// full is a disk that has no room left at one moment of a promotion.
type full struct {
	// on is the host, or "operator"; at the phase that begins on a full disk.
	on, at string
	// folder is what lies on that disk.
	folder string
	// known is what is said where it was known before anything was changed.
	known string
}

var fulls = []full{
	{on: "operator", at: "sync"},
	{on: "operator", at: "verify"},
	{on: "operator", at: "copy"},
	{on: "operator", at: "apply"},
	{on: "operator", at: "health"},
	{on: "choiros-grind", at: "sync", folder: "/opt/choiros/workspace/.git"},
	{on: "choiros-prod", at: "sync", folder: "/opt/choiros/workspace/.git"},
	{on: "choiros-prod", at: "copy", folder: "/nix/var/nix/db"},
	{on: "choiros-prod", at: "apply", folder: "/var/lib/rel"},
	{on: "operator", at: "", known: "too little room for the journal"},
	{on: "choiros-prod", at: "copy", folder: "/var/lib/rel"},
	{on: "choiros-grind", at: "build", folder: "/nix/var/nix/db"},
	{on: "choiros-prod", at: "health", folder: "/var/lib/rel"},
	{on: "choiros-prod", at: "", folder: "/var/lib/rel", known: "too little room in /var/lib/rel"},
}

// TestFull lets one disk after the other run full at each step. What can be known
// is refused beforehand; all else fails cleanly, and once there is room again
// resume comes to the same end. (The target's store: TestBadInput.)
func TestFull(t *testing.T) {
	w := newWorld(t, 1)
	w.must(exitOK, "start")
	w.fullOutput()
	w.rewrite(`confirm      = "60s"`, `confirm = "10s"`)
	for _, f := range sampled(4, fulls) {
		t.Run(f.on+" "+f.folder+" "+f.at, func(t *testing.T) { f.try(t, w) })
	}
}

// fullOutput has what each command says go to a disk that is full. What only tells says
// that it could not; of a promotion the exit status tells.
func (w *world) fullOutput() {
	w.t.Helper()
	disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer disk.Close()
	check := w.unchanged()
	for _, command := range []string{"log", "log --json", "log " + w.newest(), "log --json " + w.newest(), "log --manifest " + w.newest(),
		"log --output build " + w.newest(), "status", "status --json", "doctor", "doctor --json", "plan", "plan --json", "config --json", "start"} {
		cmd := exec.CommandContext(w.t.Context(), program(w.t), append(strings.Fields(command), "--config", w.config, "--journal", w.journal, "--ssh-config", w.SSHConfigPath())...)
		var said syncBuffer
		cmd.Stdout, cmd.Stderr = disk, &said
		_ = cmd.Run()
		want, word := exitFailed, "rel: the output cannot be written: no space left on device"
		if command == "start" {
			want, word = exitOK, ""
		}
		if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(said.String(), word) {
			w.t.Errorf("rel %s, on a full disk: exit %d\n%s", command, code, said.String())
		}
	}
	check()
}

func (f *full) try(t *testing.T, w *world) {
	rel := program(t)
	before := w.exec("choiros-prod", "readlink /opt/choiros/bin/*")
	w.bump(lab.Bump{})
	fill, free := f.disk(t, w)
	defer free()
	if f.at == "" {
		fill()
		check := w.unchanged()
		w.must(exitRefused, "start").mentions(t, f.known)
		check()
		free()
		w.must(exitOK, "start")
		return
	}
	code, said := w.during(rel, begins(f.at), func(*exec.Cmd) { fill() })
	t.Logf("it ended with %d", code)
	if code == exitOK {
		// There was room enough in what was there already.
		t.Log("it went through")
	} else if code == 2 || code == -1 {
		t.Fatalf("it died: %s", said)
	}
	free()
	w.await("choiros-prod", "flock -n /var/lib/rel/choiros/apply.lock true")
	if code != exitOK {
		// The disk may have been full only when the apply had begun.
		begun := slices.ContainsFunc(w.events(w.newest()), begins("apply"))
		if now := w.exec("choiros-prod", "readlink /opt/choiros/bin/*"); now != before && !begun {
			t.Errorf("the target is on\n%s\nbefore\n%s", now, before)
		}
		w.must(exitOK, "resume")
	}
	w.must(exitOK, "status")
	w.must(exitOK, "log", "--verify")
}

// disk puts the folder on a small disk of its own. fill leaves no byte of it.
func (f *full) disk(t *testing.T, w *world) (fill, free func()) {
	t.Helper()
	if f.on == "operator" {
		return f.operatorDisk(t, w)
	}
	w.exec(f.on, `d=`+f.folder+`; mkdir -p "$d" && size=$(($(du -sk "$d" | cut -f1) + 4096))
		mountpoint -q "$d" || { cp -a "$d" /run/kept && mount -t tmpfs -o mode=0755,size=${size}k tmpfs "$d" && cp -a /run/kept/. "$d" && rm -rf /run/kept; }`)
	gone := false
	return func() { w.exec(f.on, "cat /dev/zero >"+f.folder+"/filler 2>/dev/null; true") },
		func() {
			if !gone {
				w.exec(f.on, "rm -f "+f.folder+"/filler")
				gone = true
			}
		}
}

// operatorDisk is below the lab's folder, so that it goes with the lab even when
// the test is killed.
func (f *full) operatorDisk(t *testing.T, w *world) (fill, free func()) {
	t.Helper()
	dir := filepath.Join(w.Dir, "operator")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	w.journal = filepath.Join(dir, "journal.db")
	filler := filepath.Join(dir, "filler")
	return func() {
			file, err := os.Create(filler)
			if err != nil {
				return
			}
			defer file.Close()
			for block := make([]byte, 4096); ; {
				if _, err := file.Write(block); err != nil {
					return
				}
			}
		}, func() {
			_ = os.Remove(filler)
		}
}
