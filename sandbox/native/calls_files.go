//go:build linux && (amd64 || arm64)

package native

import (
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// open answers openat(2): a file becomes a descriptor of its content, a directory a placeholder whose number of the
// inode is remembered.
func (f *fileCalls) open(n *seccomp.Notification, dirfd int32, addr uint64, flags int, mode uint32) answer {
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	if flags&unix.O_TMPFILE == unix.O_TMPFILE {
		return failed(unix.EOPNOTSUPP) // tempfile falls back to a name
	}
	if !f.objects.mayOpen() {
		return failed(unix.ENFILE)
	}
	cloexec := flags&unix.O_CLOEXEC != 0
	if flags&unix.O_NOFOLLOW == 0 {
		name = f.toDirectory(name)
	} else if _, own := f.ownDescriptor(name); own && flags&unix.O_PATH == 0 {
		return failed(unix.ELOOP)
	}
	if flags&unix.O_PATH != 0 {
		flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW
		if _, own := f.ownDescriptor(name); own {
			flags &^= unix.O_PATH
		}
	}
	byName := flags&unix.O_PATH != 0
	flags &^= unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_ASYNC | unix.O_DIRECT
	file, err := f.names.FS.Open(name, flags, f.names.Masked(mode))
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	isDir, err := isDirectory(file, byName)
	if err != nil {
		_ = file.Close()
		return failed(vfs.ErrnoOf(err))
	}
	var fd int
	stream := streamOf(file)
	switch {
	case byName:
		fd, err = pathPlaceholder()
		stream = nil
	case isDir:
		fd, err = placeholder()
	case stream != nil:
		fd, err = vfs.Sparse("stream", stream.Size())
	default:
		fd, err = file.Descriptor(flags)
	}
	if err != nil {
		_ = file.Close()
		return failed(vfs.ErrnoOf(err))
	}
	if _, own := f.ownDescriptor(file.Path()); own {
		// A copy of what the script has already, and the supervisor knows.
		_ = file.Close()
	} else if e := f.handles.add(fd, &handle{file: file, dir: isDir, byName: byName}); e != 0 {
		_ = unix.Close(fd)
		_ = file.Close()
		return failed(e)
	}
	return answer{inject: true, fd: fd, cloexec: cloexec, stream: stream != nil}
}

// isDirectory tells an open directory, which has a place in the view, from a file, which has one where it was opened by name
// alone.
func isDirectory(file vfs.File, byName bool) (bool, error) {
	place, ok := file.(vfs.Place)
	if !ok || !byName {
		return ok, nil
	}
	info, err := place.Info()
	return info.IsDir(), err
}

// stat answers newfstatat(2) and its kin.
func (f *fileCalls) stat(n *seccomp.Notification, dirfd int32, addr, out uint64, flags int) answer {
	name, own, e := f.target(n, dirfd, addr, flags)
	if e != 0 {
		return failed(e)
	}
	if own {
		if dirfd != unix.AT_FDCWD {
			return f.descriptors.fstat(n, dirfd, out)
		}
		here, err := f.names.Dir.Here()
		if err != nil {
			return failed(vfs.ErrnoOf(err))
		}
		name = here
	}
	if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		name = throughDevice(name)
	}
	if fd, own := f.ownDescriptor(name); own {
		return f.descriptors.statLink(n, fd, out, flags)
	}
	info, err := f.names.Info(name, flags&unix.AT_SYMLINK_NOFOLLOW == 0)
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	st := toStat(info)
	return failed(f.proc.Write(n, out, seccomp.Bytes(&st)))
}

func toStat(i vfs.Info) unix.Stat_t {
	var st unix.Stat_t
	st.Dev, st.Ino, st.Mode = i.Dev, i.Ino, i.Mode
	st.Uid, st.Gid, st.Rdev = i.UID, i.GID, i.Rdev
	st.Size, st.Blocks = i.Size, i.Blocks
	st.Atim, st.Mtim, st.Ctim = toTimespec(i.Atime), toTimespec(i.Mtime), toTimespec(i.Ctime)
	setArch(&st, i.Nlink)
	return st
}

func toTimespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func (f *fileCalls) access(n *seccomp.Notification, dirfd int32, addr uint64, mode uint32, flags int) answer {
	name, empty, e := f.pathAt(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	if empty {
		return failed(unix.ENOENT)
	}
	if flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
		_, err := f.names.FS.Lstat(name)
		return outcome(err)
	}
	return outcome(f.names.FS.Access(name, mode&7))
}

func (f *fileCalls) readlink(n *seccomp.Notification, dirfd int32, addr, out uint64, size int32) answer {
	if size <= 0 {
		return failed(unix.EINVAL)
	}
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	text, err := "", error(nil)
	if fd, own := f.ownDescriptor(name); own {
		text, err = f.descriptors.readLink(fd)
	} else {
		text, err = f.names.FS.Readlink(name)
	}
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	b := []byte(text)
	if len(b) > int(size) {
		b = b[:size]
	}
	if e := f.proc.Write(n, out, b); e != 0 {
		return failed(e)
	}
	return answer{val: int64(len(b))}
}

