//go:build linux

package vfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// guarded is a session that sees /open and /part/shown of a tree, without /open/hidden and any *.key.
func guarded(t testing.TB, lines ...string) (*vfs.Session, string) {
	t.Helper()
	root := tree(t, append(lines,
		"open/file=public", "open/hidden/secret=secret", "open/x.key=secret", "open/d/",
		"private/secret=secret",
		"part/shown/f=public", "part/secret=secret", "part/dir/secret=secret",
		"rootfile=secret")...)
	return session(t, vfs.Config{
		Base:    below{vfs.NewHost(), root},
		Policy:  policy(t, []string{"/open", "/part/shown"}, []string{"/open/hidden", "**/*.key"}),
		Scratch: []string{"/tmp"},
	}), root
}

// Whatever leads to a hidden file, the answer is the one for a file that does not exist.
func TestHiddenFilesDoNotExist(t *testing.T) {
	s, _ := guarded(t,
		"open/link->hidden/secret", "open/abs->/private/secret", "open/up->../private", "open/dirlink->hidden",
		"open/chain->link", "open/key->x.key", "part/shown/out->../secret", "part/link->shown")
	ok(t, s.Symlink("/private", "/tmp/p"))
	ok(t, s.Symlink("../open/hidden/secret", "/tmp/h"))
	ok(t, s.Symlink("..", "/tmp/up"))
	for _, name := range []string{
		"/open/hidden", "/open/hidden/", "/open/hidden/.", "/open/hidden/..", "/open/hidden/secret", "/open/hidden/secret/x",
		"/open/hidden/none", "/open/x.key", "/open/x.key/", "/open/x.key/..", "/private", "/private/secret", "/private/none",
		"/part/secret", "/part/dir", "/part/dir/secret", "/part/link", "/part/link/f", "/rootfile", "/rootfile/x",
		"/open/../private/secret", "/open/d/../hidden/secret", "//private//secret", "/tmp/../private",
		"/tmp/up/private/secret",
		"/open/link", "/open/abs", "/open/up/secret", "/open/dirlink/secret", "/open/chain", "/open/key", "/part/shown/out",
		"/tmp/p", "/tmp/p/secret", "/tmp/h",
	} {
		_, err := s.Stat(name)
		is(t, "stat "+name, err, enoent)
		_, err = s.Canonical(name)
		is(t, "canonical "+name, err, enoent)
		is(t, "access "+name, s.Access(name, 0), enoent)
		_, err = s.Open(name, unix.O_RDONLY, 0)
		is(t, "open "+name, err, enoent)
		_, err = s.Open(name, unix.O_PATH, 0)
		is(t, "open O_PATH "+name, err, enoent)
		_, err = s.Open(name, unix.O_RDWR, 0)
		is(t, "open for writing "+name, err, enoent)
		is(t, "truncate "+name, s.Truncate(name, 0), enoent)
		is(t, "chmod "+name, s.Chmod(name, 0o777, true), enoent)
		is(t, "link "+name, s.Link(name, "/tmp/stolen", true), enoent)
	}
	for _, name := range []string{"/private", "/private/secret", "/open/hidden", "/part/dir", "/rootfile"} {
		is(t, "rename "+name, s.Rename(name, "/tmp/stolen", 0), enoent)
		is(t, "rmdir "+name, s.Rmdir(name), enoent)
		is(t, "unlink "+name, s.Unlink(name), enoent)
		_, err := s.Lstat(name)
		is(t, "lstat "+name, err, enoent)
	}
	holds(t, s, "/open/file", "public")
	holds(t, s, "/part/shown/f", "public")
}

func TestHiddenNamesAreNotListed(t *testing.T) {
	s, _ := guarded(t)
	lists(t, s, "/", "open part tmp")
	lists(t, s, "/open", "d file")
	lists(t, s, "/part", "shown")
	one, _ := s.Stat("/open")
	two, _ := s.Stat("/open/d")
	if one.Nlink != two.Nlink {
		t.Errorf("the number of links tells of hidden directories: %d and %d", one.Nlink, two.Nlink)
	}
}

