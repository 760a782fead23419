//go:build linux

package vfs_test

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// TestAnOpenDirectoryKnowsWhereItIs renames and removes directories that are open, made by the session or the target's.
func TestAnOpenDirectoryKnowsWhereItIs(t *testing.T) {
	s, _ := over(t, "host/sub/file=x", "host/other/")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := func(name string) vfs.Place {
		t.Helper()
		f, err := s.Open(name, unix.O_DIRECTORY, 0)
		must(err)
		t.Cleanup(func() { _ = f.Close() })
		return f.(vfs.Place)
	}
	is := func(d vfs.Place, want string, wantErr error) {
		t.Helper()
		for range 2 { // the second answer may be a remembered one
			if got, err := d.Where(); got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s is at %q, %v; want %q, %v", d.Path(), got, err, want, wantErr)
			}
		}
	}
	must(s.Mkdir("/tmp/a", 0o755))
	must(s.Mkdir("/tmp/a/b", 0o755))
	a, b, sub, top := dir("/tmp/a"), dir("/tmp/a/b"), dir("/host/sub"), dir("/")
	is(a, "/tmp/a", nil)
	must(s.Rename("/tmp/a", "/host/moved", 0))
	is(a, "/host/moved", nil)
	is(b, "/host/moved/b", nil)
	is(sub, "/host/sub", nil)
	is(top, "/", nil)

	// Another directory under the old name is not the one that is open.
	must(s.Mkdir("/tmp/a", 0o755))
	is(a, "/host/moved", nil)
	must(s.Rmdir("/host/moved/b"))
	must(s.Mkdir("/host/moved/b", 0o755))
	is(b, "", unix.ENOENT)
	must(s.Rename("/host/moved", "/tmp/a", 0)) // over the empty one
	is(a, "/tmp/a", nil)

	// The same for a directory of the target, whether something was changed in it or not.
	must(s.Unlink("/host/sub/file"))
	is(sub, "/host/sub", nil)
	must(s.Rmdir("/host/sub"))
	is(sub, "", unix.ENOENT)
	must(s.Mkdir("/host/sub", 0o755))
	is(sub, "", unix.ENOENT)
	other := dir("/host/other")
	must(s.Rmdir("/host/other"))
	is(other, "", unix.ENOENT)

	must(s.Close())
	is(a, "", unix.EIO)
}
