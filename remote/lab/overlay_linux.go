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
	"syscall"

	"golang.org/x/sys/unix"
)

// hidden is what of the machine must not shine through into a host: stores and states that a host makes itself, keys,
// and the machine's own choice of units.
var hidden = []string{
	"/nix", "/root", "/home", "/tmp", "/opt/choiros", "/var/lib/caddy", "/var/cache/go-build",
	"/var/log/journal", "/etc/systemd/system", "/etc/ssh", "/etc/nix", "/etc/caddy",
}

// absent is what a new host does not even have a folder for: rel makes it.
var absent = []string{"/var/lib/rel"}

// buildCache is where server.nix says that Go's cache is.
const buildCache = "/var/cache/go-build"

// mountHost lays out the host's disk: the machine's root below, a tmpfs on top. The tmpfs is the host's memory of
// itself; it outlasts a Stop.
func (l *Lab) mountHost(ctx context.Context, h member) error {
	disk, root := filepath.Join(l.hostDir(h), "disk"), l.rootDir(h)
	for _, d := range []string{disk, root} { // the folders to mount on
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("rel-lab", disk, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", disk, err)
	}
	upper := filepath.Join(disk, "upper")
	if err := os.Mkdir(upper, 0o755); err != nil {
		return err
	}
	for _, d := range slices.Concat(hidden, []string{l.Dir}) {
		if err := hide(upper, d); err != nil {
			return err
		}
	}
	for _, d := range slices.Concat(absent, []string{lockPath(l.Dir)}) {
		if err := whiteOut(upper, d); err != nil {
			return err
		}
	}
	if err := overlay("/", upper, filepath.Join(disk, "work"), root); err != nil {
		return err
	}
	if !h.Build {
		return nil
	}
	cache, err := goCache(ctx)
	if err != nil {
		return err
	}
	return overlay(cache, filepath.Join(disk, "cache-upper"), filepath.Join(disk, "cache-work"), root+buildCache)
}

func overlay(lower, upper, work, at string) error {
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if err := unix.Mount("overlay", at, "overlay", 0, opts); err != nil {
		return fmt.Errorf("mount an overlay of %s on %s: %w", lower, at, err)
	}
	return nil
}

// hide makes dir an empty one in the overlay that upper is on top of. The folders above it keep the machine's owner and
// mode, as does dir itself.
func hide(upper, dir string) error {
	if err := mkdirAllLike(upper, dir); err != nil {
		return err
	}
	if err := unix.Setxattr(upper+dir, "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		return fmt.Errorf("hide %s: %w", dir, err)
	}
	return nil
}

// whiteOut makes path not be there in the overlay that upper is on top of.
func whiteOut(upper, path string) error {
	if err := mkdirAllLike(upper, filepath.Dir(path)); err != nil {
		return err
	}
	if err := unix.Mknod(upper+path, unix.S_IFCHR, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("hide %s: %w", path, err)
	}
	return nil
}

// mkdirAllLike makes dir in upper, with every folder above it, each like the machine's own.
func mkdirAllLike(upper, dir string) error {
	at := ""
	for _, part := range strings.Split(strings.Trim(dir, "/"), "/") {
		at += "/" + part
		if err := mkdirLike(at, upper+at); err != nil {
			return err
		}
	}
	return nil
}

// mkdirLike makes a folder with owner and mode of another, which need not exist.
func mkdirLike(like, dir string) error {
	if err := os.Mkdir(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Stat(like, &st); err != nil {
		return nil
	}
	if err := os.Chown(dir, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	return syscall.Chmod(dir, st.Mode&0o7777)
}

// unmount takes a mount away, at once if it can, else as soon as nobody uses it.
func unmount(at string) error {
	err := unix.Unmount(at, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(at, unix.MNT_DETACH)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // not mounted any more
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", at, err)
	}
	return nil
}
