//go:build linux

package vfs_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func ops(changes []vfs.Change) string {
	var out []string
	for _, c := range changes {
		line := c.Op + " " + c.Path
		if c.Target != "" {
			line += "->" + c.Target
		}
		out = append(out, line)
	}
	return strings.Join(out, ", ")
}

func TestWhatWasRebasedIsNotListedAgain(t *testing.T) {
	s, _ := over(t, "etc/conf=old", "etc/gone=g", "etc/moved=m")
	put(t, s, "/etc/conf", "new")
	put(t, s, "/etc/made", "x")
	ok(t, s.Unlink("/etc/gone"))
	ok(t, s.Mkdir("/etc/dir", 0o755))
	ok(t, s.Rename("/etc/moved", "/etc/dir/moved", 0))
	s.Rebase(s.Changes()) // as in a plan: the target is what it was
	if got := ops(s.Changes()); got != "" {
		t.Fatalf("still to be done: %s", got)
	}
	holds(t, s, "/etc/conf", "new")
	lists(t, s, "/etc", "conf dir made")

	ok(t, s.Unlink("/etc/made"))
	put(t, s, "/etc/gone", "again")
	put(t, s, "/etc/conf", "newer")
	ok(t, s.Unlink("/etc/dir/moved"))
	ok(t, s.Rmdir("/etc/dir"))
	changes := s.Changes()
	if got, want := ops(changes), "write /etc/conf, delete /etc/dir/moved, rmdir /etc/dir, write /etc/gone, delete /etc/made"; got != want {
		t.Errorf("changes %s, want %s", got, want)
	}
	for _, c := range changes {
		switch {
		case c.Path == "/etc/gone" && c.Origin != nil:
			t.Error("a file that was removed has an origin")
		case c.Path == "/etc/conf" && (c.Origin == nil || c.Origin.Info.Size != 3 || !c.Origin.Hashed):
			t.Errorf("origin %+v", c.Origin)
		}
	}
	s.Rebase(changes)
	ok(t, s.Unlink("/etc/gone"))
	_, err := s.Stat("/etc/gone")
	is(t, "the target's old file", err, enoent)
}

func TestRefreshShowsWhatACommandDid(t *testing.T) {
	s, root := over(t, "etc/conf=old", "etc/log=l", "etc/dir/in=i", "etc/theirs=t")
	put(t, s, "/etc/conf", "new")
	put(t, s, "/etc/theirs", "mine")
	f, err := s.Open("/etc/log", unix.O_WRONLY|unix.O_APPEND, 0)
	ok(t, err)
	ok(t, s.Chmod("/etc/dir/in", 0o600, true))
	changes := s.Changes()
	for _, c := range changes {
		if c.Path != "/etc/theirs" {
			ok(t, commit(c, root))
		}
	}
	rebased := changes[:0:0]
	for _, c := range changes {
		if c.Path != "/etc/theirs" { // rejected
			rebased = append(rebased, c)
		}
	}
	s.Rebase(rebased)
	// The command.
	ok(t, os.WriteFile(root+"/etc/conf", []byte("by the command"), 0o600))
	ok(t, os.WriteFile(root+"/etc/born", []byte("b"), 0o600))
	ok(t, os.RemoveAll(root+"/etc/dir"))
	ok(t, os.WriteFile(root+"/etc/log", []byte("rotated"), 0o600))
	s.Refresh()
	holds(t, s, "/etc/conf", "by the command")
	holds(t, s, "/etc/born", "b")
	holds(t, s, "/etc/theirs", "mine")
	lists(t, s, "/etc", "born conf log theirs")
	holds(t, s, "/etc/log", "l") // a handle is open on it
	ok(t, f.Close())
	s.Refresh()
	holds(t, s, "/etc/log", "rotated")
	if got := ops(s.Changes()); got != "write /etc/theirs" {
		t.Errorf("changes %s", got)
	}
}

