//go:build linux

package vfs_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// all describes names of a directory at once, and compares that with one after the other. It returns the names that were left
// out.
func all(t *testing.T, s *vfs.Session, dir string, follow bool, names ...string) (left []string) {
	t.Helper()
	told := map[string]vfs.Info{}
	if err := s.LstatAll(dir, names, follow, func(i int, info vfs.Info) { told[names[i]] = info }); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	one := s.Lstat
	if follow {
		one = s.Stat
	}
	for _, name := range names {
		got, is := told[name]
		if !is {
			left = append(left, name)
		} else if want, err := one(dir + "/" + name); err != nil || got != want {
			t.Errorf("%s in %s is described as %+v; by itself %+v, %v", name, dir, got, want, err)
		}
	}
	return left
}

// Every name is described as by itself. What is hidden, what is not there, what the session has and what is no name is left out.
func TestManyFilesAreDescribedAsEachByItself(t *testing.T) {
	root := tree(t, "d/a=1", "d/b=22", "d/hidden=3", "d/link->a", "d/dangling->nothing", "d/to-hidden->hidden", "d/loop->loop", "d/sub/x=4", "d/changed=5", "d/gone=6", "e/only/this=7", "e/file=8")
	s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, []string{root + "/d", root + "/e/only/this", root + "/e/file/below"}, []string{root + "/d/hidden"})})
	put(t, s, root+"/d/changed", "by the session")
	put(t, s, root+"/d/new", "by the session")
	ok(t, s.Unlink(root+"/d/gone"))
	odd := []string{"", ".", "..", "sub/x", "../e", "a\x00", "/", strings.Repeat("n", 256)}
	names := append([]string{"a", "b", "hidden", "link", "dangling", "to-hidden", "loop", "sub", "changed", "gone", "new", "missing"}, odd...)
	if got, want := all(t, s, root+"/d", false, names...), append([]string{"hidden", "changed", "gone", "new", "missing"}, odd...); !slices.Equal(got, want) {
		t.Errorf("left out %q, want %q", got, want)
	}
	if got, want := all(t, s, root+"/d", true, names...), append([]string{"hidden", "dangling", "to-hidden", "loop", "changed", "gone", "new", "missing"}, odd...); !slices.Equal(got, want) {
		t.Errorf("left out %q, want %q", got, want)
	}
	// A directory on the way to something visible: it is shown, and what is no directory there is not.
	if got := all(t, s, root+"/e", false, "only", "file"); !slices.Equal(got, []string{"file"}) {
		t.Errorf("left out %q", got)
	}
	entries, err := s.List(root + "/d")
	ok(t, err)
	var listed []string
	for _, e := range entries {
		listed = append(listed, e.Name)
	}
	if want := []string{"a", "b", "changed", "dangling", "link", "loop", "new", "sub", "to-hidden"}; !slices.Equal(listed, want) {
		t.Errorf("listed %q, want %q", listed, want)
	}
	for name, want := range map[string]error{"/d/a": unix.ENOTDIR, "/d/missing": unix.ENOENT, "/d/hidden": unix.ENOENT, "/d/loop": unix.ELOOP} {
		_, err := s.List(root + name)
		is(t, "list "+name, err, want)
		is(t, "describe in "+name, s.LstatAll(root+name, []string{"x"}, false, func(int, vfs.Info) { t.Error("described") }), want)
	}
}

