package remote

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpload(t *testing.T) {
	if _, err := exec.LookPath("scp"); err != nil {
		t.Skip("there is no scp to receive with")
	}
	_, d := newServer(t)
	h := dial(t, d)
	dir := t.TempDir()
	name := filepath.Join(dir, "manifest.env")
	write(t, name, "old")
	if err := h.Upload(t.Context(), name, []byte("A=$(touch /x)\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, name); got != "A=$(touch /x)\n" || info.Mode().Perm() != 0o640 {
		t.Errorf("%q with mode %s", got, info.Mode())
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("it left %v", list)
	}
}

func TestUploadRefused(t *testing.T) {
	_, d := newServer(t)
	h := dial(t, d)
	dir := t.TempDir()
	for _, name := range []string{"relative", "/tmp/$(touch " + dir + "/pwned)", "/tmp/a b", "/tmp/../x", "/tmp/`id`"} {
		if err := h.Upload(t.Context(), name, []byte("x"), 0o600); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := h.Upload(t.Context(), dir, []byte("x"), 0o600); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("a folder was taken for a file: %v", err)
	}
	if err := h.Upload(t.Context(), filepath.Join(dir, "none", "x"), []byte("x"), 0o600); err == nil {
		t.Error("a folder that is not there was taken")
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("it left %v", list)
	}
}
