//go:build linux

package vfs_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func TestStaticHoldsWhatWasAdded(t *testing.T) {
	var s vfs.Static
	s.SetTime(epoch)
	s.AddFile("/lib/python/site.py", 0o444, []byte("pass"))
	s.AddLink("/lib/link", "python/site.py")
	s.AddDir("/empty")
	s.AddFile("/lib/python/site.py", 0o444, []byte("pass again"))
	view := session(t, vfs.Config{}, vfs.Mount{Path: "/opt/x", Source: &s})
	lists(t, view, "/", "opt")
	lists(t, view, "/opt/x", "empty lib")
	lists(t, view, "/opt/x/lib", "link python")
	lists(t, view, "/opt/x/empty", "")
	holds(t, view, "/opt/x/lib/link", "pass again")
	info, err := view.Stat("/opt/x/lib/python/site.py")
	if err != nil || info.Mode != syscall.S_IFREG|0o444 || info.Size != 10 || !info.Mtime.Equal(epoch) || info.Ino == 0 {
		t.Errorf("%+v, %v", info, err)
	}
	_, err = s.Lstat("/lib/link/x")
	is(t, "below a link", err, syscall.ELOOP)
	_, err = s.Lstat("/lib/python/site.py/x")
	is(t, "below a file", err, syscall.ENOTDIR)
	_, err = s.Open("/lib/link", 0)
	is(t, "open a link", err, syscall.ELOOP)
	fd, err := s.Open("/lib/python/site.py", unix.O_RDONLY)
	ok(t, err)
	defer func() { _ = unix.Close(fd) }()
	if again, err := unix.Open("/proc/self/fd/"+itoa(fd), unix.O_RDWR, 0); err == nil {
		if _, err := unix.Write(again, []byte("x")); err == nil {
			t.Error("the sealed content could be written")
		}
		_ = unix.Close(again)
	}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestDirStaysBelowItsRoot(t *testing.T) {
	root := tree(t, "lib/os.py=import", "lib/out->../../outside", "lib/in->os.py", "lib/abs->/etc/passwd", "lib/sub/x=1")
	d, err := vfs.NewDir(filepath.Join(root, "lib"))
	ok(t, err)
	for name, want := range map[string]error{
		"/os.py": nil, "/out": syscall.ELOOP, "/in": syscall.ELOOP, "/abs": syscall.ELOOP, "/none": enoent,
		"/sub": syscall.EISDIR, "/out/x": syscall.ELOOP, "/os.py/x": syscall.ENOTDIR,
	} {
		fd, err := d.Open(name, unix.O_RDONLY)
		is(t, "open "+name, err, want)
		if err == nil {
			_ = unix.Close(fd)
		}
	}
	if fd, err := d.Open("/../secret", unix.O_RDONLY); err == nil {
		_ = unix.Close(fd)
		t.Error("opened a file outside")
	}
	_, err = d.Open("/os.py", unix.O_RDWR)
	is(t, "open for writing", err, syscall.EROFS)
	text, err := d.Readlink("/out")
	if text != "../../outside" || err != nil {
		t.Errorf("Readlink: %q, %v", text, err)
	}
	view := session(t, vfs.Config{}, vfs.Mount{Path: "/opt/lib", Source: d})
	holds(t, view, "/opt/lib/in", "import")
	lists(t, view, "/opt/lib", "abs in os.py out sub")
	_, err = view.Stat("/opt/lib/out")
	is(t, "a link out of the mount, in the view", err, enoent)
	if _, err := vfs.NewDir(root + "/none"); err == nil {
		t.Error("a directory that is not there was taken")
	}
}

func TestDirAsksOnce(t *testing.T) {
	root := tree(t, "f=1")
	d, err := vfs.NewDir(root)
	ok(t, err)
	_, err = d.Lstat("/f")
	ok(t, err)
	_, err = d.Lstat("/none")
	is(t, "absent", err, enoent)
	ok(t, os.Remove(root+"/f"))
	ok(t, os.WriteFile(root+"/none", nil, 0o600))
	_, err = d.Lstat("/f")
	is(t, "a file that was there", err, nil)
	_, err = d.Lstat("/none")
	is(t, "a file that was not there", err, enoent)
	root = tree(t, "b=1", "a=1")
	d, err = vfs.NewDir(root)
	ok(t, err)
	for range 2 {
		list, err := d.ReadDir("/")
		ok(t, err)
		if len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" {
			t.Errorf("listed %v", list)
		}
		clear(list) // the caller's own
		ok(t, os.RemoveAll(root+"/a"))
	}
}

