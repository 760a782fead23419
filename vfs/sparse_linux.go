package vfs

import "golang.org/x/sys/unix"

// Sparse makes a read-only descriptor of this size that holds nothing: it has a position and a size for who reads the
// content elsewhere.
func Sparse(name string, size int64) (int, error) {
	fd, err := memfd(name)
	if err != nil {
		return -1, err
	}
	defer closeFD(fd)
	if err := unix.Ftruncate(fd, size); err != nil {
		return -1, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	return Reopen(fd, unix.O_RDONLY)
}
