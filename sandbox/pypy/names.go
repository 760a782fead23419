//go:build linux && (amd64 || arm64)

package pypy

import (
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// pathAt reads a path argument and makes it absolute. ENOENT for an empty one.
func (d *driver) pathAt(dirfd int32, address uint64) (string, error) {
	name, err := d.wire.path(address)
	if err != nil {
		return "", err
	}
	return d.names.Absolute(dirfd, name)
}

// directory is the path that an open directory has now. ENOENT where it was removed.
func (d *driver) directory(fd int32) (string, error) {
	x, err := d.find(fd)
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

// pathsAt reads two path arguments in one round trip.
func (d *driver) pathsAt(dir1 int32, address1 uint64, dir2 int32, address2 uint64) (first, second string, err error) {
	names, err := d.wire.texts(maxPath, address1, address2)
	if err != nil {
		return "", "", err
	}
	if first, err = d.names.Absolute(dir1, names[0]); err != nil {
		return "", "", err
	}
	second, err = d.names.Absolute(dir2, names[1])
	return first, second, err
}

func (d *driver) stat(a []uint64) (int64, error)  { return d.statAt(unix.AT_FDCWD, a[0], a[1], true) }
func (d *driver) lstat(a []uint64) (int64, error) { return d.statAt(unix.AT_FDCWD, a[0], a[1], false) }

func (d *driver) fstatat(a []uint64) (int64, error) {
	return d.statAt(i32(a[0]), a[1], a[2], i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (d *driver) statAt(dirfd int32, address, out uint64, follow bool) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	var info vfs.Info
	if fd, ok := descriptorName(name); ok && d.descriptors[fd] != nil {
		info, err = d.info(d.descriptors[fd])
	} else {
		info, err = d.names.Info(name, follow)
	}
	if err != nil {
		return 0, err
	}
	return 0, d.wire.store(out, encodeStat(info))
}

func (d *driver) access(a []uint64) (int64, error) { return d.accessAt(unix.AT_FDCWD, a[0], a[1]) }

func (d *driver) faccessat(a []uint64) (int64, error) { return d.accessAt(i32(a[0]), a[1], a[2]) }

func (d *driver) accessAt(dirfd int32, address, mode uint64) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Access(name, uint32(mode)) // #nosec G115 -- the low half
}

func (d *driver) readlink(a []uint64) (int64, error) {
	return d.readlinkAt(unix.AT_FDCWD, a[0], a[1], a[2])
}

func (d *driver) readlinkat(a []uint64) (int64, error) {
	return d.readlinkAt(i32(a[0]), a[1], a[2], a[3])
}

func (d *driver) readlinkAt(dirfd int32, address, out, size uint64) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	text, err := "", error(nil)
	if fd, ok := descriptorName(name); ok && d.descriptors[fd] != nil && strings.HasPrefix(name, "/proc/") {
		text, err = d.descriptors[fd].name()
	} else {
		text, err = d.job.FS.Readlink(name)
	}
	if err != nil {
		return 0, err
	}
	if int64(size) <= 0 { // #nosec G115 -- looked at
		return 0, unix.EINVAL
	}
	text = text[:min(uint64(len(text)), size)]
	return int64(len(text)), d.wire.store(out, []byte(text))
}

// getcwd answers the address of the buffer that it fills, or NULL.
func (d *driver) getcwd(a []uint64) (int64, error) {
	here, err := d.names.Dir.Here()
	if err != nil {
		return 0, err
	}
	if uint64(len(here))+1 > a[1] {
		return 0, unix.ERANGE
	}
	return int64(a[0]), d.wire.store(a[0], append([]byte(here), 0)) // #nosec G115 -- an address
}

func (d *driver) chdir(a []uint64) (int64, error) {
	name, err := d.pathAt(unix.AT_FDCWD, a[0])
	if err != nil {
		return 0, err
	}
	return 0, d.names.Enter(name)
}

func (d *driver) fchdir(a []uint64) (int64, error) {
	dir, err := d.directory(i32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, d.names.Enter(dir)
}

func (d *driver) mkdir(a []uint64) (int64, error)   { return d.mkdirIn(unix.AT_FDCWD, a[0], a[1]) }
func (d *driver) mkdirat(a []uint64) (int64, error) { return d.mkdirIn(i32(a[0]), a[1], a[2]) }

func (d *driver) mkdirIn(dirfd int32, address, mode uint64) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Mkdir(name, d.names.Masked(uint32(mode))) // #nosec G115 -- the low half
}

func (d *driver) unlink(a []uint64) (int64, error) { return d.remove(unix.AT_FDCWD, a[0], false) }
func (d *driver) rmdir(a []uint64) (int64, error)  { return d.remove(unix.AT_FDCWD, a[0], true) }

func (d *driver) unlinkat(a []uint64) (int64, error) {
	return d.remove(i32(a[0]), a[1], i32(a[2])&unix.AT_REMOVEDIR != 0)
}

func (d *driver) remove(dirfd int32, address uint64, dir bool) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.names.Remove(name, dir)
}

func (d *driver) rename(a []uint64) (int64, error) {
	return d.renameIn(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1])
}

