//go:build linux

package vfs_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func TestAScriptSeesItsOwnWritesEverywhere(t *testing.T) {
	s, _ := over(t, "etc/conf=old", "etc/keep=k", "var/log/a=1")
	put(t, s, "/etc/conf", "new")
	put(t, s, "/etc/made", "made")
	ok(t, s.Mkdir("/etc/dir", 0o750))
	put(t, s, "/etc/dir/in", "in")
	ok(t, s.Symlink("dir/in", "/etc/link"))
	ok(t, s.Unlink("/etc/keep"))

	holds(t, s, "/etc/conf", "new")
	holds(t, s, "/etc/link", "in")
	lists(t, s, "/etc", "conf dir link made")
	_, err := s.Stat("/etc/keep")
	is(t, "stat of a removed file", err, enoent)
	_, err = s.Open("/etc/keep", unix.O_RDONLY, 0)
	is(t, "open of a removed file", err, enoent)
	info, err := s.Stat("/etc/dir")
	if err != nil || info.Mode != syscall.S_IFDIR|0o750 {
		t.Errorf("mode %o, %v", info.Mode, err)
	}
	info, err = s.Stat("/etc/made")
	if err != nil || info.Size != 4 || info.Nlink != 1 || !info.IsRegular() {
		t.Errorf("made: %+v, %v", info, err)
	}
	if err := write(s, "/etc/conf", " and more", unix.O_APPEND); err != nil {
		t.Error(err)
	}
	holds(t, s, "/etc/conf", "new and more")
	put(t, s, "/etc/keep", "again")
	holds(t, s, "/etc/keep", "again")
}

// Every kind of change is tried, and the real tree must be the same to the last inode.
func TestNothingReachesTheTarget(t *testing.T) {
	s, root := over(t, "etc/conf=old", "etc/two=2", "etc/d/x=x", "etc/link->conf", "etc/empty/")
	before := fingerprint(t, root)
	put(t, s, "/etc/conf", "new")
	put(t, s, "/etc/link", "through the link")
	put(t, s, "/made", "x")
	ok(t, write(s, "/etc/two", "more", unix.O_APPEND))
	ok(t, s.Truncate("/etc/d/x", 0))
	ok(t, s.Chmod("/etc", 0o700, true))
	ok(t, s.Chmod("/etc/two", 0o600, true))
	ok(t, s.Chown("/etc/link", 1, 2, false))
	ok(t, s.Utimes("/etc/d", epoch, epoch, true))
	ok(t, s.Rename("/etc/two", "/etc/three", 0))
	ok(t, s.Rename("/etc/link", "/etc/link2", 0))
	ok(t, s.Link("/etc/conf", "/etc/hard", true))
	ok(t, s.Unlink("/etc/d/x"))
	ok(t, s.Rmdir("/etc/d"))
	ok(t, s.Rmdir("/etc/empty"))
	ok(t, s.Symlink("conf", "/etc/new"))
	ok(t, s.Mkdir("/new", 0o777))
	f, err := s.Open("/etc", unix.O_RDONLY, 0)
	ok(t, err)
	ok(t, f.Chmod(0o711))
	ok(t, f.Close())
	_ = s.Changes()
	ok(t, s.Close())
	if after := fingerprint(t, root); after != before {
		t.Errorf("the target changed:\n%s\nit was:\n%s", after, before)
	}
}

