//go:build linux

package vfs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// measured is a source whose file systems are as large as the name is long that it was asked about.
type measured struct{ below }

func (measured) Space(name string) (vfs.Space, error) {
	if name == "/hung" {
		return vfs.Space{}, unix.EAGAIN
	}
	return vfs.Space{Blocks: uint64(len(name))}, nil
}

// TestSpaceIsThatOfTheTarget asks for the file system of files that are the target's, changed, made and the session's own.
func TestSpaceIsThatOfTheTarget(t *testing.T) {
	base := measured{below{vfs.NewHost(), tree(t, "etc/conf=x", "etc/link->conf", "hidden/file=x", "hung=x", "mnt/")}}
	policy, err := vfs.NewPolicy([]string{"/etc", "/hung", "/mnt"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, vfs.Config{Base: base, Policy: policy, Scratch: []string{"/tmp", "/etc/scratch"}},
		vfs.Mount{Path: "/mnt/engine", Source: new(vfs.Static)})
	put(t, s, "/etc/new", "x")
	put(t, s, "/etc/conf", "changed")
	put(t, s, "/tmp/own", "x")
	put(t, s, "/etc/scratch/own", "x")
	for _, name := range []string{"/etc/dir", "/etc/dir/deep"} {
		if err := s.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const own = 0
	for _, c := range []struct {
		name   string
		blocks uint64 // own, or the length of the name that the source is asked about
		err    error
	}{
		{"/", 1, nil}, {"/etc", 4, nil}, {"/etc/conf", 4, nil}, {"/etc/link", 4, nil}, {"/etc/new", 4, nil}, {"/etc/dir/deep", 4, nil},
		{"/etc/dir/deep/../..", 4, nil}, {"/mnt", 4, nil}, {"/tmp", own, nil}, {"/tmp/own", own, nil}, {"/etc/scratch/own", own, nil},
		{"/mnt/engine", own, nil}, {"/hidden/file", own, unix.ENOENT}, {"/etc/none", own, unix.ENOENT}, {"/hung", own, unix.EAGAIN},
	} {
		space, ok, err := s.Space(c.name)
		if err != c.err || ok != (c.blocks != own) || space.Blocks != c.blocks {
			t.Errorf("%s: %d, %v, %v; want %d, %v", c.name, space.Blocks, ok, err, c.blocks, c.err)
		}
	}
	again := session(t, vfs.Config{Base: vfs.NewSnapshot(base, nil)})
	if space, ok, err := again.Space("/etc/conf"); !ok || err != nil || space.Blocks != 9 {
		t.Errorf("in a script that runs again: %+v, %v, %v", space, ok, err)
	}
	if _, ok, err := session(t, vfs.Config{Base: vfs.NewSnapshot(base.below, nil)}).Space("/etc"); ok || err != nil {
		t.Errorf("over a source that does not know: %v, %v", ok, err)
	}
	plain, _ := over(t, "etc/conf=x")
	if _, ok, err := plain.Space("/etc"); ok || err != nil {
		t.Errorf("a source that does not know: %v, %v", ok, err)
	}
	if space, ok, err := session(t, vfs.Config{Base: vfs.NewHost()}).Space("/proc"); !ok || err != nil || space.Type != unix.PROC_SUPER_MAGIC {
		t.Errorf("this host: %+v, %v, %v", space, ok, err)
	}
}