// A script that makes something of a hidden name gets its own file, and never the hidden one.
func TestMakingAHiddenNameMakesAnEmptyFile(t *testing.T) {
	s, root := guarded(t)
	before := fingerprint(t, root)
	ok(t, write(s, "/open/x.key", "mine", unix.O_CREAT|unix.O_APPEND))
	holds(t, s, "/open/x.key", "mine")
	ok(t, s.Mkdir("/open/hidden", 0o755))
	lists(t, s, "/open/hidden", "")
	_, err := s.Stat("/open/hidden/secret")
	is(t, "the hidden file in a made directory", err, enoent)
	ok(t, s.Mkdir("/private", 0o755))
	_, err = s.Stat("/private/secret")
	is(t, "the hidden file in a made directory", err, enoent)
	if fingerprint(t, root) != before {
		t.Error("the target changed")
	}
}

// Nothing that the script moves about in the view brings hidden files with it.
func TestMovingVisibleDirectoriesShowsNothingHidden(t *testing.T) {
	s, _ := guarded(t)
	ok(t, s.Mkdir("/open/fresh", 0o755))
	ok(t, s.Rename("/open/fresh", "/tmp/fresh", 0))
	is(t, "rename", s.Rename("/open", "/tmp/open", 0), syscall.EXDEV)
	ok(t, s.Symlink("/tmp/..", "/tmp/root"))
	_, err := s.Stat("/tmp/root/private/secret")
	is(t, "through the root", err, enoent)
	lists(t, s, "/tmp/root", "open part tmp")
}

func TestNothingEscapesFromScratch(t *testing.T) {
	s, root := over(t, "secret=real")
	ok(t, s.Symlink("../../../../../..", "/tmp/up"))
	ok(t, s.Symlink(root, "/tmp/abs"))
	holds(t, s, "/tmp/up/secret", "real") // the view's own root, and not the host's
	_, err := s.Stat("/tmp/abs/secret")
	is(t, "the real path of the base", err, enoent)
	_, err = s.Stat("/tmp/up/etc/hostname")
	is(t, "a file of the host", err, enoent)
	put(t, s, "/tmp/up/secret", "changed")
	data, err := os.ReadFile(filepath.Join(root, "secret"))
	if string(data) != "real" || err != nil {
		t.Errorf("the real file holds %q, %v", data, err)
	}
}

// The target's owner, or a command that runs there, may exchange a directory for a link to a hidden place at any
// moment. Whatever the moment, the script never reads the hidden file.
func TestALinkSwappedInByTheTargetIsNeverFollowedUnseen(t *testing.T) {
	s, root := guarded(t, "open/swap/secret=public", "open/one/secret=public", "open/two=public")
	stop, done := make(chan struct{}), sync.WaitGroup{}
	done.Go(func() {
		dir, file := filepath.Join(root, "open/swap"), filepath.Join(root, "open/two")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(dir, dir+".away")
			_ = os.Symlink("../private", dir)
			_ = os.Remove(dir)
			_ = os.Rename(dir+".away", dir)
			_ = os.Remove(file)
			_ = os.Symlink("../private/secret", file)
			_ = os.Remove(file)
			_ = os.WriteFile(file, []byte("public"), 0o600)
		}
	})
	for range 3000 {
		for _, name := range []string{"/open/swap/secret", "/open/two"} {
			if got, err := read(s, name); strings.Contains(got, "secret") {
				t.Errorf("%s gave the hidden content, %v", name, err)
			}
		}
		if got, _ := names(s, "/open/swap"); got != "" && got != "secret" {
			t.Errorf("listing %q", got)
		}
	}
	// Copying up goes the same way.
	for range 200 {
		if err := write(s, "/open/two", "", unix.O_APPEND); err == nil {
			if got, _ := read(s, "/open/two"); strings.Contains(got, "secret") {
				t.Errorf("copied up %q", got)
			}
			_ = s.Unlink("/open/two")
			break
		}
	}
	close(stop)
	done.Wait()
}

