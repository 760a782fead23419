// Package vfs is the file system that a sandboxed script sees: the target's files through a read policy, a private scratch,
// read-only trees that an engine mounts, and an overlay that takes every write. It decides on canonical paths: it resolves
// each symbolic link inside the view, never by the host's kernel. It knows no session, engine or target: a Source gives it a
// host's files. It must never change anything outside the session. Begin with Session in session.go; walk.go resolves paths,
// policy.go decides, host_linux.go is the gateway's own host.
//
// Errors are syscall.Errno values, so that an engine can hand them to a script as they are.
package vfs

import (
	"syscall"
	"time"
)

// Info is what stat(2) says of a file. Mode holds the type and permission bits as st_mode does (S_IFREG|0o644), Size
// is in bytes, Blocks in units of 512 bytes. Dev and Ino identify the file within one session's view.
type Info struct {
	Dev, Ino            uint64
	Mode                uint32
	Nlink               uint64
	UID, GID            uint32
	Rdev                uint64
	Size                int64
	Blocks              int64
	Atime, Mtime, Ctime time.Time
}

// Type returns the S_IFMT bits of the mode.
func (i Info) Type() uint32 { return i.Mode & syscall.S_IFMT }

// IsDir reports whether the file is a directory.
func (i Info) IsDir() bool { return i.Type() == syscall.S_IFDIR }

// IsRegular reports whether the file is a regular file.
func (i Info) IsRegular() bool { return i.Type() == syscall.S_IFREG }

// IsSymlink reports whether the file is a symbolic link.
func (i Info) IsSymlink() bool { return i.Type() == syscall.S_IFLNK }

// Dirent is one entry of a directory. Type holds the S_IFMT bits, or 0 where the source does not know.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint32
}

// Source is a read-only tree: a target's files, or something an engine makes up (its library, /proc/self, /dev). Names
// are absolute within the source, clean, and free of symbolic links in every component but the last. The session resolves
// links itself, one component at a time, and asks Lstat and Readlink for each. A source must not follow a link, not even
// one that somebody put there after the session looked; it answers ELOOP instead.
//
// Several goroutines may ask a source, also while they hold a session's lock: it must not call the session, nor wait for
// anybody who does. The session trusts what it answers no further than the file that it asked for.
type Source interface {
	// Lstat describes the file itself, a link as a link.
	Lstat(name string) (Info, error)
	// ReadDir lists a directory, in any order, without "." and "..".
	ReadDir(name string) ([]Dirent, error)
	// Readlink returns a link's text.
	Readlink(name string) (string, error)
	// Open returns a new read-only descriptor with a description of its own, close-on-exec, positioned at 0. Flags
	// are open(2)'s; anything but the access mode is advice. Only a character device may be opened for writing.
	Open(name string, flags int) (fd int, err error)
}

// File is an open file or directory of a session's view. It stays valid when the name is renamed or removed.
type File interface {
	// Path is the canonical path at the time of the open.
	Path() string
	// Info describes the file now, as fstat(2).
	Info() (Info, error)
	// Chmod, Chown (-1 keeps a value) and Utimes change the session's view of the file. They copy up a file of the target
	// first.
	Chmod(mode uint32) error
	Chown(uid, gid int) error
	Utimes(atime, mtime time.Time) error
	// ReadDir lists an open directory with "." and ".." first.
	ReadDir() ([]Dirent, error)
	// Descriptor returns a new descriptor for the content with a description of its own, close-on-exec. The access
	// mode and O_APPEND of flags are honoured, the rest was done by the open. EISDIR for a directory.
	Descriptor(flags int) (fd int, err error)
	// Close drops what the session holds for this handle; the content of a linked file stays.
	Close() error
}

// A Place is an open directory of a session's view, which the session may give another path.
type Place interface {
	File
	// Where returns the canonical path that it has now. ENOENT where it was removed. Of a file that was opened by O_PATH
	// it tells the path at the open.
	Where() (string, error)
}