func TestFileNumbersAreStableAndDistinct(t *testing.T) {
	s, root := over(t, "a=1", "b=2", "d/c=3", "twin1=t")
	if err := os.Link(filepath.Join(root, "twin1"), filepath.Join(root, "twin2")); err != nil {
		t.Fatal(err)
	}
	put(t, s, "/made", "x")
	put(t, s, "/tmp/made", "x")
	was := map[string]vfs.Info{}
	all := []string{"/a", "/b", "/d", "/d/c", "/made", "/tmp", "/tmp/made", "/"}
	for _, name := range all {
		was[name], _ = s.Stat(name)
	}
	put(t, s, "/a", "copied up")
	ok(t, s.Chmod("/d", 0o700, true))
	put(t, s, "/d/c", "copied up too")
	ok(t, s.Rename("/b", "/b2", 0))
	seen := map[string]string{}
	for _, name := range all {
		now, err := s.Stat(strings.Replace(name, "/b", "/b2", 1))
		if err != nil || now.Ino != was[name].Ino || now.Dev != was[name].Dev {
			t.Errorf("%s was %d:%d, is %d:%d, %v", name, was[name].Dev, was[name].Ino, now.Dev, now.Ino, err)
		}
		id := fmt.Sprint(now.Dev, now.Ino)
		if other := seen[id]; other != "" {
			t.Errorf("%s and %s are both %s", name, other, id)
		}
		seen[id] = name
	}
	put(t, s, "/twin1", "changed") // breaks the hard link, so it must be another file
	one, _ := s.Stat("/twin1")
	two, _ := s.Stat("/twin2")
	if one.Ino == two.Ino && one.Dev == two.Dev {
		t.Error("two files with different content have the same number")
	}
	holds(t, s, "/twin2", "t")
}

func TestHardLinksShareOneFile(t *testing.T) {
	s, _ := over(t, "base=b", "dir/", "link->base")
	ok(t, s.Link("/base", "/dir/second", false))
	put(t, s, "/dir/second", "changed")
	holds(t, s, "/base", "changed")
	one, _ := s.Stat("/base")
	two, _ := s.Stat("/dir/second")
	if one.Ino != two.Ino || one.Nlink != 2 || two.Nlink != 2 {
		t.Errorf("%+v, %+v", one, two)
	}
	ok(t, s.Unlink("/base"))
	holds(t, s, "/dir/second", "changed")
	is(t, "link to a directory", s.Link("/dir", "/d2", true), syscall.EPERM)
	is(t, "link over a file", s.Link("/dir/second", "/link", true), eexist)
	ok(t, s.Link("/link", "/linklink", false))
	text, err := s.Readlink("/linklink")
	if text != "base" || err != nil {
		t.Errorf("link to a link: %q, %v", text, err)
	}
	is(t, "rename onto the same file", s.Rename("/dir/second", "/dir/second", 0), nil)
	holds(t, s, "/dir/second", "changed")
}

