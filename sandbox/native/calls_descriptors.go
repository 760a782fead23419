//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
)

// fstat describes an open file. What the script made itself (pipes, sockets, event counters) is described by the
// kernel; a file of the view by the view, with the size that the descriptor has now.
func (d *descriptorCalls) fstat(n *seccomp.Notification, fd int32, out uint64) answer {
	h, e := d.handles.find(fd)
	if e != 0 {
		return failed(e)
	}
	st := h.st
	if h.file == nil {
		st.Uid, st.Gid = d.job.Host.UID, d.job.Host.GID
		return failed(d.proc.Write(n, out, seccomp.Bytes(&st)))
	}
	info, known := vfs.InfoOf(h.file, &st)
	if !known {
		var err error
		if info, err = h.file.Info(); err != nil {
			return failed(vfs.ErrnoOf(err))
		}
	}
	if info.IsRegular() && !h.byName {
		info.Size, info.Blocks = st.Size, st.Blocks
	}
	st = toStat(info)
	return failed(d.proc.Write(n, out, seccomp.Bytes(&st)))
}

func (d *descriptorCalls) fchmod(fd int32, mode uint32) answer {
	h, e := d.handles.usable(fd)
	if e != 0 {
		return failed(e)
	}
	if h.file == nil {
		return answer{} // a pipe of its own: nothing to protect
	}
	return outcome(h.file.Chmod(mode & 0o7777))
}

func (d *descriptorCalls) fchown(fd, uid, gid int32) answer {
	h, e := d.handles.usable(fd)
	if e != 0 {
		return failed(e)
	}
	if h.file == nil {
		return failed(unix.EPERM)
	}
	return outcome(h.file.Chown(int(uid), int(gid)))
}

func (d *descriptorCalls) fstatfs(n *seccomp.Notification, fd int32, out uint64) answer {
	h, e := d.handles.find(fd)
	if e != 0 {
		return failed(e)
	}
	if h.file != nil {
		if space, err := d.job.Space(h.file.Path()); err == nil {
			return d.putStatfs(n, out, space)
		}
	}
	return d.putStatfs(n, out, d.job.OwnSpace()) // a pipe, or a file that has no name any more
}

// fcntl answers what the filter does not let through: locks, and duplicates of streams.
func (c *lockCalls) fcntl(n *seccomp.Notification) answer {
	if cmd := int32(n.Args[1]); cmd == unix.F_DUPFD || cmd == unix.F_DUPFD_CLOEXEC {
		return c.streams.dup(n)
	}
	return c.lock(n)
}

// pretend answers a call on a descriptor that does nothing here: as the kernel answers one on what the descriptor is, a
// file, a device, a pipe or nothing at all.
func (d *descriptorCalls) pretend(n *seccomp.Notification, outcome func(mode uint32) unix.Errno) answer {
	h, e := d.handles.usable(int32(n.Args[0]))
	if e != 0 {
		return failed(e)
	}
	mode := h.st.Mode
	if h.dir {
		mode = unix.S_IFDIR // its descriptor is a placeholder
	}
	return failed(outcome(mode & unix.S_IFMT))
}

// syncFile answers fsync(2) and fdatasync(2): EINVAL for what cannot be synchronized.
func (d *descriptorCalls) syncFile(n *seccomp.Notification) answer {
	return d.pretend(n, func(mode uint32) unix.Errno {
		if mode != unix.S_IFREG && mode != unix.S_IFDIR {
			return unix.EINVAL
		}
		return 0
	})
}

// syncAll answers syncfs(2).
func (d *descriptorCalls) syncAll(n *seccomp.Notification) answer {
	return d.pretend(n, func(uint32) unix.Errno { return 0 })
}

// advise answers posix_fadvise(2).
func (d *descriptorCalls) advise(n *seccomp.Notification) answer {
	return d.pretend(n, func(mode uint32) unix.Errno {
		switch {
		case mode == unix.S_IFIFO:
			return unix.ESPIPE
		case int64(n.Args[2]) < 0 || uint32(n.Args[3]) > unix.FADV_NOREUSE: // #nosec G115 -- a length
			return unix.EINVAL
		}
		return 0
	})
}
