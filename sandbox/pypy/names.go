//go:build linux && (amd64 || arm64)

package pypy

import (
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// at reads a path argument and makes it absolute. ENOENT for an empty one.
func (p *paths) at(dirfd int32, address uint64) (string, error) {
	name, err := p.wire.path(address)
	if err != nil {
		return "", err
	}
	return p.names.Absolute(dirfd, name)
}

// directory is the path that an open directory has now. ENOENT where it was removed.
func (t *descriptorTable) directory(fd int32) (string, error) {
	x, err := t.find(fd)
	if err != nil {
		return "", err
	}
	if x.kind != directory {
		return "", unix.ENOTDIR
	}
	info, err := x.file.Info()
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", unix.ENOTDIR
	}
	return posix.PlaceOf(x.file)
}

// both reads two path arguments in one round trip.
func (p *paths) both(dir1 int32, address1 uint64, dir2 int32, address2 uint64) (first, second string, err error) {
	names, err := p.wire.texts(maxPath, address1, address2)
	if err != nil {
		return "", "", err
	}
	if first, err = p.names.Absolute(dir1, names[0]); err != nil {
		return "", "", err
	}
	second, err = p.names.Absolute(dir2, names[1])
	return first, second, err
}

func (c *statCalls) stat(a []uint64) (int64, error) { return c.statAt(unix.AT_FDCWD, a[0], a[1], true) }
func (c *statCalls) lstat(a []uint64) (int64, error) {
	return c.statAt(unix.AT_FDCWD, a[0], a[1], false)
}

func (c *statCalls) fstatat(a []uint64) (int64, error) {
	return c.statAt(i32(a[0]), a[1], a[2], i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (c *statCalls) statAt(dirfd int32, address, out uint64, follow bool) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	var info vfs.Info
	if fd, ok := descriptorName(name); ok && c.descriptors[fd] != nil {
		info, err = c.info(c.descriptors[fd])
	} else {
		info, err = c.names.Info(name, follow)
	}
	if err != nil {
		return 0, err
	}
	return 0, c.wire.store(out, encodeStat(info))
}

func (c *statCalls) access(a []uint64) (int64, error) { return c.accessAt(unix.AT_FDCWD, a[0], a[1]) }

func (c *statCalls) faccessat(a []uint64) (int64, error) { return c.accessAt(i32(a[0]), a[1], a[2]) }

func (c *statCalls) accessAt(dirfd int32, address, mode uint64) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Access(name, uint32(mode)) // #nosec G115 -- the low half
}

func (c *statCalls) readlink(a []uint64) (int64, error) {
	return c.readlinkAt(unix.AT_FDCWD, a[0], a[1], a[2])
}

func (c *statCalls) readlinkat(a []uint64) (int64, error) {
	return c.readlinkAt(i32(a[0]), a[1], a[2], a[3])
}

func (c *statCalls) readlinkAt(dirfd int32, address, out, size uint64) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	text, err := "", error(nil)
	if fd, ok := descriptorName(name); ok && c.descriptors[fd] != nil && strings.HasPrefix(name, "/proc/") {
		text, err = c.descriptors[fd].name()
	} else {
		text, err = c.names.FS.Readlink(name)
	}
	if err != nil {
		return 0, err
	}
	if int64(size) <= 0 { // #nosec G115 -- looked at
		return 0, unix.EINVAL
	}
	text = text[:min(uint64(len(text)), size)]
	return int64(len(text)), c.wire.store(out, []byte(text))
}

// getcwd answers the address of the buffer that it fills, or NULL.
func (c *directoryCalls) getcwd(a []uint64) (int64, error) {
	here, err := c.names.Dir.Here()
	if err != nil {
		return 0, err
	}
	if uint64(len(here))+1 > a[1] {
		return 0, unix.ERANGE
	}
	return int64(a[0]), c.wire.store(a[0], append([]byte(here), 0)) // #nosec G115 -- an address
}

func (c *directoryCalls) chdir(a []uint64) (int64, error) {
	name, err := c.at(unix.AT_FDCWD, a[0])
	if err != nil {
		return 0, err
	}
	return 0, c.names.Enter(name)
}

func (c *directoryCalls) fchdir(a []uint64) (int64, error) {
	dir, err := c.directory(i32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, c.names.Enter(dir)
}

func (c *directoryCalls) mkdir(a []uint64) (int64, error) {
	return c.mkdirIn(unix.AT_FDCWD, a[0], a[1])
}
func (c *directoryCalls) mkdirat(a []uint64) (int64, error) { return c.mkdirIn(i32(a[0]), a[1], a[2]) }

func (c *directoryCalls) mkdirIn(dirfd int32, address, mode uint64) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Mkdir(name, c.names.Masked(uint32(mode))) // #nosec G115 -- the low half
}

func (c *nameCalls) unlink(a []uint64) (int64, error) { return c.remove(unix.AT_FDCWD, a[0], false) }
func (c *nameCalls) rmdir(a []uint64) (int64, error)  { return c.remove(unix.AT_FDCWD, a[0], true) }

func (c *nameCalls) unlinkat(a []uint64) (int64, error) {
	return c.remove(i32(a[0]), a[1], i32(a[2])&unix.AT_REMOVEDIR != 0)
}

func (c *nameCalls) remove(dirfd int32, address uint64, dir bool) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, c.names.Remove(name, dir)
}

func (c *nameCalls) rename(a []uint64) (int64, error) {
	return c.renameIn(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1])
}