func (d *driver) renameat(a []uint64) (int64, error) {
	return d.renameIn(i32(a[0]), a[1], i32(a[2]), a[3])
}

func (d *driver) renameIn(dir1 int32, from uint64, dir2 int32, to uint64) (int64, error) {
	old, name, err := d.pathsAt(dir1, from, dir2, to)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Rename(old, name, 0)
}

func (d *driver) link(a []uint64) (int64, error) {
	return d.linkIn(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], false)
}

func (d *driver) linkat(a []uint64) (int64, error) {
	return d.linkIn(i32(a[0]), a[1], i32(a[2]), a[3], i32(a[4])&unix.AT_SYMLINK_FOLLOW != 0)
}

func (d *driver) linkIn(dir1 int32, from uint64, dir2 int32, to uint64, follow bool) (int64, error) {
	old, name, err := d.pathsAt(dir1, from, dir2, to)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Link(old, name, follow)
}

func (d *driver) symlink(a []uint64) (int64, error) { return d.symlinkIn(a[0], unix.AT_FDCWD, a[1]) }

func (d *driver) symlinkat(a []uint64) (int64, error) { return d.symlinkIn(a[0], i32(a[1]), a[2]) }

func (d *driver) symlinkIn(text uint64, dirfd int32, address uint64) (int64, error) {
	names, err := d.wire.texts(maxPath, text, address)
	if err != nil {
		return 0, err
	}
	name, err := d.names.Absolute(dirfd, names[1])
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Symlink(names[0], name)
}

func (d *driver) chmod(a []uint64) (int64, error) {
	return d.chmodAt(unix.AT_FDCWD, a[0], a[1], true)
}

func (d *driver) fchmodat(a []uint64) (int64, error) {
	return d.chmodAt(i32(a[0]), a[1], a[2], i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (d *driver) chmodAt(dirfd int32, address, mode uint64, follow bool) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Chmod(name, uint32(mode)&0o7777, follow) // #nosec G115 -- the low half
}

func (d *driver) fchmod(a []uint64) (int64, error) {
	x, err := d.find(i32(a[0]))
	if err != nil || x.file == nil {
		return 0, err // a pipe of its own: nothing to protect
	}
	return 0, x.file.Chmod(uint32(a[1]) & 0o7777) // #nosec G115 -- the low half
}

func (d *driver) chown(a []uint64) (int64, error) {
	return d.chownAt(unix.AT_FDCWD, a[0], a[1], a[2], true)
}

func (d *driver) lchown(a []uint64) (int64, error) {
	return d.chownAt(unix.AT_FDCWD, a[0], a[1], a[2], false)
}

func (d *driver) fchownat(a []uint64) (int64, error) {
	return d.chownAt(i32(a[0]), a[1], a[2], a[3], i32(a[4])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (d *driver) chownAt(dirfd int32, address, uid, gid uint64, follow bool) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Chown(name, int(i32(uid)), int(i32(gid)), follow)
}

func (d *driver) fchown(a []uint64) (int64, error) {
	x, err := d.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	if x.file == nil {
		return 0, unix.EPERM
	}
	return 0, x.file.Chown(int(i32(a[1])), int(i32(a[2])))
}

func (d *driver) utimensat(a []uint64) (int64, error) {
	name, err := d.pathAt(i32(a[0]), a[1])
	if err != nil {
		return 0, err
	}
	spec, err := d.newTimes(a[2])
	if err != nil {
		return 0, err
	}
	return 0, d.names.SetTimes(name, spec, d.now(), i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0)
}

func (d *driver) futimens(a []uint64) (int64, error) {
	x, err := d.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	spec, err := d.newTimes(a[1])
	if err != nil {
		return 0, err
	}
	return 0, posix.SetTimes(x.file, spec, d.now())
}

// newTimes reads two struct timespec, as utimensat(2) takes them; a null pointer means now.
func (d *driver) newTimes(address uint64) ([2]unix.Timespec, error) {
	spec := posix.Now()
	if address == 0 {
		return spec, nil
	}
	var p [32]byte
	if err := d.wire.fetch(address, p[:]); err != nil {
		return spec, err
	}
	for i := range spec {
		spec[i] = unix.Timespec{Sec: word(p[:], 16*i), Nsec: word(p[:], 16*i+8)}
	}
	return spec, nil
}

func (d *driver) statvfs(a []uint64) (int64, error) {
	name, err := d.pathAt(unix.AT_FDCWD, a[0])
	if err != nil {
		return 0, err
	}
	space, err := d.job.Space(name)
	if err != nil {
		return 0, err
	}
	return 0, d.wire.store(a[1], encodeStatvfs(space))
}

func (d *driver) fstatvfs(a []uint64) (int64, error) {
	x, err := d.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	space := d.job.OwnSpace()
	if x.file != nil {
		if its, err := d.job.Space(x.file.Path()); err == nil {
			space = its
		}
	}
	return 0, d.wire.store(a[1], encodeStatvfs(space))
}

func (d *driver) setUmask(a []uint64) (int64, error) {
	return int64(d.names.SetUmask(uint32(a[0]))), nil // #nosec G115 -- the low half
}

// pathconf knows the bounds of pathconf(3) that the view has.
func (d *driver) pathconf(a []uint64) (int64, error) {
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
