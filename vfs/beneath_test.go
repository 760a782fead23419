//go:build linux

package vfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The way for kernels without openat2 must give the same answers as the one with it.
func TestBothWaysOfOpeningBeneathAgree(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "a/b"), 0o700), os.WriteFile(filepath.Join(dir, "a/b/f"), nil, 0o600),
		os.Symlink("a", filepath.Join(dir, "l")), os.Symlink("f", filepath.Join(dir, "a/b/m")),
		os.Symlink("/etc", filepath.Join(dir, "abs")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFD(root)
	for _, name := range []string{
		".", "a", "a/b", "a/b/f", "a/b/m", "l", "l/b", "abs/passwd", "a/b/f/x", "none", "none/x", "a/b/m/x",
	} {
		for _, flags := range []int{unix.O_PATH, unix.O_RDONLY, unix.O_RDONLY | unix.O_DIRECTORY} {
			flags |= unix.O_NOFOLLOW
			one, errOne := openBeneath(root, "/"+name, flags)
			two, errTwo := openSteps(root, name, flags)
			if errOne != errTwo && (errOne == nil || errTwo == nil || flags&unix.O_DIRECTORY == 0) {
				t.Errorf("%s, %#x: %v with openat2, %v without", name, flags, errOne, errTwo)
			}
			if errOne == nil && errTwo == nil {
				var a, b unix.Stat_t
				if unix.Fstat(one, &a) != nil || unix.Fstat(two, &b) != nil || a.Ino != b.Ino {
					t.Errorf("%s, %#x: different files", name, flags)
				}
			}
			for _, fd := range []int{one, two} {
				if fd >= 0 {
					closeFD(fd)
				}
			}
		}
	}
	if fd, err := openSteps(root, "a/../../x", unix.O_RDONLY); err == nil {
		closeFD(fd)
		t.Error("went up")
	}
}

func FuzzParseDirents(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x18\x00\x08abc\x00\x00"))
	f.Fuzz(func(t *testing.T, buf []byte) {
		for _, d := range parseDirents(buf, nil) {
			if d.Name == "" || d.Name == "." || d.Name == ".." {
				t.Errorf("entry %q", d.Name)
			}
		}
	})
}
