//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
)

// The names in fd of a process's directory in /proc are links that lead to the open file itself, whatever their text says, see proc_pid_fd(5). The
// view has no such thing, so calls that are made on these names are answered here, from the descriptor.

// ownDescriptor reports whether a name is one of them, as scripts and the C library write it, or as the view does.
func (p *paths) ownDescriptor(name string) (int32, bool) {
	return posix.OwnDescriptor(name, func(id int) bool { return id == p.proc.PID || hasThread(p.proc, id) })
}

// throughDirectory is the name that leads through the descriptor of a directory, as /proc/self/fd/3/file does, and any other
// name itself.
func (p *paths) throughDirectory(name string) (string, unix.Errno) {
	const fd = "/fd/"
	at := strings.Index(name, fd)
	if at < 0 {
		return name, 0
	}
	end := strings.IndexByte(name[at+len(fd):], '/')
	if end < 0 {
		return name, 0
	}
	end += at + len(fd)
	number, own := p.ownDescriptor(name[:end])
	if !own {
		return name, 0
	}
	dir, err := p.handles.directory(number)
	switch {
	case err == unix.EBADF:
		return "", unix.ENOENT
	case err != nil:
		return "", vfs.ErrnoOf(err)
	}
	return posix.Join(dir, name[end+1:]), 0
}

// toDirectory is where the name of a directory's descriptor leads, and any other name itself. It is for calls that follow links.
func (p *paths) toDirectory(name string) string {
	if fd, own := p.ownDescriptor(name); own {
		if dir, err := p.handles.directory(fd); err == nil {
			return dir
		}
	}
	return name
}

// statLink answers stat(2) and lstat(2) of such a name.
func (d *descriptorCalls) statLink(n *seccomp.Notification, fd int32, out uint64, flags int) answer {
	if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
		a := d.fstat(n, fd, out)
		if a.errno == unix.EBADF {
			a.errno = unix.ENOENT
		}
		return a
	}
	own, e := d.handles.grab(fd)
	if e != 0 {
		return failed(unix.ENOENT)
	}
	defer func() { _ = unix.Close(own) }()
	mode, err := unix.FcntlInt(uintptr(own), unix.F_GETFL, 0)
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	info, err := d.processes.Lstat(fmt.Sprintf("/%d/fd/%d", d.proc.PID, fd))
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	const linkSize = 64 // what the kernel says of each
	allowed := map[int]uint32{unix.O_RDONLY: 0o500, unix.O_WRONLY: 0o300, unix.O_RDWR: 0o700}
	info.Mode, info.Size = unix.S_IFLNK|allowed[mode&unix.O_ACCMODE], linkSize
	st := toStat(info)
	return failed(d.proc.Write(n, out, seccomp.Bytes(&st)))
}

// readLink is the text of such a link: the path in the view, or what the kernel calls a pipe, socket or other object
// without a name.
func (d *descriptorCalls) readLink(fd int32) (string, error) {
	h, e := d.handles.find(fd)
	if e != 0 {
		return "", unix.ENOENT
	}
	if h.file != nil {
		text, removed := posix.PlaceOf(h.file)
		if info, err := h.file.Info(); removed != nil || err == nil && info.Nlink == 0 {
			text = h.file.Path() + " (deleted)"
		}
		return text, nil
	}
	text, err := "", error(nil)
	vfs.Apart(func() { text, err = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", d.proc.PID, fd)) })
	if err != nil {
		return "", err
	}
	for _, kind := range []string{"pipe:[", "socket:[", "anon_inode:"} {
		if strings.HasPrefix(text, kind) {
			return text, nil
		}
	}
	return "/dev/" + terminalDevice, nil // the script's own, which has another name on the host
}

// through changes the open file that such a name leads to.
func (d *descriptorCalls) through(fd int32, change func(vfs.File) error) answer {
	h, e := d.handles.find(fd)
	switch {
	case e != 0:
		return failed(unix.ENOENT)
	case h.file == nil:
		return failed(unix.EPERM)
	}
	return outcome(change(h.file))
}
