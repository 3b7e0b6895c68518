//go:build !linux

package journal

import "golang.org/x/sys/unix"

// networks are the file systems of statfs(2) that lie on another machine.
var networks = map[string]string{"nfs": "NFS", "smbfs": "SMB", "afpfs": "AFP", "webdav": "WebDAV"}

// networkFS is the kind of the folder's file system, if it is one of another
// machine's.
func networkFS(dir string) (string, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return networks[unix.ByteSliceToString(fs.Fstypename[:])], err
}
