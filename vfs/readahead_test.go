//go:build linux

package vfs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// listed lists a tree, and compares each directory of it with what it is by itself. It returns the paths.
func listed(t *testing.T, s *vfs.Session, dir string, wish vfs.TreeWish, bound vfs.TreeBound, names ...string) (paths []string) {
	t.Helper()
	all, err := vfs.AheadOf(s).ListTree(dir, names, wish, &bound)
	if err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	for _, l := range all {
		paths = append(paths, l.Path)
		at := filepath.Join(dir, l.Path)
		if want, err := s.List(at); err != nil || !slices.Equal(l.Entries, want) {
			t.Errorf("%s has %v; by itself %v, %v", at, l.Entries, want, err)
		}
		lstat, stat := l.Lstat, l.Stat
		for _, e := range l.Entries {
			if wish.Files || e.Type == unix.S_IFDIR {
				if want, err := s.Lstat(at + "/" + e.Name); err != nil || timeless(lstat[0]) != timeless(want) {
					t.Errorf("%s/%s is described as %+v; by itself %+v, %v", at, e.Name, lstat[0], want, err)
				}
				lstat = lstat[1:]
			}
			if wish.Links && e.Type == unix.S_IFLNK {
				if want, err := s.Stat(at + "/" + e.Name); timeless(stat[0]) != timeless(want) { // both are nothing where it fails
					t.Errorf("%s/%s leads to %+v; by itself %+v, %v", at, e.Name, stat[0], want, err)
				}
				stat = stat[1:]
			}
		}
		if len(lstat) > 0 || len(stat) > 0 {
			t.Errorf("%s: %d and %d more are described than it has", at, len(lstat), len(stat))
		}
	}
	return paths
}

// timeless leaves out what looking at a file changes.
func timeless(info vfs.Info) vfs.Info {
	info.Atime = time.Time{}
	return info
}

var plenty = vfs.TreeBound{Directories: 1000, Entries: 1000}

