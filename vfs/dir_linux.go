package vfs

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// dir is a real directory that does not change while we run. What was found of a file is remembered.
type dir struct {
	root int

	mu     sync.RWMutex
	known  map[string]Info
	absent map[string]error
	lists  map[string][]Dirent
	listed int // entries of all lists
}

// Bounds of what a dir remembers. Names are at most maxAbsentName bytes for absent files, which a script chooses.
const (
	maxKnown      = 1 << 16
	maxListed     = 1 << 16 // entries
	maxAbsent     = 1 << 13
	maxAbsentName = 256
)

// NewDir exposes a real directory as a source, for an engine's library. The directory must not change afterwards: NewDir
// asks once for what it finds of a file. It tells links and never follows them. The directory is the process's own, read
// with its rights.
func NewDir(root string) (Source, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory %s: %w", root, err)
	}
	d := &dir{root: fd, known: map[string]Info{}, absent: map[string]error{}, lists: map[string][]Dirent{}}
	runtime.AddCleanup(d, closeFD, fd)
	return d, nil
}

// Lstat describes a file; of one that was asked for before without a system call.
func (d *dir) Lstat(name string) (Info, error) {
	defer runtime.KeepAlive(d) // its cleanup closes the root
	d.mu.RLock()
	info, ok := d.known[name]
	var err error
	if !ok {
		err = d.absent[name]
	}
	d.mu.RUnlock()
	if ok || err != nil {
		return info, err
	}
	info, err = lstatBeneath(d.root, name)
	if err == unix.EACCES {
		Apart(func() { info, err = lstatBeneath(d.root, name) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		if len(d.known) >= maxKnown {
			clear(d.known)
		}
		d.known[strings.Clone(name)] = info
	case (err == unix.ENOENT || err == unix.ENOTDIR) && len(name) <= maxAbsentName:
		if len(d.absent) >= maxAbsent {
			clear(d.absent)
		}
		d.absent[strings.Clone(name)] = err
	}
	return info, err
}

// ReadDir lists a directory; one that was listed before without a system call.
func (d *dir) ReadDir(name string) ([]Dirent, error) {
	defer runtime.KeepAlive(d)
	d.mu.RLock()
	list, ok := d.lists[name]
	d.mu.RUnlock()
	if ok {
		return slices.Clone(list), nil
	}
	list, err := readDirBeneath(d.root, name)
	if err == unix.EACCES {
		Apart(func() { list, err = readDirBeneath(d.root, name) })
	}
	if err != nil || len(list) > maxListed {
		return list, err
	}
	slices.SortFunc(list, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listed+len(list) > maxListed {
		clear(d.lists)
		d.listed = 0
	}
	if d.lists[name] == nil { // nobody else was here
		d.lists[strings.Clone(name)] = list
		d.listed += len(list)
	}
	return slices.Clone(list), nil
}

// Readlink returns a link's text.
func (d *dir) Readlink(name string) (string, error) {
	defer runtime.KeepAlive(d)
	text, err := readlinkBeneath(d.root, name)
	if err == unix.EACCES {
		Apart(func() { text, err = readlinkBeneath(d.root, name) })
	}
	return text, err
}

// Open opens a regular file for reading.
func (d *dir) Open(name string, flags int) (int, error) {
	defer runtime.KeepAlive(d) // its cleanup closes the root
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return -1, unix.EROFS
	}
	info, err := d.Lstat(path.Clean(name))
	switch {
	case err != nil:
		return -1, err
	case info.IsDir():
		return -1, unix.EISDIR
	case info.IsSymlink():
		return -1, unix.ELOOP
	case !info.IsRegular():
		return -1, unix.EACCES
	}
	fd, err := openBeneath(d.root, name, unix.O_RDONLY|unix.O_NOFOLLOW)
	if err == unix.EACCES {
		Apart(func() { fd, err = openBeneath(d.root, name, unix.O_RDONLY|unix.O_NOFOLLOW) })
	}
	return fd, err
}
