package vfs

import (
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// withoutOpenat2 remembers that this kernel has no openat2(2) (before Linux 5.6, or a seccomp filter).
var withoutOpenat2 atomic.Bool

// OpenBeneath opens a clean absolute name below a directory's descriptor, never through a symbolic link in any of its
// components: ELOOP instead. flags are open(2)'s; O_PATH|O_NOFOLLOW opens a link as the last component itself. The
// descriptor is closed on exec.
func OpenBeneath(root int, name string, flags int) (int, error) {
	return openBeneath(root, name, flags)
}

// openBeneath opens a clean absolute name below a directory, never through a symbolic link: ELOOP instead. With
// O_PATH|O_NOFOLLOW a link as the last component is opened itself. flags are open(2)'s.
func openBeneath(root int, name string, flags int) (int, error) {
	rel := strings.TrimPrefix(name, "/")
	if rel == "" {
		rel = "."
	}
	if withoutOpenat2.Load() {
		return openSteps(root, rel, flags)
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOCTTY), // #nosec G115 -- flags of open(2)
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_PATH != 0 {
		how.Flags &^= unix.O_NOCTTY // openat2 takes no flag that means nothing
	}
	for range 16 {
		fd, err := unix.Openat2(root, rel, &how)
		switch err {
		case unix.EINTR, unix.EAGAIN: // EAGAIN: something was renamed while the kernel walked
			continue
		case unix.ENOSYS:
			withoutOpenat2.Store(true)
			return openSteps(root, rel, flags)
		case unix.EXDEV:
			return -1, unix.ELOOP
		}
		return fd, err
	}
	return -1, unix.EAGAIN
}

// openSteps is openBeneath for kernels without openat2: one component at a time, none of them followed.
func openSteps(root int, rel string, flags int) (int, error) {
	dir := root
	for {
		component, more, again := strings.Cut(rel, "/")
		if component == ".." {
			return leave(dir, root, unix.EINVAL)
		}
		step := unix.O_PATH | unix.O_NOFOLLOW
		if !again {
			step = flags | unix.O_NOFOLLOW
		} else {
			step |= unix.O_DIRECTORY
		}
		fd, err := openStep(dir, component, step)
		if err == unix.ENOTDIR && again {
			err = whyNotDirectory(dir, component)
		}
		if err != nil {
			return leave(dir, root, err)
		}
		if _, err := leave(dir, root, nil); err != nil {
			return -1, err
		}
		if !again {
			return fd, nil
		}
		dir, rel = fd, more
	}
}

func leave(dir, root int, err error) (int, error) {
	if dir != root {
		_ = unix.Close(dir)
	}
	return -1, err
}

func openStep(dir int, name string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// whyNotDirectory tells a link from a file: O_DIRECTORY|O_NOFOLLOW says ENOTDIR for both.
func whyNotDirectory(dir int, name string) error {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.ENOTDIR
}

// holdBeneath opens a file for its name alone, a link as a link, and describes it.
func holdBeneath(root int, name string) (held int, info Info, err error) {
	held, err = openBeneath(root, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return -1, Info{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(held, &st); err != nil {
		closeFD(held)
		return -1, Info{}, err
	}
	return held, infoOf(&st), nil
}

// lstatBeneath describes a file without following a link.
func lstatBeneath(root int, name string) (Info, error) {
	held, info, err := holdBeneath(root, name)
	if err == nil {
		closeFD(held)
	}
	return info, err
}

// readlinkBeneath returns a link's text. EINVAL for anything else.
func readlinkBeneath(root int, name string) (string, error) {
	fd, err := openBeneath(root, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", err
	}
	defer closeFD(fd)
	return readlinkHeld(fd)
}

// readlinkHeld is readlinkBeneath of a held file.
func readlinkHeld(fd int) (string, error) {
	buf := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(fd, "", buf)
	switch {
	case err == unix.ENOENT: // what readlinkat(2) with an empty path says of a file that is no link, and a link that leads nowhere
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return "", err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			return "", unix.EINVAL
		}
		return "", err
	case err != nil:
		return "", err
	case n == len(buf):
		return "", unix.ENAMETOOLONG
	}
	return string(buf[:n]), nil
}

// maxEntries bounds the listing of one directory.
const maxEntries = 1 << 20

// readDirBeneath lists a directory. EFBIG where it has more than maxEntries entries.
func readDirBeneath(root int, name string) ([]Dirent, error) {
	fd, err := openBeneath(root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	defer closeFD(fd)
	return readDirents(fd)
}

// readDirents is readDirBeneath of an open directory.
func readDirents(fd int) ([]Dirent, error) {
	buf := make([]byte, 32<<10)
	var out []Dirent
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n <= 0 {
			return out, nil
		}
		out = parseDirents(buf[:n], out)
		if len(out) > maxEntries {
			return nil, unix.EFBIG
		}
	}
}
