package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/targets/change"
	"shannot-gateway/vfs"
)

var _ targets.FileTarget = (*Local)(nil)

// beneath opens a path of this host without following a link.
func beneath(name string, flags int) (int, error) {
	if !targets.CleanPath(name) {
		return -1, unix.EINVAL
	}
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer closeFD(root)
	return vfs.OpenBeneath(root, name, flags)
}

func closeFD(fd int) { _ = unix.Close(fd) }

// as runs f with the account's rights over files. The kernel then decides on every open, rename, chmod and chown as for
// the account's own programs.
func (l *Local) as(f func() error) (err error) {
	if refused := l.rights.Do(func() { err = f() }); refused != nil {
		return refused
	}
	return err
}

// State describes what is at a path, as far as the account may know it: a content that it may not read has no hash.
func (l *Local) State(ctx context.Context, name string) (s *targets.State, err error) {
	err = l.as(func() error {
		s, err = stateAt(ctx, name)
		return err
	})
	return s, err
}

func stateAt(ctx context.Context, name string) (*targets.State, error) {
	if !targets.CleanPath(name) {
		return nil, unix.EINVAL
	}
	dir, err := beneath(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closeFD(dir)
	s, _, err := look(ctx, dir, path.Base(name), true)
	if err == unix.EACCES {
		s, _, err = look(ctx, dir, path.Base(name), false)
	}
	return s, err
}

func missing(err error) bool { return err == unix.ENOENT || err == unix.ENOTDIR }

// inode is a file's identity and what changes with its content. A renaming leaves it as it is.
type inode struct {
	dev, ino uint64
	size     int64
	mtime    time.Time
}

// look describes a name of a directory, nil where there is none. "/" is the base name of "/" itself.
func look(ctx context.Context, dir int, base string, hash bool) (*targets.State, inode, error) {
	if base == "/" {
		base = "."
	}
	fd, err := openat(dir, base, unix.O_PATH|unix.O_NOFOLLOW)
	if missing(err) {
		return nil, inode{}, nil
	}
	if err != nil {
		return nil, inode{}, err
	}
	defer closeFD(fd)
	s, i, err := describe(fd)
	if err != nil {
		return nil, i, err
	}
	switch {
	case s.IsLink():
		s.Link, err = readlink(fd)
	case s.IsRegular() && hash:
		s.SHA256, err = hashOf(ctx, fd)
		s.Hashed = err == nil
		if after, j, e := describe(fd); err == nil && (e != nil || i != j) {
			// It was written meanwhile: what was read is nobody's file.
			return nil, i, fmt.Errorf("%w: it is being written (%d bytes now)", targets.ErrConflict, sizeOf(after))
		}
	}
	return s, i, err
}

func sizeOf(s *targets.State) int64 {
	if s == nil {
		return 0
	}
	return s.Size
}

func describe(fd int) (*targets.State, inode, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, inode{}, err
	}
	mtime := time.Unix(st.Mtim.Unix())
	s := &targets.State{Mode: st.Mode, UID: st.Uid, GID: st.Gid, Mtime: mtime}
	if s.IsRegular() {
		s.Size = st.Size
	}
	return s, inode{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: mtime}, nil
}

func readlink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	switch {
	case err != nil:
		return "", err
	case n == len(buf):
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:n]), nil
}

// hashOf reads a regular file that is held by an O_PATH descriptor.
func hashOf(ctx context.Context, held int) (sum [sha256.Size]byte, err error) {
	f, err := reopen(held)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, targets.NewReader(ctx, f)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// reopen opens a held regular file for reading. A lease of another process does not hold us up.
func reopen(held int) (*os.File, error) {
	fd, err := vfs.Reopen(held, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "file"), nil // #nosec G115 -- a descriptor
}

// Content opens a regular file for reading, where the account may.
func (l *Local) Content(_ context.Context, name string) (in io.ReadCloser, s *targets.State, err error) {
	err = l.as(func() error {
		in, s, err = contentAt(name)
		return err
	})
	return in, s, err
}

func contentAt(name string) (io.ReadCloser, *targets.State, error) {
	held, err := beneath(name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return nil, nil, err
	}
	defer closeFD(held)
	s, _, err := describe(held)
	switch {
	case err != nil:
		return nil, nil, err
	case s.IsLink():
		return nil, nil, unix.ELOOP
	case !s.IsRegular():
		return nil, nil, unix.EINVAL
	}
	f, err := reopen(held)
	if err != nil {
		return nil, nil, err
	}
	return f, s, nil
}

// Apply makes one change. See targets.FileTarget.
func (l *Local) Apply(ctx context.Context, c targets.Change) error {
	if !c.Valid() {
		return unix.EINVAL
	}
	var fs *fileSystem
	err := l.as(func() (err error) {
		fs, err = newFileSystem(ctx, &c)
		return err
	})
	if err != nil {
		return err
	}
	defer fs.close()
	return change.Apply(ctx, fs, &c, l.as)
}

// directoryOf opens the directory that a path is in, to change names there. A directory that is gone, or is a link now,
// is a conflict: the human was shown another path.
func directoryOf(name string) (int, error) {
	fd, err := beneath(path.Dir(name), unix.O_RDONLY|unix.O_DIRECTORY)
	if err == unix.EACCES { // one that may be searched and not be listed; then nothing can be synced
		fd, err = beneath(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	}
	if missing(err) || err == unix.ELOOP {
		return -1, change.NoDirectory(path.Dir(name), err)
	}
	return fd, err
}

// Sweep removes the temporary files of a change that was interrupted, and puts back what it had taken away.
func (l *Local) Sweep(_ context.Context, id, name string) error {
	if !targets.ValidID(id) || !targets.CleanPath(name) {
		return unix.EINVAL
	}
	return l.as(func() error {
		dir, err := beneath(path.Dir(name), unix.O_RDONLY|unix.O_DIRECTORY)
		if missing(err) || err == unix.ELOOP {
			return nil
		}
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(dir), path.Dir(name)) // #nosec G115 -- a descriptor
		defer func() { _ = f.Close() }()
		names, err := f.Readdirnames(-1)
		var failed []error
		for _, n := range names {
			if !targets.IsTempName(n, id) {
				continue
			}
			sweep := discard
			if targets.IsTakenName(n, id) {
				sweep = func(dir int, base string) error {
					return unix.Renameat2(dir, base, dir, path.Base(name), unix.RENAME_NOREPLACE)
				}
			}
			if err := sweep(dir, n); err != nil && err != unix.EEXIST { // both are somebody's then, and stay
				failed = append(failed, fmt.Errorf("sweep %s: %w", n, err))
			}
		}
		return errors.Join(append(failed, err)...)
	})
}

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
