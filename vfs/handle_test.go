//go:build linux

package vfs_test

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// Whatever a handle is open on, it changes the view's file, keeps its place when the name goes, and says what it is.
func TestHandlesChangeTheirFile(t *testing.T) {
	s, root := over(t, "f=x", "d/g=y", "e/h=z")
	before := fingerprint(t, root)
	put(t, s, "/tmp/made", "m")
	ok(t, s.Mkdir("/tmp/dir", 0o755))
	ok(t, s.Chmod("/e", 0o755, true)) // in the overlay before it is opened
	for _, name := range []string{"/f", "/d", "/e", "/tmp/made", "/tmp/dir"} {
		f, err := s.Open(name, unix.O_RDONLY, 0)
		ok(t, err)
		was, err := f.Info()
		ok(t, err)
		ok(t, f.Chmod(0o700))
		ok(t, f.Chown(5, -1))
		ok(t, f.Utimes(epoch, epoch))
		for how, look := range map[string]func() (vfs.Info, error){
			"handle": f.Info, "name": func() (vfs.Info, error) { return s.Stat(name) },
		} {
			now, err := look()
			if err != nil || now.Mode != was.Type()|0o700 || now.UID != 5 || now.GID != was.GID || !now.Mtime.Equal(epoch) ||
				now.Ino != was.Ino {
				t.Errorf("%s by %s: %+v, %v", name, how, now, err)
			}
		}
		if f.Path() != name {
			t.Errorf("%s calls itself %s", name, f.Path())
		}
		if _, err := f.ReadDir(); (err == nil) != was.IsDir() {
			t.Errorf("%s: ReadDir: %v", name, err)
		}
		ok(t, f.Close())
	}
	if fingerprint(t, root) != before {
		t.Error("the target changed")
	}
}

func TestHandlesOfMountsChangeNothing(t *testing.T) {
	var engine vfs.Static
	engine.AddFile("/d/f", 0o644, []byte("x"))
	s := session(t, vfs.Config{}, vfs.Mount{Path: "/m", Source: &engine})
	for _, name := range []string{"/m", "/m/d", "/m/d/f"} {
		f, err := s.Open(name, unix.O_RDONLY, 0)
		ok(t, err)
		is(t, "chmod "+name, f.Chmod(0o777), syscall.EROFS)
		is(t, "chown "+name, f.Chown(0, 0), syscall.EROFS)
		is(t, "utimes "+name, f.Utimes(epoch, epoch), syscall.EROFS)
		ok(t, f.Close())
	}
}

// A handle on the target's file that was replaced in the view must not change the file that took its name.
func TestAHandleNeverChangesAFileThatTookItsName(t *testing.T) {
	s, _ := over(t, "f=old", "d/g=y")
	f, err := s.Open("/f", unix.O_RDONLY, 0)
	ok(t, err)
	d, err := s.Open("/d", unix.O_RDONLY, 0)
	ok(t, err)
	ok(t, s.Unlink("/f"))
	put(t, s, "/f", "new")
	ok(t, s.Unlink("/d/g"))
	ok(t, s.Rmdir("/d"))
	ok(t, s.Mkdir("/d", 0o755))
	is(t, "chmod of the old file", f.Chmod(0o777), enoent)
	is(t, "chmod of the old directory", d.Chmod(0o777), enoent)
	for name, mode := range map[string]uint32{"/f": syscall.S_IFREG | 0o644, "/d": syscall.S_IFDIR | 0o755} {
		if info, err := s.Stat(name); err != nil || info.Mode != mode {
			t.Errorf("%s has mode %o, %v", name, info.Mode, err)
		}
	}
	fd, err := f.Descriptor(unix.O_RDONLY)
	ok(t, err)
	if text, err := readAll(fd); text != "old" || err != nil {
		t.Errorf("the open file reads %q, %v", text, err)
	}
	ok(t, unix.Close(fd))
	_, err = f.Descriptor(unix.O_RDONLY)
	is(t, "a second descriptor by name", err, enoent)
	ok(t, f.Close())
	ok(t, d.Close())
}

func TestARenamedDirectoryKeepsItsHandle(t *testing.T) {
	s, _ := over(t)
	ok(t, s.Mkdir("/tmp/a", 0o755))
	put(t, s, "/tmp/a/f", "x")
	f, err := s.Open("/tmp/a", unix.O_RDONLY, 0)
	ok(t, err)
	ok(t, s.Rename("/tmp/a", "/tmp/b", 0))
	if got, err := listing(f); got != "f" || err != nil {
		t.Errorf("lists %q, %v", got, err)
	}
	ok(t, f.Close())
}
