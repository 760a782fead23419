//go:build linux && (amd64 || arm64)

package pypy

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

// join does not clean: "a/.." means something where a is a link.
func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// pathAt reads a path argument and makes it absolute. ENOENT for an empty one.
func (d *driver) pathAt(dirfd int32, address uint64) (string, error) {
	name, err := d.wire.path(address)
	if err != nil {
		return "", err
	}
	return d.absolute(dirfd, name)
}

func (d *driver) absolute(dirfd int32, name string) (string, error) {
	switch {
	case name == "":
		return "", unix.ENOENT
	case name[0] == '/':
		return name, nil
	case dirfd == unix.AT_FDCWD:
		here, err := d.here()
		if err != nil {
			return "", err
		}
		return join(here, name), nil
	}
	dir, err := d.directory(dirfd)
	if err != nil {
		return "", err
	}
	return join(dir, name), nil
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
	return placeOf(x.file)
}

// placeOf is the path that an open directory has now: another may have its old name.
func placeOf(file vfs.File) (string, error) {
	if place, ok := file.(vfs.Place); ok {
		return place.Where()
	}
	return file.Path(), nil
}

// here is the working directory's path. ENOENT where it was removed.
func (d *driver) here() (string, error) {
	if d.dir == nil {
		return d.job.Dir, nil
	}
	return placeOf(d.dir)
}

// enter makes a directory the working directory.
func (d *driver) enter(name string) error {
	dir, err := d.job.FS.Open(name, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	if err := d.job.FS.Access(name, unix.X_OK); err != nil {
		_ = dir.Close()
		return err
	}
	if len(dir.Path()) >= maxPath {
		_ = dir.Close()
		return unix.ENAMETOOLONG
	}
	d.leave()
	d.dir = dir
	return nil
}

// leave closes the working directory.
func (d *driver) leave() {
	if d.dir != nil {
		_ = d.dir.Close()
	}
}

// pathsAt reads two path arguments in one round trip.
func (d *driver) pathsAt(dir1 int32, address1 uint64, dir2 int32, address2 uint64) (first, second string, err error) {
	names, err := d.wire.texts(maxPath, address1, address2)
	if err != nil {
		return "", "", err
	}
	if first, err = d.absolute(dir1, names[0]); err != nil {
		return "", "", err
	}
	second, err = d.absolute(dir2, names[1])
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
	} else if follow {
		info, err = d.job.FS.Stat(name)
	} else {
		info, err = d.job.FS.Lstat(name)
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
	here, err := d.here()
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
	return 0, d.enter(name)
}

// canonicalDirectory resolves a directory's name in the view. It never grows beyond what a path may have.
func (d *driver) canonicalDirectory(name string) (string, error) {
	dir, err := d.job.FS.Canonical(name)
	if err != nil {
		return "", err
	}
	info, err := d.job.FS.Stat(dir)
	switch {
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", unix.ENOTDIR
	case len(dir) >= maxPath:
		return "", unix.ENAMETOOLONG
	}
	return dir, nil
}

func (d *driver) fchdir(a []uint64) (int64, error) {
	dir, err := d.directory(i32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, d.enter(dir)
}

func (d *driver) mkdir(a []uint64) (int64, error)   { return d.mkdirIn(unix.AT_FDCWD, a[0], a[1]) }
func (d *driver) mkdirat(a []uint64) (int64, error) { return d.mkdirIn(i32(a[0]), a[1], a[2]) }

func (d *driver) mkdirIn(dirfd int32, address, mode uint64) (int64, error) {
	name, err := d.pathAt(dirfd, address)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Mkdir(name, uint32(mode)&0o7777&^d.umask) // #nosec G115 -- the low half
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
	if dir {
		return 0, d.job.FS.Rmdir(name)
	}
	return 0, d.job.FS.Unlink(name)
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
	name, err := d.absolute(dirfd, names[1])
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
	follow := i32(a[3])&unix.AT_SYMLINK_NOFOLLOW == 0
	info, err := d.job.FS.Lstat(name)
	if follow {
		info, err = d.job.FS.Stat(name)
	}
	if err != nil {
		return 0, err
	}
	atime, mtime, err := d.newTimes(a[2], info)
	if err != nil {
		return 0, err
	}
	return 0, d.job.FS.Utimes(name, atime, mtime, follow)
}

func (d *driver) futimens(a []uint64) (int64, error) {
	x, err := d.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	if x.file == nil {
		return 0, unix.EPERM
	}
	info, err := x.file.Info()
	if err != nil {
		return 0, err
	}
	atime, mtime, err := d.newTimes(a[1], info)
	if err != nil {
		return 0, err
	}
	return 0, x.file.Utimes(atime, mtime)
}

// newTimes reads two struct timespec, as utimensat(2) takes them; a null pointer means now.
func (d *driver) newTimes(address uint64, old vfs.Info) (atime, mtime time.Time, err error) {
	if address == 0 {
		now := d.now()
		return now, now, nil
	}
	var p [32]byte
	if err := d.wire.fetch(address, p[:]); err != nil {
		return atime, mtime, err
	}
	if atime, err = d.newTime(p[:16], old.Atime); err != nil {
		return atime, mtime, err
	}
	mtime, err = d.newTime(p[16:], old.Mtime)
	return atime, mtime, err
}

func (d *driver) newTime(p []byte, old time.Time) (time.Time, error) {
	seconds, nanoseconds := word(p, 0), word(p, 8)
	switch {
	case nanoseconds == unix.UTIME_NOW:
		return d.now(), nil
	case nanoseconds == unix.UTIME_OMIT:
		return old, nil
	case nanoseconds < 0 || nanoseconds >= int64(time.Second):
		return old, unix.EINVAL
	}
	return time.Unix(seconds, nanoseconds), nil
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
	old := d.umask
	d.umask = uint32(a[0]) & 0o777 // #nosec G115 -- the low half
	return int64(old), nil
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
