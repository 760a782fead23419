//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
)

func (d *directoryCalls) getcwd(n *seccomp.Notification) answer {
	here, err := d.names.Dir.Here()
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	b := append([]byte(here), 0)
	if uint64(len(b)) > n.Args[1] {
		return failed(unix.ERANGE)
	}
	if e := d.proc.Write(n, n.Args[0], b); e != 0 {
		return failed(e)
	}
	return answer{val: int64(len(b))}
}

func (d *directoryCalls) chdir(n *seccomp.Notification) answer {
	name, e := d.path(n, unix.AT_FDCWD, n.Args[0])
	if e != 0 {
		return failed(e)
	}
	return outcome(d.names.Enter(d.toDirectory(name)))
}

func (d *directoryCalls) fchdir(n *seccomp.Notification) answer {
	dir, err := d.handles.directory(int32(n.Args[0]))
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return outcome(d.names.Enter(dir))
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
