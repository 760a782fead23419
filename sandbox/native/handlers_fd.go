//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/supervisor"
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

// maxListing bounds one answer of getdents64(2), in bytes; glibc asks for 32 KiB.
const maxListing = 64 << 10

// getdents answers getdents64(2). The position of the placeholder counts entries.
func (d *directoryCalls) getdents(n *seccomp.Notification) answer {
	own, h, e := d.handles.openUsable(int32(n.Args[0]))
	if e != 0 {
		return failed(e)
	}
	defer func() { _ = unix.Close(own) }()
	if !h.dir {
		return failed(unix.ENOTDIR)
	}
	position, err := unix.Seek(own, 0, unix.SEEK_CUR)
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	if position == 0 || h.entries == nil {
		entries, err := h.file.ReadDir()
		if err != nil {
			return failed(vfs.ErrnoOf(err))
		}
		d.handles.files.list(h, entries)
	}
	room := int(min(n.Args[2], maxListing))
	out := make([]byte, 0, min(room, 40*len(h.entries))) // of names that are not long
	next := position
	for ; next >= 0 && next < int64(len(h.entries)); next++ {
		fitting := len(out)
		out = appendDirent(out, h.entries[next], next+1)
		if len(out) > room {
			if out = out[:fitting]; fitting == 0 {
				return failed(unix.EINVAL) // the buffer is too small, getdents(2)
			}
			break
		}
	}
	if len(out) == 0 {
		d.handles.files.list(h, nil)
		return answer{}
	}
	if e := d.proc.Write(n, n.Args[1], out); e != 0 {
		return failed(e)
	}
	if _, err := unix.Seek(own, next, unix.SEEK_SET); err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return answer{val: int64(len(out))}
}

// appendDirent encodes struct linux_dirent64, see getdents(2).
func appendDirent(b []byte, d vfs.Dirent, offset int64) []byte {
	const header = 19 // d_ino, d_off, d_reclen, d_type
	size := (header + len(d.Name) + 1 + 7) &^ 7
	begin := len(b)
	b = append(b, make([]byte, size)...)
	record := b[begin:]
	binary.NativeEndian.PutUint64(record, inodeNumber(d))
	binary.NativeEndian.PutUint64(record[8:], uint64(offset))
	binary.NativeEndian.PutUint16(record[16:], uint16(size))
	record[18] = byte(d.Type >> 12) // DT_* is S_IFMT shifted, dirent.h
	copy(record[header:], d.Name)
	return b
}

// inodeNumber is d_ino of an entry. 0 means a deleted entry to some readers.
func inodeNumber(d vfs.Dirent) uint64 { return max(d.Ino, 1) }

func (d *directoryCalls) fchdir(n *seccomp.Notification) answer {
	dir, err := d.handles.directory(int32(n.Args[0]))
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return outcome(d.names.Enter(dir))
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

// ioctl answers TIOCSPGRP of ioctl_tty(2): the only group that the terminal's session has is in the foreground already.
func (t *terminalCalls) ioctl(n *seccomp.Notification) answer {
	h, e := t.handles.usable(int32(n.Args[0]))
	switch {
	case e != 0:
		return failed(e)
	case !supervisor.IsTerminal(&h.st) || t.depth > 0: // a further interpreter has a session of its own
		return failed(unix.ENOTTY)
	}
	var group int32
	if e := t.proc.Read(n, n.Args[2], seccomp.Bytes(&group)); e != 0 {
		return failed(e)
	}
	if int(group) != t.proc.PID {
		return failed(unix.EPERM)
	}
	return answer{}
}
