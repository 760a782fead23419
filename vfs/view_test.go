//go:build linux

package vfs_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// below is a host source whose root is a directory of the host, as a chroot would have it.
type below struct {
	host vfs.Source
	root string
}

func (b below) at(name string) string { return strings.TrimSuffix(b.root+name, "/") }

func (b below) Lstat(name string) (vfs.Info, error)       { return b.host.Lstat(b.at(name)) }
func (b below) ReadDir(name string) ([]vfs.Dirent, error) { return b.host.ReadDir(b.at(name)) }
func (b below) Readlink(name string) (string, error)      { return b.host.Readlink(b.at(name)) }
func (b below) Open(name string, flags int) (int, error)  { return b.host.Open(b.at(name), flags) }

// holder is a host, which keeps hold of what is judged.
type holder interface {
	Hold(name string) (int, vfs.Info, error)
	MayList(held int, name string) error
	OpenHeld(held int, name string, info vfs.Info, flags int) (int, error)
}

func (b below) Hold(name string) (int, vfs.Info, error) { return b.host.(holder).Hold(b.at(name)) }
func (b below) MayList(held int, name string) error     { return b.host.(holder).MayList(held, b.at(name)) }
func (b below) OpenHeld(held int, name string, info vfs.Info, flags int) (int, error) {
	return b.host.(holder).OpenHeld(held, b.at(name), info, flags)
}

// tree makes a real tree: "dir/", "file=content", "link->text".
func tree(t testing.TB, lines ...string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if err := plant(root, line); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func plant(root, line string) error {
	if name, text, ok := strings.Cut(line, "->"); ok {
		full := filepath.Join(root, name)
		return errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.Symlink(text, full))
	}
	if name, content, ok := strings.Cut(line, "="); ok {
		full := filepath.Join(root, name)
		return errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644))
	}
	return os.MkdirAll(filepath.Join(root, line), 0o755)
}

func session(t testing.TB, c vfs.Config, mounts ...vfs.Mount) *vfs.Session {
	t.Helper()
	s, err := vfs.NewSession(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, m := range mounts {
		if err := s.Mount(m); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// over is a session over a real tree, with /tmp as scratch.
func over(t testing.TB, lines ...string) (*vfs.Session, string) {
	t.Helper()
	root := tree(t, lines...)
	return session(t, vfs.Config{Base: below{vfs.NewHost(), root}, Scratch: []string{"/tmp"}}), root
}

func policy(t testing.TB, read, hide []string) *vfs.Policy {
	t.Helper()
	p, err := vfs.NewPolicy(read, hide)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func is(t testing.TB, what string, got, want error) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// descriptor opens a file of the view.
func descriptor(s *vfs.Session, name string, flags int) (int, error) {
	f, err := s.Open(name, flags, 0o644)
	if err != nil {
		return -1, err
	}
	defer func() { _ = f.Close() }()
	return f.Descriptor(flags)
}

func readAll(fd int) (string, error) {
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return "", err
		}
		if n == 0 {
			return out.String(), nil
		}
		out.Write(buf[:n])
	}
}

func read(s *vfs.Session, name string) (string, error) {
	fd, err := descriptor(s, name, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	return readAll(fd)
}

func write(s *vfs.Session, name, text string, flags int) error {
	fd, err := descriptor(s, name, unix.O_WRONLY|flags)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, []byte(text))
	return err
}

func put(t testing.TB, s *vfs.Session, name, text string) {
	t.Helper()
	if err := write(s, name, text, unix.O_CREAT|unix.O_TRUNC); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
}

func holds(t testing.TB, s *vfs.Session, name, want string) {
	t.Helper()
	if got, err := read(s, name); err != nil || got != want {
		t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
	}
}

func names(s *vfs.Session, dir string) (string, error) {
	f, err := s.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return listing(f)
}

func listing(f vfs.File) (string, error) {
	entries, err := f.ReadDir()
	if err != nil {
		return "", err
	}
	var out []string
	for i, e := range entries {
		if i < 2 {
			if e.Name != [2]string{".", ".."}[i] {
				return "", fmt.Errorf("entry %d is %q", i, e.Name)
			}
			continue
		}
		out = append(out, e.Name)
	}
	sort.Strings(out)
	return strings.Join(out, " "), nil
}

func lists(t testing.TB, s *vfs.Session, dir, want string) {
	t.Helper()
	if got, err := names(s, dir); err != nil || got != want {
		t.Errorf("%s lists %q, %v; want %q", dir, got, err, want)
	}
}

// fingerprint describes a real tree completely: names, modes, owners, times of change, contents.
func fingerprint(t testing.TB, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		fmt.Fprintln(&out, name, st.Ino, st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Mtim, st.Ctim)
		if d.Type().IsRegular() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%x\n", sha256.Sum256(data))
		}
		if d.Type()&fs.ModeSymlink != 0 {
			text, _ := os.Readlink(name)
			fmt.Fprintln(&out, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var epoch = time.Unix(1_000_000_000, 0)

const (
	enoent = syscall.ENOENT
	eexist = syscall.EEXIST
)
