//go:build linux

// Package posix is what a kernel keeps for a process and answers by itself, on a vfs.Session: the working directory, the
// file mode creation mask, names relative to directories, children, times, and /dev. Both engines answer a script's calls
// with it. Names and numbers in its arguments are the script's; the package must never open anything of the host by a
// name, but the memory devices.
package posix

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// Names resolves what the calls of one process name. Its methods are for the goroutine that answers the calls, but for
// Dir.Path.
type Names struct {
	// FS is the process's view of the files.
	FS *vfs.Session
	// Directory returns the path of the directory that a descriptor has open: EBADF, ENOTDIR, or ENOENT where it was removed.
	Directory func(fd int32) (string, error)
	// Dir is the working directory.
	Dir WorkingDir
	// Umask is the file mode creation mask, umask(2).
	Umask uint32
}

// Absolute makes a name absolute. A relative one is below an open directory, or below the working directory for
// AT_FDCWD. ENOENT for an empty name.
func (n *Names) Absolute(dirfd int32, name string) (string, error) {
	switch {
	case name == "":
		return "", unix.ENOENT
	case name[0] == '/':
		return name, nil
	}
	var dir string
	var err error
	if dirfd == unix.AT_FDCWD {
		dir, err = n.Dir.Here()
	} else {
		dir, err = n.Directory(dirfd)
	}
	if err != nil {
		return "", err
	}
	return Join(dir, name), nil
}

// Enter makes a directory of the view the working directory, chdir(2).
func (n *Names) Enter(name string) error { return n.Dir.enter(n.FS, name) }

// Masked is the mode of a new file or directory.
func (n *Names) Masked(mode uint32) uint32 { return mode &^ n.Umask & 0o7777 }

// SetUmask replaces the mask and returns the old one.
func (n *Names) SetUmask(mask uint32) (old uint32) {
	old, n.Umask = n.Umask, mask&0o777
	return old
}

// Info describes a file by its name.
func (n *Names) Info(name string, follow bool) (vfs.Info, error) {
	if follow {
		return n.FS.Stat(name)
	}
	return n.FS.Lstat(name)
}

// Remove removes a name, a directory where dir says so: unlinkat(2).
func (n *Names) Remove(name string, dir bool) error {
	if dir {
		return n.FS.Rmdir(name)
	}
	return n.FS.Unlink(name)
}

// SetTimes sets a file's times, utimensat(2).
func (n *Names) SetTimes(name string, spec [2]unix.Timespec, now time.Time, follow bool) error {
	info, err := n.Info(name, follow)
	if err != nil {
		return err
	}
	atime, mtime, err := newTimes(spec, info, now)
	if err != nil {
		return err
	}
	return n.FS.Utimes(name, atime, mtime, follow)
}

// CommandDir is the canonical directory that a command starts in, as chdir in a child would find it: dir, from the working
// directory here. "" is the working directory itself.
func (n *Names) CommandDir(here, dir string) (string, error) {
	if dir == "" {
		return here, nil
	}
	if dir[0] != '/' {
		dir = Join(here, dir)
	}
	canonical, err := n.FS.Canonical(dir)
	if err != nil {
		return "", err
	}
	info, err := n.FS.Stat(canonical)
	switch {
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", unix.ENOTDIR
	case n.Dir.tooLong(canonical):
		return "", unix.ENAMETOOLONG
	}
	return canonical, nil
}

// WorkingDir is a process's working directory. It keeps its place when it is moved.
type WorkingDir struct {
	// Longest is a length that the path of the directory must stay below, in bytes; 0 for no bound.
	Longest int

	mu   sync.Mutex
	path string   // written by the goroutine that answers the calls
	file vfs.File // nil before one was entered; of that goroutine alone
}

// Begin names the directory that is the working directory before one was entered.
func (d *WorkingDir) Begin(name string) { d.setPath(name) }

func (d *WorkingDir) setPath(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.path = name
}

func (d *WorkingDir) tooLong(name string) bool { return d.Longest > 0 && len(name) >= d.Longest }

// enter makes a directory that may be passed the working directory.
func (d *WorkingDir) enter(fs *vfs.Session, name string) error {
	dir, err := fs.Open(name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if err := fs.Access(name, unix.X_OK); err != nil {
		_ = dir.Close()
		return err
	}
	if d.tooLong(dir.Path()) {
		_ = dir.Close()
		return unix.ENAMETOOLONG
	}
	d.Close()
	d.file = dir
	d.setPath(dir.Path())
	return nil
}

// Here is the directory's path now. ENOENT where it was removed.
func (d *WorkingDir) Here() (string, error) {
	if d.file == nil {
		return d.path, nil
	}
	name, err := PlaceOf(d.file)
	if err == nil && name != d.path {
		d.setPath(name)
	}
	return name, err
}

// Path is the directory's path when it was last asked for. Any goroutine may call it.
func (d *WorkingDir) Path() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.path
}

// Close gives the directory back.
func (d *WorkingDir) Close() {
	if d.file != nil {
		_ = d.file.Close()
	}
}

// Join does not clean: "a/.." means something where a is a link.
func Join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// PlaceOf is the path that an open directory has now: another may have its old name. ENOENT where it was removed.
func PlaceOf(file vfs.File) (string, error) {
	if place, ok := file.(vfs.Place); ok {
		return place.Where()
	}
	return file.Path(), nil
}
