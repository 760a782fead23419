//go:build linux

package vfs_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// TestAUnionStandsInFrontOfTheTarget lays an engine's tree over a directory of the target. It is never written to, and what
// it has no more is the target's again.
func TestAUnionStandsInFrontOfTheTarget(t *testing.T) {
	base := below{vfs.NewHost(), tree(t, "proc/1/comm=theirs", "proc/7/comm=theirs", "proc/stat=theirs", "tmp/")}
	policy, err := vfs.NewPolicy([]string{"/proc"}, []string{"/proc/*/secret"})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, vfs.Config{Base: base, Policy: policy, Scratch: []string{"/tmp"}})
	front := new(vfs.Static)
	front.AddFile("/7/comm", 0o444, []byte("ours"))
	front.AddFile("/7/secret", 0o444, []byte("ours"))
	front.AddLink("/self", "7")
	changing := &changingSource{Source: front}
	if err := s.Mount(vfs.Mount{Path: "/proc", Source: changing, Union: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(vfs.Mount{Path: "/proc", Source: front, Union: true}); err != unix.EBUSY {
		t.Errorf("mounted twice: %v", err)
	}
	for name, want := range map[string]string{
		"/proc/7/comm": "ours", "/proc/7/secret": "ours", "/proc/self/comm": "ours", "/proc/1/comm": "theirs", "/proc/stat": "theirs",
		"/proc/self/../stat": "theirs", "/proc/1/../self/secret": "ours",
	} {
		holds(t, s, name, want)
	}
	if got, err := s.Canonical("/proc/self/comm"); got != "/proc/7/comm" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	lists(t, s, "/proc", "1 7 self stat")

	for what, err := range map[string]error{
		"unlink": s.Unlink("/proc/self"), "rmdir": s.Rmdir("/proc/7"), "unlink inside": s.Unlink("/proc/7/comm"),
		"create inside": func() error { _, err := s.Open("/proc/7/new", unix.O_CREAT|unix.O_WRONLY, 0o600); return err }(),
		"chmod":         s.Chmod("/proc/7/comm", 0, true), "chown": s.Chown("/proc/7", 1, 1, true), "truncate": s.Truncate("/proc/7/comm", 0),
		"rename over":      func() error { _ = s.Symlink("x", "/tmp/l"); return s.Rename("/tmp/l", "/proc/self", 0) }(),
		"open for writing": func() error { _, err := s.Open("/proc/7/comm", unix.O_WRONLY, 0); return err }(),
	} {
		if err != unix.EROFS {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"rename": s.Rename("/proc/self", "/tmp/x", 0), "link": s.Link("/proc/7/comm", "/tmp/x", false), "rename dir": s.Rename("/proc/7", "/tmp/x", 0),
	} {
		if err != unix.EXDEV {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Mkdir("/proc/7", 0o755); err != unix.EEXIST {
		t.Errorf("mkdir: %v", err)
	}

	// What is open stays what it was.
	was, err := s.Open("/proc/7", unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = was.Close() })
	changing.gone = true
	holds(t, s, "/proc/7/comm", "theirs")
	lists(t, s, "/proc", "1 7 stat")
	if got, err := listing(was); err != nil || got != "" {
		t.Errorf("the open directory has %q, %v", got, err)
	}
}

// changingSource has nothing any more once gone is set.
type changingSource struct {
	vfs.Source
	gone bool
}

func (c *changingSource) Lstat(name string) (vfs.Info, error) {
	if c.gone && name != "/" {
		return vfs.Info{}, unix.ENOENT
	}
	return c.Source.Lstat(name)
}

func (c *changingSource) ReadDir(name string) ([]vfs.Dirent, error) {
	if c.gone {
		return nil, nil
	}
	return c.Source.ReadDir(name)
}