func TestUnlinkedFilesLiveAsLongAsTheyAreOpen(t *testing.T) {
	s, _ := over(t, "base=content")
	for _, name := range []string{"/tmp/f", "/base"} {
		f, err := s.Open(name, unix.O_RDWR|unix.O_CREAT, 0o600)
		ok(t, err)
		ok(t, s.Unlink(name))
		fd, err := f.Descriptor(unix.O_RDWR)
		ok(t, err)
		if _, err := unix.Write(fd, make([]byte, 8192)); err != nil {
			t.Fatal(err)
		}
		ok(t, unix.Close(fd))
		info, err := f.Info()
		if err != nil || info.Nlink != 0 || info.Size != 8192 {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if used := s.Used(); used != 8192 {
			t.Errorf("%s: %d bytes used while open", name, used)
		}
		ok(t, f.Close())
		ok(t, f.Close())
		if used := s.Used(); used != 0 {
			t.Errorf("%s: %d bytes used after the last close", name, used)
		}
	}
}

func TestADirectoryThatIsOpenWhenRemovedIsEmpty(t *testing.T) {
	s, _ := over(t, "d/f=1", "e/")
	for _, name := range []string{"/d", "/e"} {
		f, err := s.Open(name, unix.O_RDONLY, 0)
		ok(t, err)
		_ = s.Unlink(name + "/f")
		ok(t, s.Rmdir(name))
		ok(t, s.Mkdir(name, 0o755))
		put(t, s, name+"/other", "x")
		if got, err := listing(f); got != "" || err != nil {
			t.Errorf("%s: the removed directory lists %q, %v", name, got, err)
		}
		_, err = f.Descriptor(unix.O_RDONLY)
		is(t, "descriptor of a directory", err, syscall.EISDIR)
		ok(t, f.Close())
	}
	lists(t, s, "/d", "other")
}

func TestAnOpenDirectoryShowsLaterChanges(t *testing.T) {
	s, _ := over(t, "d/f=1")
	f, err := s.Open("/d", unix.O_RDONLY, 0)
	ok(t, err)
	put(t, s, "/d/g", "x")
	if got, err := listing(f); got != "f g" || err != nil {
		t.Errorf("lists %q, %v", got, err)
	}
	ok(t, f.Close())
}

func TestRenameOfTheTargetsDirectoryIsLeftToTheCaller(t *testing.T) {
	s, _ := over(t, "d/f=1", "e/")
	is(t, "rename", s.Rename("/d", "/d2", 0), syscall.EXDEV)
	ok(t, s.Mkdir("/mine", 0o755))
	put(t, s, "/mine/f", "m")
	ok(t, s.Rename("/mine", "/e", 0))
	holds(t, s, "/e/f", "m")
	ok(t, s.Rename("/e", "/d/in", 0))
	lists(t, s, "/d/in", "f")
	lists(t, s, "/", "d tmp")
	is(t, "into itself", s.Rename("/d/in", "/d/in/x", 0), syscall.EINVAL)
	is(t, "no replace", s.Rename("/d/in", "/d/f", unix.RENAME_NOREPLACE), eexist)
	is(t, "exchange", s.Rename("/d/in", "/d/f", unix.RENAME_EXCHANGE), syscall.EINVAL)
}

func TestPinnedDirectoriesStay(t *testing.T) {
	var engine vfs.Static
	engine.AddFile("/lib/os.py", 0o644, []byte("import"))
	root := tree(t, "opt/x=1", "var/log/l=2")
	s := session(t, vfs.Config{Base: below{vfs.NewHost(), root}, Scratch: []string{"/tmp", "/var/tmp"}},
		vfs.Mount{Path: "/opt/engine/3", Source: &engine})
	for _, name := range []string{"/", "/tmp", "/var/tmp", "/var", "/opt", "/opt/engine", "/opt/engine/3"} {
		is(t, "rmdir "+name, s.Rmdir(name), syscall.EBUSY)
		if err := s.Rename(name, "/elsewhere", 0); err != syscall.EBUSY && err != syscall.EROFS && err != syscall.EXDEV {
			t.Errorf("rename %s: %v", name, err)
		}
	}
	is(t, "rmdir in a mount", s.Rmdir("/opt/engine/3/lib"), syscall.EROFS)
	is(t, "unlink in a mount", s.Unlink("/opt/engine/3/lib/os.py"), syscall.EROFS)
	is(t, "mkdir in a mount", s.Mkdir("/opt/engine/3/new", 0o755), syscall.EROFS)
	is(t, "chmod of a mount", s.Chmod("/opt/engine/3", 0o700, true), syscall.EROFS)
	is(t, "chmod in a mount", s.Chmod("/opt/engine/3/lib/os.py", 0o700, true), syscall.EROFS)
	is(t, "link from a mount", s.Link("/opt/engine/3/lib/os.py", "/tmp/os.py", true), syscall.EXDEV)
	is(t, "rename out of a mount", s.Rename("/opt/engine/3/lib/os.py", "/tmp/os.py", 0), syscall.EXDEV)
	is(t, "write in a mount", write(s, "/opt/engine/3/lib/os.py", "x", 0), syscall.EROFS)
	is(t, "create in a mount", write(s, "/opt/engine/3/lib/new", "x", unix.O_CREAT), syscall.EROFS)
	lists(t, s, "/opt", "engine x")
	lists(t, s, "/opt/engine/3/lib", "os.py")
	holds(t, s, "/opt/engine/3/lib/os.py", "import")
	info, err := s.Stat("/tmp")
	if err != nil || info.Mode != syscall.S_IFDIR|0o1777 {
		t.Errorf("/tmp has mode %o, %v", info.Mode, err)
	}
}

func TestScratchIsEmptyAndNotAChange(t *testing.T) {
	s, _ := over(t, "tmp/hosts-own=x", "etc/a=1")
	lists(t, s, "/tmp", "")
	_, err := s.Stat("/tmp/hosts-own")
	is(t, "the host's file in scratch", err, enoent)
	put(t, s, "/tmp/mine", "x")
	put(t, s, "/etc/a", "2")
	changes := s.Changes()
	if len(changes) != 1 || changes[0].Path != "/etc/a" {
		t.Errorf("changes %v", changes)
	}
}

func TestTimesOwnersAndModesAreTheSessions(t *testing.T) {
	root := tree(t, "f=x")
	now := epoch.Add(time.Hour)
	s := session(t, vfs.Config{
		Base: below{vfs.NewHost(), root}, UID: 1000, GID: 1001, Now: func() time.Time { return now },
	})
	ok(t, s.Mkdir("/d", 0o7777))
	put(t, s, "/g", "")
	for name, mode := range map[string]uint32{"/d": syscall.S_IFDIR | 0o1777, "/g": syscall.S_IFREG | 0o644} {
		info, err := s.Stat(name)
		if err != nil || info.Mode != mode || info.UID != 1000 || info.GID != 1001 || !info.Mtime.Equal(now) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	before, _ := s.Stat("/f")
	f, err := s.Open("/f", unix.O_RDONLY, 0)
	ok(t, err)
	ok(t, f.Chmod(0o4711))
	ok(t, f.Chown(-1, 7))
	ok(t, f.Utimes(epoch, epoch.Add(time.Nanosecond)))
	info, err := f.Info()
	if err != nil || info.Mode != syscall.S_IFREG|0o4711 || info.UID != before.UID || info.GID != 7 ||
		!info.Atime.Equal(epoch) || !info.Mtime.Equal(epoch.Add(time.Nanosecond)) {
		t.Errorf("through a handle: %+v, %v", info, err)
	}
	holds(t, s, "/f", "x")
	ok(t, f.Close())
	ok(t, s.Symlink("f", "/l"))
	is(t, "chmod of a link", s.Chmod("/l", 0o700, false), syscall.EOPNOTSUPP)
}

func TestEachDescriptorHasItsOwnPosition(t *testing.T) {
	s, _ := over(t, "base=0123456789")
	put(t, s, "/tmp/f", "0123456789")
	for _, name := range []string{"/tmp/f", "/base"} {
		f, err := s.Open(name, unix.O_RDONLY, 0)
		ok(t, err)
		one, err := f.Descriptor(unix.O_RDONLY)
		ok(t, err)
		two, err := f.Descriptor(unix.O_RDONLY)
		ok(t, err)
		var b [4]byte
		_, _ = unix.Read(one, b[:])
		if n, err := unix.Read(two, b[:]); n != 4 || string(b[:]) != "0123" || err != nil {
			t.Errorf("%s: %q, %v", name, b[:n], err)
		}
		if _, err := unix.Write(one, b[:]); err != unix.EBADF {
			t.Errorf("%s: write to a read-only descriptor: %v", name, err)
		}
		if flags, _ := unix.FcntlInt(uintptr(one), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: descriptor would survive an exec", name)
		}
		_, _, _ = unix.Close(one), unix.Close(two), f.Close()
	}
	_, err := func() (int, error) {
		f, err := s.Open("/base", unix.O_RDONLY, 0)
		ok(t, err)
		defer func() { _ = f.Close() }()
		fd, err := f.Descriptor(unix.O_RDONLY)
		ok(t, err)
		_ = unix.Close(fd)
		return f.Descriptor(unix.O_RDWR)
	}()
	is(t, "writable descriptor of the target's file", err, syscall.EACCES)
}

func TestLimitsHold(t *testing.T) {
	root := tree(t, "big="+strings.Repeat("b", 70_000), "small=s")
	base := below{vfs.NewHost(), root}
	t.Run("file", func(t *testing.T) {
		s := session(t, vfs.Config{Base: base, MaxFile: 65536, Scratch: []string{"/tmp"}})
		is(t, "copy up", write(s, "/big", "x", unix.O_APPEND), syscall.EFBIG)
		ok(t, write(s, "/big", "x", unix.O_TRUNC))
		holds(t, s, "/big", "x")
		put(t, s, "/tmp/f", "")
		is(t, "truncate", s.Truncate("/tmp/f", 65537), syscall.EFBIG)
		ok(t, s.Truncate("/tmp/f", 65536))
		is(t, "negative", s.Truncate("/tmp/f", -1), syscall.EINVAL)
	})
	t.Run("sum", func(t *testing.T) {
		s := session(t, vfs.Config{Base: base, MaxBytes: 65536, Scratch: []string{"/tmp"}})
		is(t, "copy up", write(s, "/big", "x", unix.O_APPEND), syscall.ENOSPC)
		put(t, s, "/tmp/f", "")
		put(t, s, "/tmp/g", "")
		ok(t, s.Truncate("/tmp/f", 60000))
		is(t, "sparse file", s.Truncate("/tmp/g", 60000), syscall.ENOSPC)
		if used := s.Used(); used != 60000 {
			t.Errorf("%d bytes used", used)
		}
		ok(t, s.Truncate("/tmp/f", 0))
		ok(t, s.Truncate("/tmp/g", 60000))
		ok(t, s.Unlink("/tmp/g"))
		fd, err := descriptor(s, "/tmp/f", unix.O_RDWR)
		ok(t, err)
		ok(t, unix.Ftruncate(fd, 70000)) // a script does this without asking
		ok(t, unix.Close(fd))
		is(t, "open when full", write(s, "/tmp/h", "x", unix.O_CREAT), syscall.ENOSPC)
		is(t, "symlink when full", s.Symlink("x", "/tmp/l"), syscall.ENOSPC)
		ok(t, s.Unlink("/tmp/f"))
		put(t, s, "/tmp/h", "x")
	})
	t.Run("nodes", func(t *testing.T) {
		s := session(t, vfs.Config{Base: base, MaxNodes: 1000, Scratch: []string{"/tmp"}})
		made := 0
		for i := range 11_000 {
			if err := s.Symlink("x", fmt.Sprintf("/tmp/%d", i)); err == nil {
				made++
			} else if err != syscall.ENOSPC {
				t.Fatal(err)
			}
		}
		if made != 1000 {
			t.Errorf("%d files made", made)
		}
		is(t, "mkdir", s.Mkdir("/tmp/d", 0o755), syscall.ENOSPC)
		is(t, "removing the target's file", s.Unlink("/small"), syscall.ENOSPC)
		is(t, "copy up", write(s, "/small", "x", 0), syscall.ENOSPC)
		ok(t, s.Unlink("/tmp/0"))
		ok(t, s.Mkdir("/tmp/d", 0o755))
		ok(t, s.Rmdir("/tmp/d"))
		for i := range 3000 { // what is removed must be free again, every time
			ok(t, s.Mkdir("/tmp/d", 0o755))
			if i%2 == 0 {
				ok(t, s.Rmdir("/tmp/d"))
				continue
			}
			ok(t, s.Rename("/tmp/d", "/tmp/e", 0))
			ok(t, s.Rmdir("/tmp/e"))
		}
	})
	t.Run("hiding counts", func(t *testing.T) {
		s := session(t, vfs.Config{Base: base, MaxNodes: 1, Scratch: []string{"/tmp"}})
		ok(t, write(s, "/small", "x", 0))
		ok(t, s.Unlink("/small"))
		is(t, "a second entry", s.Mkdir("/tmp/d", 0o755), syscall.ENOSPC)
		put(t, s, "/small", "x")
		ok(t, s.Unlink("/small"))
		is(t, "a second entry", s.Mkdir("/tmp/d", 0o755), syscall.ENOSPC)
	})
	t.Run("text", func(t *testing.T) {
		s := session(t, vfs.Config{Base: base, MaxBytes: 8000, Scratch: []string{"/tmp"}})
		ok(t, s.Symlink(strings.Repeat("x", 4000), "/tmp/1"))
		ok(t, s.Symlink(strings.Repeat("x", 4000), "/tmp/2"))
		is(t, "third", s.Symlink("x", "/tmp/3"), syscall.ENOSPC)
		ok(t, s.Unlink("/tmp/1"))
		if used := s.Used(); used != 4000 {
			t.Errorf("%d bytes used", used)
		}
		ok(t, s.Symlink("x", "/tmp/3"))
	})
}

func TestChangesTellWhatDiffers(t *testing.T) {
	s, _ := over(t, "etc/conf=old", "etc/same=same", "etc/gone=g", "etc/d/x=1", "etc/d/y=2", "etc/mode=m", "etc/touched=t",
		"etc/sub/deep=d", "etc/link->conf", "etc/replaced=r", "etc/becomes-dir=f", "etc/moved=m")
	put(t, s, "/etc/conf", "new")
	put(t, s, "/etc/same", "same")
	ok(t, s.Unlink("/etc/gone"))
	ok(t, s.Unlink("/etc/d/x"))
	ok(t, s.Unlink("/etc/d/y"))
	ok(t, s.Rmdir("/etc/d"))
	ok(t, s.Chmod("/etc/mode", 0o600, true))
	ok(t, s.Utimes("/etc/touched", epoch, epoch, true))
	put(t, s, "/etc/tmpfile", "atomic")
	ok(t, s.Rename("/etc/tmpfile", "/etc/replaced", 0))
	ok(t, s.Unlink("/etc/becomes-dir"))
	ok(t, s.Mkdir("/etc/becomes-dir", 0o755))
	ok(t, s.Mkdir("/etc/sub/n", 0o755))
	put(t, s, "/etc/sub/n/1", "one")
	ok(t, s.Link("/etc/sub/n/1", "/etc/sub/n/2", false))
	ok(t, s.Symlink("n", "/etc/sub/l"))
	ok(t, s.Rename("/etc/moved", "/etc/moved2", 0))
	put(t, s, "/etc/never", "x")
	ok(t, s.Unlink("/etc/never"))
	f, err := s.Open("/etc/sub/deep", unix.O_RDWR, 0) // opened for writing, and left alone
	ok(t, err)
	ok(t, f.Close())
	var got []string
	byPath := map[string]vfs.Change{}
	for _, c := range s.Changes() {
		got = append(got, c.Op+" "+c.Path)
		byPath[c.Path] = c
	}
	want := []string{
		"delete /etc/becomes-dir", "mkdir /etc/becomes-dir", "write /etc/conf", "delete /etc/d/x", "delete /etc/d/y",
		"rmdir /etc/d", "delete /etc/gone", "chmod /etc/mode", "rename /etc/moved",
		"write /etc/replaced", "symlink /etc/sub/l", "mkdir /etc/sub/n", "write /etc/sub/n/1", "link /etc/sub/n/2",
		"utimes /etc/touched",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("changes:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	c := byPath["/etc/conf"]
	if c.Origin == nil || !c.Origin.Hashed || c.Origin.SHA256 != sha256.Sum256([]byte("old")) ||
		c.SHA256 != sha256.Sum256([]byte("new")) {
		t.Errorf("hashes of %+v", c)
	}
	fd, err := c.Open()
	ok(t, err)
	defer func() { _ = unix.Close(fd) }()
	if text, err := readAll(fd); text != "new" || err != nil {
		t.Errorf("content %q, %v", text, err)
	}
	if c := byPath["/etc/sub/n/1"]; c.Origin != nil {
		t.Error("a new file has an origin")
	}
	if c := byPath["/etc/replaced"]; c.Origin == nil || c.Origin.Info.Size != 1 {
		t.Error("a replaced file has lost its origin")
	}
	if c := byPath["/etc/sub/n/2"]; c.Target != "/etc/sub/n/1" {
		t.Errorf("link to %q", c.Target)
	}
}

func TestAClosedSessionAnswersEIO(t *testing.T) {
	s, _ := over(t, "f=x")
	put(t, s, "/tmp/g", "x")
	f, err := s.Open("/tmp/g", unix.O_RDWR, 0)
	ok(t, err)
	d, err := s.Open("/", unix.O_RDONLY, 0)
	ok(t, err)
	ok(t, s.Close())
	ok(t, s.Close())
	_, err = s.Stat("/f")
	is(t, "stat", err, syscall.EIO)
	is(t, "mkdir", s.Mkdir("/d", 0o755), syscall.EIO)
	_, err = d.ReadDir()
	is(t, "readdir", err, syscall.EIO)
	is(t, "chmod", f.Chmod(0o600), syscall.EIO)
	if _, err := f.Descriptor(unix.O_RDWR); err == nil {
		t.Error("a descriptor after the end")
	}
	ok(t, f.Close())
	ok(t, d.Close())
	if s.Used() != 0 {
		t.Error("bytes are still held")
	}
}