// A script makes a link of the target lead through long paths. Links are left out where those before them took long to follow.
func TestLinksThatTakeLongAreNotAllFollowedAtOnce(t *testing.T) {
	root := tree(t, "d/link->../way", "d/short->file", "d/file=1", "way=2")
	looked := 0
	s := session(t, vfs.Config{Base: vfs.NewHost()})
	s.SetMeter(func(components int) error { looked += components; return nil })
	ok(t, s.Unlink(root+"/way"))
	ok(t, s.Symlink(strings.Repeat("./", 2000)+"file", root+"/way"))
	put(t, s, root+"/file", "3")
	names := make([]string, 1000)
	for i := range names {
		names[i] = "link"
	}
	described := 0
	ok(t, s.LstatAll(root+"/d", names, true, func(int, vfs.Info) { described++ }))
	if described == 0 || described > 10 || looked > 20000 {
		t.Errorf("described %d of %d links, over %d components", described, len(names), looked)
	}
	for i := range names {
		names[i] = "short"
	}
	described = 0
	ok(t, s.LstatAll(root+"/d", names[:256], true, func(int, vfs.Info) { described++ }))
	if described != 256 {
		t.Errorf("described %d of 256 short links", described)
	}
}

// What is not of the target is described one by one, and so is /proc, of which no view has all.
func TestFilesThatAreDescribedOneByOne(t *testing.T) {
	root := tree(t, "lib/f=1")
	library, err := vfs.NewDir(root)
	ok(t, err)
	s := session(t, vfs.Config{Base: vfs.NewHost(), Scratch: []string{"/var/tmp"}}, vfs.Mount{Path: "/opt/engine", Source: library})
	for _, dir := range []string{"/proc", "/proc/1", "/proc/self", "/opt/engine", "/opt/engine/lib", "/var/tmp"} {
		err := s.LstatAll(dir, []string{"stat", "f"}, false, func(int, vfs.Info) { t.Error("described in " + dir) })
		if err != unix.EOPNOTSUPP && err != unix.ENOENT {
			t.Errorf("%s: %v", dir, err)
		}
	}
	_, err = s.List("/opt/engine/lib")
	is(t, "list a mount", err, unix.EOPNOTSUPP)
}

// An account is told what the kernel tells it.
func TestManyFilesAreDescribedByTheAccountsRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: there is no other account to be")
	}
	root := tree(t, "open/f=1", "closed/f=1", "listed/f=1")
	ok(t, os.Chmod(root, 0o755))
	ok(t, os.Chmod(root+"/closed", 0o700))
	ok(t, os.Chmod(root+"/listed", 0o744))
	for dir := root; dir != "/"; dir = dir[:max(1, strings.LastIndexByte(dir, '/'))] {
		st, err := os.Stat(dir)
		ok(t, err)
		if st.Mode()&0o001 == 0 {
			ok(t, os.Chmod(dir, st.Mode()|0o011))
		}
	}
	rights := vfs.NewRights(otherUID, otherGID, nil)
	look := func() {
		s := session(t, vfs.Config{Base: vfs.NewHostAs(rights)})
		for dir, want := range map[string]int{"/open": 0, "/listed": 1} {
			if left := all(t, s, root+dir, false, "f"); len(left) != want {
				t.Errorf("%s: left out %q", dir, left)
			}
		}
		_ = s.LstatAll(root+"/closed", []string{"f"}, false, func(int, vfs.Info) { t.Error("described in a closed directory") })
		_, err := s.List(root + "/closed")
		is(t, "list a closed directory", err, unix.EACCES)
		_, err = s.List(root + "/listed")
		is(t, "list", err, nil)
	}
	look()
	holding(t, rights, look)
}

// A script that runs again is told of files one by one where some are shown as they were.
func TestASnapshotDescribesManyFilesWhereNothingDiffers(t *testing.T) {
	root := tree(t, "d/a=1")
	p := vfs.NewSnapshot(vfs.NewHost(), map[string]*vfs.SnapshotFile{root + "/d/a": nil})
	s := session(t, vfs.Config{Base: p})
	is(t, "with a difference", s.LstatAll(root+"/d", []string{"a"}, false, func(int, vfs.Info) { t.Error("described") }), unix.EOPNOTSUPP)
	p.ReachAll()
	if left := all(t, s, root+"/d", false, "a"); left != nil {
		t.Errorf("left out %q", left)
	}
}