// A directory that the session remembers as such becomes a link to a visible one: the walk takes the link.
func TestAVisibleLinkInADirectorysPlaceIsFollowed(t *testing.T) {
	s, root := over(t, "a/f=1", "b/f=2")
	holds(t, s, "/a/f", "1")
	ok(t, os.RemoveAll(filepath.Join(root, "a")))
	ok(t, os.Symlink("b", filepath.Join(root, "a")))
	holds(t, s, "/a/f", "2")
	got, err := s.Canonical("/a/f")
	if got != "/b/f" || err != nil {
		t.Errorf("Canonical: %q, %v", got, err)
	}
}

// lying is a source whose every answer is an attack.
type lying struct{ text string }

func (l lying) Lstat(name string) (vfs.Info, error) {
	switch {
	case name == "/" || strings.HasSuffix(name, "d"):
		return vfs.Info{Mode: syscall.S_IFDIR | 0o755}, nil
	case strings.HasSuffix(name, "l"):
		return vfs.Info{Mode: syscall.S_IFLNK}, nil
	}
	return vfs.Info{Mode: ^uint32(0), Size: -1, Nlink: 1 << 63, Ino: 1}, nil
}

func (l lying) ReadDir(string) ([]vfs.Dirent, error) {
	return []vfs.Dirent{
		{Name: ""}, {Name: "."}, {Name: ".."}, {Name: "../../etc"}, {Name: "a/b"}, {Name: "a\x00b"},
		{Name: strings.Repeat("x", 256)}, {Name: "fine"},
	}, nil
}
func (l lying) Readlink(string) (string, error) { return l.text, nil }
func (l lying) Open(string, int) (int, error)   { return -1, os.ErrClosed }

func TestAHostileTargetCannotConfuseTheView(t *testing.T) {
	for text, want := range map[string]error{
		"": enoent, "a\x00b": enoent, strings.Repeat("x", 5000): syscall.ENAMETOOLONG, "l": syscall.ELOOP,
		"../../../../d/./l": syscall.ELOOP,
	} {
		s := session(t, vfs.Config{Base: lying{text}, Scratch: []string{"/tmp"}})
		_, err := s.Stat("/d/l")
		is(t, "stat of a link to "+text[:min(9, len(text))], err, want)
		lists(t, s, "/d", "fine")
		_, err = read(s, "/d/file")
		if err == nil {
			t.Error("read something")
		}
		_ = write(s, "/d/file", "x", 0)
		_ = s.Rename("/d/file", "/tmp/file", 0)
		_ = s.Rmdir("/d")
		_ = s.Changes()
	}
}