func TestScratchListsWhatIsNamed(t *testing.T) {
	s, _ := over(t, "etc/conf=old", "etc/link->/tmp/dir/b")
	put(t, s, "/tmp/a", "A")
	ok(t, s.Mkdir("/tmp/dir", 0o700))
	put(t, s, "/tmp/dir/b", "B")
	ok(t, s.Symlink("b", "/tmp/dir/l"))
	for name, want := range map[string]string{
		"/tmp/a":        "write /tmp/a",
		"/tmp/dir/b":    "mkdir /tmp/dir, write /tmp/dir/b",
		"/tmp/dir/l":    "mkdir /tmp/dir, symlink /tmp/dir/l->b, write /tmp/dir/b",
		"/tmp/dir/":     "mkdir /tmp/dir, write /tmp/dir/b, symlink /tmp/dir/l->b",
		"/tmp":          "write /tmp/a, mkdir /tmp/dir, write /tmp/dir/b, symlink /tmp/dir/l->b",
		"/etc/link":     "mkdir /tmp/dir, write /tmp/dir/b",
		"/etc/conf":     "",
		"/tmp/none":     "",
		"/":             "",
		"/tmp/../etc":   "",
		"/tmp/dir/../a": "write /tmp/a",
	} {
		got, err := s.Scratch(name)
		if err != nil || ops(got) != want {
			t.Errorf("%s: %s, %v; want %s", name, ops(got), err, want)
		}
	}
	for i := range 4100 {
		ok(t, s.Symlink("x", fmt.Sprintf("/tmp/%d", i)))
	}
	_, err := s.Scratch("/tmp")
	is(t, "too many", err, syscall.EFBIG)
}

func TestSnapshotShowsFilesAsTheyWere(t *testing.T) {
	root := tree(t, "etc/conf=new", "etc/made=m", "etc/dir/in=i", "etc/was-link=f", "etc/same=s")
	text := func(s string) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
	}
	p := vfs.NewSnapshot(below{vfs.NewHost(), root}, map[string]*vfs.SnapshotFile{
		"/etc/conf":       {Info: vfs.Info{Mode: syscall.S_IFREG | 0o600, Size: 3}, Content: text("old")},
		"/etc/made":       nil,
		"/etc/dir":        nil,
		"/etc/was-link":   {Info: vfs.Info{Mode: syscall.S_IFLNK | 0o777}, Target: "conf"},
		"/etc/gone":       {Info: vfs.Info{Mode: syscall.S_IFDIR | 0o750}},
		"/etc/gone/child": {Info: vfs.Info{Mode: syscall.S_IFREG | 0o644, Size: 1}, Content: text("c")},
	})
	s := session(t, vfs.Config{Base: p})
	lists(t, s, "/etc", "conf gone same was-link")
	lists(t, s, "/etc/gone", "child")
	holds(t, s, "/etc/conf", "old")
	holds(t, s, "/etc/was-link", "old")
	holds(t, s, "/etc/gone/child", "c")
	holds(t, s, "/etc/same", "s")
	for _, name := range []string{"/etc/made", "/etc/dir", "/etc/dir/in", "/etc/gone/none"} {
		_, err := s.Stat(name)
		is(t, name, err, enoent)
	}
	_, err := p.Lstat("/etc/conf/x")
	is(t, "below a file", err, syscall.ENOTDIR)
	_, err = p.Lstat("/etc/was-link/x")
	is(t, "below a link", err, syscall.ELOOP)
	if info, err := s.Stat("/etc/conf"); err != nil || info.Mode != syscall.S_IFREG|0o600 {
		t.Errorf("%+v, %v", info, err)
	}
	p.Reach("/etc/conf")
	s.Refresh()
	holds(t, s, "/etc/conf", "new")
	p.ReachAll()
	s.Refresh()
	lists(t, s, "/etc", "conf dir made same was-link")
	holds(t, s, "/etc/was-link", "f")
}