func TestMountsAreVisibleWhateverThePolicySays(t *testing.T) {
	var engine, self vfs.Static
	engine.AddFile("/bin/python3", 0o755, nil)
	self.AddFile("/status", 0o444, []byte("mine"))
	root := tree(t, "opt/secret=x", "proc/1/status=x", "proc/self/status=real")
	s := session(t, vfs.Config{Base: below{vfs.NewHost(), root}, Policy: policy(t, []string{"/proc"}, nil)},
		vfs.Mount{Path: "/opt/python", Source: &engine}, vfs.Mount{Path: "/proc/self", Source: &self})
	lists(t, s, "/", "opt proc")
	lists(t, s, "/opt", "python")
	lists(t, s, "/proc", "1 self")
	holds(t, s, "/proc/self/status", "mine")
	_, err := s.Stat("/opt/python/../secret")
	is(t, "hidden beside a mount", err, enoent)
	for _, m := range []vfs.Mount{
		{Path: "/", Source: &self}, {Path: "relative", Source: &self}, {Path: "/a/../b", Source: &self},
		{Path: "/x/", Source: &self}, {Path: "/nil"},
	} {
		is(t, "mount at "+m.Path, s.Mount(m), syscall.EINVAL)
	}
	var outer, inner vfs.Static
	outer.AddDir("/b")
	outer.AddFile("/c", 0o644, nil)
	inner.AddFile("/d", 0o644, []byte("inner"))
	ok(t, s.Mount(vfs.Mount{Path: "/a", Source: &outer}))
	ok(t, s.Mount(vfs.Mount{Path: "/a/b", Source: &inner}))
	is(t, "mount where the outer one has nothing", s.Mount(vfs.Mount{Path: "/a/x/y", Source: &inner}), enoent)
	lists(t, s, "/a", "b c")
	holds(t, s, "/a/b/d", "inner")
	is(t, "mkdir between mounts", s.Mkdir("/a/n", 0o755), syscall.EROFS)
	is(t, "rmdir of the inner mount", s.Rmdir("/a/b"), syscall.EBUSY)
	is(t, "mount twice", s.Mount(vfs.Mount{Path: "/proc/self", Source: &self}), syscall.EBUSY)
	is(t, "mount over a mount", s.Mount(vfs.Mount{Path: "/proc", Source: &self}), syscall.EBUSY)
}

// nullDevice is a source with one character device, as an engine's /dev.
type nullDevice struct{ vfs.Static }

func (n *nullDevice) Lstat(name string) (vfs.Info, error) {
	if name == "/null" {
		return vfs.Info{Mode: syscall.S_IFCHR | 0o666, Ino: 7}, nil
	}
	return n.Static.Lstat(name)
}

func (n *nullDevice) Open(name string, flags int) (int, error) {
	if name != "/null" {
		return -1, enoent
	}
	return unix.Open("/dev/null", flags&unix.O_ACCMODE|unix.O_CLOEXEC, 0)
}

func TestDevicesOfAMountOpenForWriting(t *testing.T) {
	s := session(t, vfs.Config{}, vfs.Mount{Path: "/dev", Source: &nullDevice{}})
	is(t, "access", s.Access("/dev/null", unix.R_OK|unix.W_OK), nil)
	if err := write(s, "/dev/null", "x", unix.O_CREAT|unix.O_TRUNC); err != nil {
		t.Error(err)
	}
	holds(t, s, "/dev/null", "")
}
