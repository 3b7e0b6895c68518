package journal

import "golang.org/x/sys/unix"

// networks are the file systems of statfs(2) that lie on another machine.
var networks = map[int64]string{
	unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", unix.SMB2_SUPER_MAGIC: "SMB", unix.CIFS_SUPER_MAGIC: "SMB",
	unix.AFS_SUPER_MAGIC: "AFS", unix.AFS_FS_MAGIC: "AFS", unix.CODA_SUPER_MAGIC: "Coda", unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.V9FS_MAGIC: "9P",
}

// networkFS is the kind of the folder's file system, if it is one of another
// machine's.
func networkFS(dir string) (string, error) {
	var fs unix.Statfs_t
	err := unix.Statfs(dir, &fs)
	return networks[int64(fs.Type)&0xffffffff], err //nolint:unconvert // its type differs between architectures
}
