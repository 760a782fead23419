package durable

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Writable reports why no file can be made in a directory now, as access(2) says it: fs.ErrNotExist and ENOTDIR where there is
// none, fs.ErrPermission, or EROFS on a file system that is mounted for reading alone. It makes nothing. A disk without room
// is not told.
func Writable(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &fs.PathError{Op: "write in", Path: dir, Err: syscall.ENOTDIR}
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "write in", Path: dir, Err: err}
	}
	return nil
}
