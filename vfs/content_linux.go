package vfs

import (
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// content is the bytes of a file that a session made: a memfd (memfd_create(2)), so that an engine can hand a
// descriptor to another process. Its size and times are the inode's own, because scripts write without asking.
type content struct{ fd int }

// held counts the descriptors that contents of all sessions keep open in this process.
var held atomic.Int64

// mostHeld leaves half of this process's descriptors to everything else.
var mostHeld = sync.OnceValue(func() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > 1<<32 {
		return 1 << 20
	}
	return int64(limit.Cur / 2)
})

// nearlyFull reports whether three quarters of what may be held are.
func nearlyFull() bool { return held.Load() > mostHeld()/4*3 }

// newContent makes an empty file. ENFILE where the sessions of this process hold too many.
func newContent() (*content, error) {
	if held.Add(1) > mostHeld() {
		held.Add(-1)
		return nil, unix.ENFILE
	}
	fd, err := memfd("overlay")
	if err != nil {
		held.Add(-1)
		return nil, err
	}
	// Nobody may seal it: a sealed file would not take writes that the view promised.
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL)
	return &content{fd: fd}, nil
}

// withoutNoExec remembers that this kernel does not know MFD_NOEXEC_SEAL (before Linux 6.3).
var withoutNoExec atomic.Bool

func memfd(name string) (int, error) {
	if !withoutNoExec.Load() {
		fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
		if err != unix.EINVAL {
			return fd, err
		}
		withoutNoExec.Store(true)
	}
	return unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
}

func (c *content) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
		held.Add(-1)
	}
}

// stat fills in what the inode knows.
func (c *content) stat(info *Info) error {
	var st unix.Stat_t
	if err := unix.Fstat(c.fd, &st); err != nil {
		return err
	}
	info.Size, info.Blocks = st.Size, st.Blocks
	info.Atime, info.Mtime, info.Ctime = fromTimespec(st.Atim), fromTimespec(st.Mtim), fromTimespec(st.Ctim)
	return nil
}

// bytes is what the content costs: its size, or the memory behind it where that is more.
func (c *content) bytes() int64 {
	var st unix.Stat_t
	if unix.Fstat(c.fd, &st) != nil {
		return 0
	}
	return max(st.Size, st.Blocks*512)
}

func (c *content) truncate(size int64) error { return unix.Ftruncate(c.fd, size) }

func (c *content) setTimes(atime, mtime time.Time) error {
	times := []unix.Timespec{toTimespec(atime), toTimespec(mtime)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, selfFD(c.fd), times, 0)
}

// descriptor opens the content anew: with its own position, access mode and O_APPEND.
func (c *content) descriptor(flags int) (int, error) {
	return Reopen(c.fd, flags&(unix.O_ACCMODE|unix.O_APPEND))
}

// Write appends at the position of the content's own descriptor, which nobody else uses.
func (c *content) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(c.fd, p[done:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.ErrShortWrite
		}
		done += n
	}
	return done, nil
}

func selfFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// Reopen makes a descriptor of the same file with a description of its own: position, access mode and status flags as
// open(2) takes them. It is closed on exec and never a controlling terminal.
func Reopen(fd, flags int) (int, error) {
	for {
		out, err := unix.Open(selfFD(fd), flags|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != unix.EINTR {
			return out, err
		}
	}
}

func closeFD(fd int) { _ = unix.Close(fd) }

// descriptorReader reads a descriptor from where it stands.
type descriptorReader int

func (d descriptorReader) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Sealed makes a read-only descriptor of bytes that nobody can change any more: a memfd (memfd_create(2)) of this name.
func Sealed(name string, data []byte) (int, error) {
	fd, err := memfd(name)
	if err != nil {
		return -1, err
	}
	c := content{fd: fd}
	defer closeFD(fd)
	if _, err := c.Write(data); err != nil {
		return -1, err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	return Reopen(fd, unix.O_RDONLY)
}

func fromTimespec(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }

func toTimespec(t time.Time) unix.Timespec {
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return unix.Timespec{}
	}
	return ts
}

func infoOf(st *unix.Stat_t) Info {
	return Info{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: st.Mode, Nlink: uint64(st.Nlink), UID: st.Uid, GID: st.Gid,
		Rdev: uint64(st.Rdev), Size: st.Size, Blocks: st.Blocks,
		Atime: fromTimespec(st.Atim), Mtime: fromTimespec(st.Mtim), Ctime: fromTimespec(st.Ctim),
	}
}
