//go:build linux

package vfs_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// A file is described by its descriptor as by its name, also when that leads elsewhere; and by its name once the session has changed
// something.
func TestAnOpenFileIsDescribedByItsDescriptor(t *testing.T) {
	root := tree(t, "d/f=12345", "d/g=1")
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	name := root + "/d/f"
	f, err := s.Open(name, unix.O_RDONLY, 0)
	ok(t, err)
	defer func() { _ = f.Close() }()
	fd, err := f.Descriptor(unix.O_RDONLY)
	ok(t, err)
	defer func() { _ = unix.Close(fd) }()
	describe := func() (vfs.Info, bool) {
		var st unix.Stat_t
		ok(t, unix.Fstat(fd, &st))
		return vfs.InfoOf(f, &st)
	}
	ok(t, os.Chmod(name, 0o601))
	byName, err := s.Lstat(name)
	ok(t, err)
	if got, known := describe(); !known || got != byName || got.Mode&0o777 != 0o601 {
		t.Errorf("described as %+v, %t; by its name as %+v", got, known, byName)
	}
	ok(t, os.Remove(name))
	if got, known := describe(); !known || got.Ino != byName.Ino || got.Nlink != 0 {
		t.Errorf("removed, it is described as %+v, %t", got, known)
	}
	kernel, err := s.Open("/proc/version", unix.O_RDONLY, 0)
	ok(t, err)
	defer func() { _ = kernel.Close() }()
	copied, err := kernel.Descriptor(unix.O_RDONLY)
	ok(t, err)
	defer func() { _ = unix.Close(copied) }()
	var st unix.Stat_t
	ok(t, unix.Fstat(copied, &st))
	was, err := s.Lstat("/proc/version")
	ok(t, err)
	if got, known := vfs.InfoOf(kernel, &st); !known || got.Ino != was.Ino || got.Mode != was.Mode || got.UID != was.UID {
		t.Errorf("a copy of a file of the kernel is described as %+v, %t; by its name as %+v", got, known, was)
	}
	put(t, s, root+"/d/g", "changed")
	if got, known := describe(); known {
		t.Errorf("after a change: %+v", got)
	}
}