func TestConcurrentUseIsSafe(t *testing.T) {
	s, _ := over(t, "d/a=1", "d/b=2", "d/c=3")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 100 {
				name := "/d/" + string(rune('a'+(worker+i)%3))
				_ = write(s, name, "x", unix.O_APPEND)
				_, _ = read(s, name)
				_ = s.Rename(name, "/tmp/"+name[3:], 0)
				_ = s.Link("/tmp/"+name[3:], name, false)
				_, _ = names(s, "/d")
				_ = s.Unlink(name)
				_ = s.Used()
				_ = s.Changes()
				put(t, s, name, "again")
			}
		})
	}
	all.Wait()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzViewNeverPanicsAndNeverShowsSecrets(f *testing.F) {
	f.Add("/open/../private/secret", "../private", byte(3))
	f.Add("/tmp/l/secret", "/private", byte(5))
	f.Fuzz(func(t *testing.T, name, text string, op byte) {
		s, _ := guarded(t)
		_ = s.Symlink(text, "/tmp/l")
		_ = s.Symlink(text, "/open/d/l")
		switch op % 8 {
		case 0:
			_ = s.Mkdir(name, uint32(op))
		case 1:
			_ = s.Rename("/open/file", name, 0)
		case 2:
			_ = s.Rename(name, "/tmp/moved", 0)
		case 3:
			_ = s.Link(name, "/tmp/moved", true)
		case 4:
			_ = s.Chmod(name, 0, true)
		case 5:
			_ = s.Unlink(name)
		case 6:
			_ = s.Rmdir(name)
		case 7:
			_ = write(s, name, "x", unix.O_CREAT)
		}
		for _, n := range []string{name, "/tmp/l", "/tmp/moved", "/tmp/l" + name, "/open/d/l" + name} {
			if got, _ := read(s, n); strings.Contains(got, "secret") && !strings.Contains(text+name, "secret") {
				t.Errorf("read of %q gave %q", n, got)
			} else if got == "secret" {
				t.Errorf("read of %q gave the secret", n)
			}
		}
		_ = s.Changes()
	})
}

// between is a host where something happens after a file was judged and before it is opened.
type between struct {
	below
	happens func()
	looked  map[string]int
}

func (b *between) Lstat(name string) (vfs.Info, error) {
	b.looked[name]++
	return b.below.Lstat(name)
}

func (b *between) Open(string, int) (int, error) { return -1, syscall.ENOTSUP } // by name: again

func (b *between) OpenHeld(held int, name string, info vfs.Info, flags int) (int, error) {
	b.happens()
	return b.below.OpenHeld(held, name, info, flags)
}

// A name that is given to another file after it was judged opens the one that was.
func TestWhatWasJudgedIsOpened(t *testing.T) {
	root := tree(t, "shown/f=judged", "hidden/f=secret")
	b := &between{below: below{vfs.NewHost(), root}, looked: map[string]int{}}
	b.happens = func() {
		ok(t, os.Rename(root+"/shown/f", root+"/shown/old"))
		ok(t, os.Symlink(root+"/hidden/f", root+"/shown/f"))
	}
	s := session(t, vfs.Config{Base: b, Policy: policy(t, []string{"/shown"}, nil)})
	holds(t, s, "/shown/f", "judged")
	if n := b.looked["/shown/f"]; n > 0 {
		t.Errorf("the name was looked up %d times more", n)
	}
}

// Whatever comes of an open, nothing is held afterwards.
func TestOpensHoldNothing(t *testing.T) {
	root := tree(t, "d/f=1", "l->d/f", "gone->nowhere", "loop->loop", "dir->d", "here->.", "hidden/x=1")
	ok(t, unix.Mkfifo(root+"/fifo", 0o600))
	s := session(t, vfs.Config{Base: below{vfs.NewHost(), root}, Policy: policy(t, []string{"/"}, []string{"/hidden"}), MaxBytes: 1 << 20})
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		ok(t, err)
		return len(names)
	}
	var kept []int
	for range 2 {
		for _, name := range []string{"/d/f", "/l", "/l/", "/gone", "/loop", "/dir", "/dir/f", "/here/", "/here/d/f", "/fifo", "/hidden/x", "/none", "/d/f/x", "/d/."} {
			for _, flags := range []int{
				0, unix.O_DIRECTORY, unix.O_NOFOLLOW, unix.O_PATH, unix.O_PATH | unix.O_NOFOLLOW, unix.O_CREAT | unix.O_EXCL,
				unix.O_CREAT, unix.O_CREAT | unix.O_DIRECTORY, unix.O_ACCMODE,
			} {
				if f, err := s.Open(name, flags, 0o600); err == nil {
					ok(t, f.Close())
				}
			}
		}
		kept = append(kept, count())
	}
	if kept[0] != kept[1] {
		t.Errorf("%d descriptors became %d", kept[0], kept[1])
	}
}