func (f *fileCalls) mkdir(n *seccomp.Notification, dirfd int32, addr uint64, mode uint32) answer {
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.FS.Mkdir(name, f.names.Masked(mode)))
}

func (f *fileCalls) unlink(n *seccomp.Notification, dirfd int32, addr uint64, flags int) answer {
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.Remove(name, flags&unix.AT_REMOVEDIR != 0))
}

func (f *fileCalls) rename(n *seccomp.Notification, fromfd int32, from uint64, tofd int32, to uint64, flags uint32) answer {
	oldname, newname, e := f.both(n, fromfd, from, tofd, to)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.FS.Rename(oldname, newname, flags))
}

func (f *fileCalls) link(n *seccomp.Notification, fromfd int32, from uint64, tofd int32, to uint64, flags int) answer {
	oldname, newname, e := f.both(n, fromfd, from, tofd, to)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.FS.Link(oldname, newname, flags&unix.AT_SYMLINK_FOLLOW != 0))
}

func (f *fileCalls) symlink(n *seccomp.Notification, text uint64, dirfd int32, addr uint64) answer {
	target, e := f.proc.ReadPath(n, text)
	if e != 0 {
		return failed(e)
	}
	if target == "" {
		return failed(unix.ENOENT)
	}
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.FS.Symlink(target, name))
}

func (f *fileCalls) chmod(n *seccomp.Notification, dirfd int32, addr uint64, mode uint32, flags int) answer {
	name, own, e := f.target(n, dirfd, addr, flags)
	if e != 0 {
		return failed(e)
	}
	if own {
		return f.descriptors.fchmod(dirfd, mode)
	}
	if fd, own := f.ownDescriptor(name); own && flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		return f.descriptors.through(fd, func(f vfs.File) error { return f.Chmod(mode & 0o7777) })
	}
	return outcome(f.names.FS.Chmod(name, mode&0o7777, flags&unix.AT_SYMLINK_NOFOLLOW == 0))
}

func (f *fileCalls) chown(n *seccomp.Notification, dirfd int32, addr uint64, uid, gid int32, flags int) answer {
	name, own, e := f.target(n, dirfd, addr, flags)
	if e != 0 {
		return failed(e)
	}
	if own {
		return f.descriptors.fchown(dirfd, uid, gid)
	}
	if fd, own := f.ownDescriptor(name); own && flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		return f.descriptors.through(fd, func(f vfs.File) error { return f.Chown(int(uid), int(gid)) })
	}
	return outcome(f.names.FS.Chown(name, int(uid), int(gid), flags&unix.AT_SYMLINK_NOFOLLOW == 0))
}

// utimens answers utimensat(2), whose null path means the descriptor itself.
func (f *fileCalls) utimens(n *seccomp.Notification) answer {
	dirfd, addr, times, flags := int32(n.Args[0]), n.Args[1], n.Args[2], int(n.Args[3])
	spec := posix.Now()
	if times != 0 {
		if e := f.proc.Read(n, times, seccomp.Bytes(&spec)); e != 0 {
			return failed(e)
		}
	}
	if addr == 0 {
		h, e := f.handles.usable(dirfd)
		if e != 0 {
			return failed(e)
		}
		return outcome(posix.SetTimes(h.file, spec, time.Now()))
	}
	name, e := f.path(n, dirfd, addr)
	if e != 0 {
		return failed(e)
	}
	return outcome(f.names.SetTimes(name, spec, time.Now(), flags&unix.AT_SYMLINK_NOFOLLOW == 0))
}

func (f *fileCalls) truncate(n *seccomp.Notification) answer {
	name, e := f.path(n, unix.AT_FDCWD, n.Args[0])
	if e != 0 {
		return failed(e)
	}
	size := int64(n.Args[1])
	if size < 0 {
		return failed(unix.EINVAL)
	}
	return outcome(f.names.FS.Truncate(name, size))
}

func (f *fileCalls) statfs(n *seccomp.Notification, addr, out uint64) answer {
	name, e := f.path(n, unix.AT_FDCWD, addr)
	if e != 0 {
		return failed(e)
	}
	space, err := f.job.Space(name)
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return f.descriptors.putStatfs(n, out, space)
}

func (d *descriptorCalls) putStatfs(n *seccomp.Notification, out uint64, space vfs.Space) answer {
	const valid = 0x20 // ST_VALID of linux/statfs.h, which the C library takes for granted
	var fs unix.Statfs_t
	fs.Type, fs.Flags, fs.Bsize, fs.Frsize, fs.Namelen = space.Type, space.Flags|valid, space.BlockSize, space.FragmentSize, space.MaxName
	fs.Blocks, fs.Bfree, fs.Bavail, fs.Files, fs.Ffree = space.Blocks, space.Free, space.Available, space.Files, space.FreeFiles
	return failed(d.proc.Write(n, out, seccomp.Bytes(&fs)))
}