func TestATreeIsToldAsEachDirectoryByItself(t *testing.T) {
	root := tree(t, "d/a/file=1", "d/a/sub/x=22", "d/a/sub/deep/y=3", "d/a/hidden/z=4", "d/a/secret=5", "d/b/link->file", "d/b/file=6", "d/b/chain->link", "d/b/up->../a/sub", "d/b/to-secret->../a/secret",
		"d/b/dangling->nothing", "d/b/loop->loop", "d/b/self->.", "d/b/absolute->/etc", "d/c->a", "d/file=7", "d/changed/below/f=8", "d/gone/f=9", "e/only/this=1", "e/only/file=2", "e/only/other/f=3", "e/f=4")
	for _, hide := range [][]string{nil, {root + "/d/a/hidden", root + "/d/a/secret", "**/nothing"}} {
		s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, []string{root + "/d", root + "/e/only/this"}, hide)})
		put(t, s, root+"/d/changed/below/new", "by the session")
		put(t, s, root+"/d/a/sub/deep/z", "by the session")
		ok(t, s.Unlink(root+"/d/gone/f"))
		// All below a directory in which the session has changed something is left out, since its own changes come first.
		want := []string{"b"}
		for _, wish := range []vfs.TreeWish{{}, {Files: true}, {Links: true}, {Files: true, Links: true}} {
			names := []string{"b", "c", "file", "changed", "gone", "a", "missing", "", ".", "..", "a/sub", "../e", "x\x00", strings.Repeat("n", 256)}
			if got := listed(t, s, root+"/d", wish, plenty, names...); !slices.Equal(got, want) {
				t.Errorf("listed %q, want %q", got, want)
			}
			got := listed(t, s, root+"/d/a", wish, plenty, "hidden", "sub")
			if want := []string{"hidden"}; hide == nil && !slices.Equal(got, want) || hide != nil && len(got) > 0 {
				t.Errorf("listed %q in a directory with changes", got)
			}
		}
		if got := listed(t, s, root, vfs.TreeWish{Files: true}, plenty, "e"); !slices.Equal(got, []string{"e", "e/only"}) {
			t.Errorf("listed %q on the way to what is visible", got)
		}
	}
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	if got, want := listed(t, s, root, vfs.TreeWish{Files: true, Links: true}, plenty, "d"), []string{"d", "d/a", "d/a/hidden", "d/a/sub", "d/a/sub/deep", "d/b", "d/changed", "d/changed/below", "d/gone"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	for _, bound := range []vfs.TreeBound{{Directories: 3, Entries: 1000}, {Directories: 1000, Entries: 12}} {
		if got, want := listed(t, s, root, vfs.TreeWish{}, bound, "d", "e"), []string{"d", "d/a", "d/a/hidden"}; !slices.Equal(got, want) {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
	for name, want := range map[string]error{"/d/file": unix.ENOTDIR, "/missing": unix.ENOENT, "/d/b/loop": unix.ELOOP} {
		_, err := vfs.AheadOf(s).ListTree(root+name, []string{"x"}, vfs.TreeWish{}, &vfs.TreeBound{Directories: 1, Entries: 1})
		is(t, name, err, want)
	}
	for _, dir := range []string{"/proc", "/proc/1", "/proc/self", "/sys"} {
		if all, err := vfs.AheadOf(s).ListTree(dir, []string{"task", "1", "fs", "self"}, vfs.TreeWish{}, &vfs.TreeBound{Directories: 9, Entries: 9}); len(all) > 0 || err != unix.EOPNOTSUPP && err != unix.ENOENT {
			t.Errorf("%s: %v, %v", dir, all, err)
		}
	}
	// No other file system is looked at on the way.
	if all, err := vfs.AheadOf(s).ListTree("/", []string{"proc", "sys"}, vfs.TreeWish{Files: true}, &vfs.TreeBound{Directories: 100, Entries: 1 << 20}); err != nil || len(all) > 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestSmallFilesAreReadAsTheirOpensWould(t *testing.T) {
	root := tree(t, "d/a=content", "d/empty=", "d/large="+strings.Repeat("x", 101), "d/most="+strings.Repeat("x", 100), "d/hidden=1", "d/link->a", "d/to-hidden->hidden", "d/loop->loop", "d/changed=2", "d/sub/x=3")
	ok(t, unix.Mkfifo(root+"/d/fifo", 0o600))
	var opened []string
	s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, []string{root, "/proc", "/dev"}, []string{root + "/d/hidden"}), Scratch: []string{"/var/tmp"}, Opened: func(name string) {
		opened = append(opened, strings.TrimPrefix(strings.Clone(name), root+"/d/"))
	}})
	put(t, s, root+"/d/changed", "by the session")
	put(t, s, "/var/tmp/x", "by the session")
	opened = nil
	for name, want := range map[string]string{"a": "content", "empty": "", "most": strings.Repeat("x", 100), "link": "content", "sub/x": "3", "sub/../a": "content"} {
		data, info, err := vfs.AheadOf(s).ReadSmall(root+"/d/"+name, 100)
		ok(t, err)
		now, err := s.Stat(root + "/d/" + name)
		ok(t, err)
		if string(data) != want || timeless(info) != timeless(now) {
			t.Errorf("%s has %q and is %+v, want %q and %+v", name, data, info, want, now)
		}
	}
	slices.Sort(opened)
	if want := []string{"a", "a", "a", "empty", "most", "sub/x"}; !slices.Equal(opened, want) {
		t.Errorf("opened %q, want %q", opened, want)
	}
	opened = nil
	for name, want := range map[string]error{"large": unix.EFBIG, "hidden": unix.ENOENT, "to-hidden": unix.ENOENT, "missing": unix.ENOENT, "loop": unix.ELOOP, "sub": unix.EOPNOTSUPP, "changed": unix.EOPNOTSUPP, "fifo": unix.EOPNOTSUPP,
		"a/": unix.ENOTDIR, "a/x": unix.ENOTDIR, "../../../../../../../../var/tmp/x": unix.EOPNOTSUPP, "../../../../../../../../dev/null": unix.EOPNOTSUPP} {
		_, _, err := vfs.AheadOf(s).ReadSmall(root+"/d/"+name, 100)
		is(t, name, err, want)
	}
	// Of what the kernel makes, what it makes at once, and nothing of the gateway's own process.
	data, _, err := vfs.AheadOf(s).ReadSmall("/proc/1/comm", 100)
	if want, failed := os.ReadFile("/proc/1/comm"); err != nil || failed != nil || string(data) != string(want) {
		t.Errorf("%q, %v; want %q, %v", data, err, want, failed)
	}
	for _, name := range []string{"/proc/1/cmdline", "/proc/1/maps", "/proc/kcore", "/proc/self/stat", "/proc/" + strconv.Itoa(os.Getpid()) + "/stat"} {
		if data, _, err := vfs.AheadOf(s).ReadSmall(name, 1<<20); err == nil {
			t.Errorf("%s has %q", name, data)
		}
	}
	if len(opened) != 1 {
		t.Errorf("opened %q", opened)
	}
}

// A file of which more is there than was said, as one that grows, is left to who opens it.
func TestAFileThatHasMoreThanItsSizeIsNotReadAhead(t *testing.T) {
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	for most := range 3 {
		_, _, err := vfs.AheadOf(s).ReadSmall("/proc/1/stat", 4*most)
		is(t, "more than it may have", err, unix.EFBIG)
	}
}