func (c *nameCalls) renameat(a []uint64) (int64, error) {
	return c.renameIn(i32(a[0]), a[1], i32(a[2]), a[3])
}

func (c *nameCalls) renameIn(dir1 int32, from uint64, dir2 int32, to uint64) (int64, error) {
	old, name, err := c.both(dir1, from, dir2, to)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Rename(old, name, 0)
}

func (c *nameCalls) link(a []uint64) (int64, error) {
	return c.linkIn(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], false)
}

func (c *nameCalls) linkat(a []uint64) (int64, error) {
	return c.linkIn(i32(a[0]), a[1], i32(a[2]), a[3], i32(a[4])&unix.AT_SYMLINK_FOLLOW != 0)
}

func (c *nameCalls) linkIn(dir1 int32, from uint64, dir2 int32, to uint64, follow bool) (int64, error) {
	old, name, err := c.both(dir1, from, dir2, to)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Link(old, name, follow)
}

func (c *nameCalls) symlink(a []uint64) (int64, error) { return c.symlinkIn(a[0], unix.AT_FDCWD, a[1]) }

func (c *nameCalls) symlinkat(a []uint64) (int64, error) { return c.symlinkIn(a[0], i32(a[1]), a[2]) }

func (c *nameCalls) symlinkIn(text uint64, dirfd int32, address uint64) (int64, error) {
	names, err := c.wire.texts(maxPath, text, address)
	if err != nil {
		return 0, err
	}
	name, err := c.names.Absolute(dirfd, names[1])
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Symlink(names[0], name)
}

func (c *attributeCalls) chmod(a []uint64) (int64, error) {
	return c.chmodAt(unix.AT_FDCWD, a[0], a[1], true)
}

func (c *attributeCalls) fchmodat(a []uint64) (int64, error) {
	return c.chmodAt(i32(a[0]), a[1], a[2], i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (c *attributeCalls) chmodAt(dirfd int32, address, mode uint64, follow bool) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Chmod(name, uint32(mode)&0o7777, follow) // #nosec G115 -- the low half
}

func (c *attributeCalls) fchmod(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil || x.file == nil {
		return 0, err // a pipe of its own: nothing to protect
	}
	return 0, x.file.Chmod(uint32(a[1]) & 0o7777) // #nosec G115 -- the low half
}

func (c *attributeCalls) chown(a []uint64) (int64, error) {
	return c.chownAt(unix.AT_FDCWD, a[0], a[1], a[2], true)
}

func (c *attributeCalls) lchown(a []uint64) (int64, error) {
	return c.chownAt(unix.AT_FDCWD, a[0], a[1], a[2], false)
}

func (c *attributeCalls) fchownat(a []uint64) (int64, error) {
	return c.chownAt(i32(a[0]), a[1], a[2], a[3], i32(a[4])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (c *attributeCalls) chownAt(dirfd int32, address, uid, gid uint64, follow bool) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, c.names.FS.Chown(name, int(i32(uid)), int(i32(gid)), follow)
}

func (c *attributeCalls) fchown(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	if x.file == nil {
		return 0, unix.EPERM
	}
	return 0, x.file.Chown(int(i32(a[1])), int(i32(a[2])))
}

func (c *attributeCalls) utimensat(a []uint64) (int64, error) {
	name, err := c.at(i32(a[0]), a[1])
	if err != nil {
		return 0, err
	}
	spec, err := c.newTimes(a[2])
	if err != nil {
		return 0, err
	}
	return 0, c.names.SetTimes(name, spec, c.now(), i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (c *attributeCalls) futimens(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	spec, err := c.newTimes(a[1])
	if err != nil {
		return 0, err
	}
	return 0, posix.SetTimes(x.file, spec, c.now())
}

// newTimes reads two struct timespec, as utimensat(2) takes them; a null pointer means now.
func (c *attributeCalls) newTimes(address uint64) ([2]unix.Timespec, error) {
	spec := posix.Now()
	if address == 0 {
		return spec, nil
	}
	var p [32]byte
	if err := c.wire.fetch(address, p[:]); err != nil {
		return spec, err
	}
	for i := range spec {
		spec[i] = unix.Timespec{Sec: word(p[:], 16*i), Nsec: word(p[:], 16*i+8)}
	}
	return spec, nil
}

func (c *statCalls) statvfs(a []uint64) (int64, error) {
	name, err := c.at(unix.AT_FDCWD, a[0])
	if err != nil {
		return 0, err
	}
	space, err := c.job.Space(name)
	if err != nil {
		return 0, err
	}
	return 0, c.wire.store(a[1], encodeStatvfs(space))
}

func (c *statCalls) fstatvfs(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	space := c.job.OwnSpace()
	if x.file != nil {
		if its, err := c.job.Space(x.file.Path()); err == nil {
			space = its
		}
	}
	return 0, c.wire.store(a[1], encodeStatvfs(space))
}

func (c *directoryCalls) setUmask(a []uint64) (int64, error) {
	return int64(c.names.SetUmask(uint32(a[0]))), nil // #nosec G115 -- the low half
}

// pathconf knows the bounds of pathconf(3) that the view has.
func (c *statCalls) pathconf(a []uint64) (int64, error) {
	const linkMax, nameMax, pathMax, pipeBuf = 0, 3, 4, 5 // _PC_ numbers of glibc's confname.h
	switch i32(a[1]) {
	case linkMax:
		return 127, nil
	case nameMax:
		return 255, nil
	case pathMax, pipeBuf:
		return 4096, nil
	}
	return 0, unix.EINVAL
}
