//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
)

// A file of the view that is a stream (vfs.Stream) has no content on this host that a descriptor could lead to. The
// script gets a descriptor of an empty file of its size, which has a position and can be asked for its attributes, and
// its reads are answered here. So that reads of other files need not be asked about, the filter knows a stream by its
// number: one of the upper half, where few scripts get by themselves. A descriptor there that is no stream is passed on.

// streamBit is set in the numbers of streams, and of all descriptors from it up.
const streamBit = maxDescriptors / 2

// onStream is the condition that an argument is a descriptor in the upper half; -1 is none.
func onStream(arg int) []condition {
	return []condition{{Arg: arg, Mask: 1<<31 | streamBit, Values: []uint32{streamBit}}}
}

// streamOf is the stream that a file is, nil for any other.
func streamOf(file vfs.File) vfs.Stream {
	if s, ok := file.(vfs.Streamed); ok {
		return s.Stream()
	}
	return nil
}

// place gives the script a descriptor under a number of a stream. EMFILE where there is none left.
func (c *streamCalls) place(id uint64, fd int, cloexec bool) (int, unix.Errno) {
	limit := atMost(c.job.Limits.Files, maxDescriptors)
	for range max(0, limit-streamBit) {
		if c.next < streamBit || c.next >= limit {
			c.next = limit
		}
		c.next--
		taken, e := c.handles.grab(int32(c.next)) // #nosec G115 -- below maxDescriptors
		if e == 0 {
			_ = unix.Close(taken)
			continue
		}
		if e != unix.EBADF {
			return 0, e
		}
		return c.next, c.proc.Place(id, fd, c.next, cloexec)
	}
	return 0, unix.EMFILE
}

// at returns the stream that a descriptor of the script is, with a copy of the descriptor for the caller to close;
// nil without one where it is no stream.
func (c *streamCalls) at(fd int32) (vfs.Stream, int, unix.Errno) {
	own, h, e := c.handles.open(fd)
	if e != 0 {
		return nil, -1, e
	}
	s := streamOf(h.file)
	if s == nil {
		_ = unix.Close(own)
		return nil, -1, 0
	}
	return s, own, 0
}

// only answers a call on a stream, with a copy of its descriptor that do owns, and lets any other through.
func (c *streamCalls) only(fd int32, do func(own int) answer) answer {
	s, own, e := c.at(fd)
	switch {
	case e != 0:
		return failed(e)
	case s == nil:
		return answer{resume: true}
	}
	return do(own)
}

// refuse refuses a call that no stream can serve.
func (c *streamCalls) refuse(fd int32, refusal unix.Errno) answer {
	return c.only(fd, func(own int) answer {
		_ = unix.Close(own)
		return failed(refusal)
	})
}

// dup answers dup(2) and F_DUPFD: the copy has a number of a stream too, whatever the lowest is that is asked for.
func (c *streamCalls) dup(n *seccomp.Notification) answer {
	cloexec := seccomp.Name(n.Nr) == "fcntl" && int32(n.Args[1]) == unix.F_DUPFD_CLOEXEC
	return c.only(int32(n.Args[0]), func(own int) answer { return answer{inject: true, fd: own, cloexec: cloexec, stream: true} })
}

// copyOfLive makes an ordinary file of what a live stream says now, at the position of a descriptor that stands for it.
// EOPNOTSUPP for another stream.
func copyOfLive(file vfs.File, own int) (int, unix.Errno) {
	if !vfs.LiveStream(streamOf(file)) {
		return -1, unix.EOPNOTSUPP
	}
	at, err := unix.Seek(own, 0, unix.SEEK_CUR)
	if err != nil {
		return -1, vfs.ErrnoOf(err)
	}
	fd, err := file.Descriptor(unix.O_RDONLY)
	if err != nil {
		return -1, vfs.ErrnoOf(err)
	}
	if _, err := unix.Seek(fd, at, unix.SEEK_SET); err != nil {
		_ = unix.Close(fd)
		return -1, vfs.ErrnoOf(err)
	}
	return fd, 0
}

// placeCopy answers dup2(2) and dup3(2), which ask for a number that says nothing of a stream. Of a live one the number gets
// what it says now.
func (c *streamCalls) placeCopy(n *seccomp.Notification) answer {
	from, to := int32(n.Args[0]), int32(n.Args[1])
	own, h, e := c.handles.open(from)
	if e != 0 {
		return failed(e)
	}
	defer func() { _ = unix.Close(own) }()
	switch {
	case streamOf(h.file) == nil || from == to: // the kernel's answer is the same for any file then
		return answer{resume: true}
	case to < 0 || int(to) >= atMost(c.job.Limits.Files, maxDescriptors):
		return failed(unix.EBADF)
	}
	cloexec := false
	if seccomp.Name(n.Nr) == "dup3" {
		if n.Args[2]&^unix.O_CLOEXEC != 0 {
			return failed(unix.EINVAL)
		}
		cloexec = n.Args[2]&unix.O_CLOEXEC != 0
	}
	fd, e := copyOfLive(h.file, own)
	if e != 0 {
		return failed(e)
	}
	defer func() { _ = unix.Close(fd) }()
	if e := c.proc.Place(n.ID, fd, int(to), cloexec); e != 0 {
		return failed(e)
	}
	return answer{val: int64(to)}
}

// maxStreamRead bounds one read, in bytes. A read may always give fewer than asked for.
const maxStreamRead = 1 << 20

// read answers the reads. Of a vector the first buffer with room is filled.
func (c *streamCalls) read(n *seccomp.Notification) answer {
	s, own, e := c.at(int32(n.Args[0]))
	switch {
	case e != 0:
		return failed(e)
	case s == nil:
		return answer{resume: true}
	}
	defer func() { _ = unix.Close(own) }()
	addr, size, e := c.destination(n)
	if e != 0 || size == 0 {
		return failed(e)
	}
	offset, moves, e := offsetOf(n, own)
	if e != 0 {
		return failed(e)
	}
	buf := make([]byte, min(size, maxStreamRead))
	got, err := s.ReadAt(buf, offset)
	if got == 0 && err != nil && !errors.Is(err, io.EOF) {
		return failed(vfs.ErrnoOf(err))
	}
	if got > 0 {
		if e := c.proc.Write(n, addr, buf[:got]); e != 0 {
			return failed(e)
		}
	}
	if moves {
		if _, err := unix.Seek(own, offset+int64(got), unix.SEEK_SET); err != nil {
			return failed(vfs.ErrnoOf(err))
		}
	}
	return answer{val: int64(got)}
}

// maxVector is IOV_MAX, readv(2).
const maxVector = 1024

// destination is where a read is to put its bytes: its buffer, or the first one of its vector that has room.
func (c *streamCalls) destination(n *seccomp.Notification) (addr, size uint64, e unix.Errno) {
	switch seccomp.Name(n.Nr) {
	case "read", "pread64":
		return n.Args[1], n.Args[2], 0
	}
	count := n.Args[2]
	if count > maxVector {
		return 0, 0, unix.EINVAL
	}
	vector := make([]byte, 16*count) // struct iovec
	if e := c.proc.Read(n, n.Args[1], vector); e != 0 {
		return 0, 0, e
	}
	for ; len(vector) > 0; vector = vector[16:] {
		if size = binary.NativeEndian.Uint64(vector[8:]); size > 0 {
			return binary.NativeEndian.Uint64(vector), size, 0
		}
	}
	return 0, 0, 0
}

// offsetOf is where a read reads, and whether it moves the position.
func offsetOf(n *seccomp.Notification, own int) (offset int64, moves bool, e unix.Errno) {
	switch seccomp.Name(n.Nr) {
	case "pread64", "preadv", "preadv2":
		offset = int64(n.Args[3]) // #nosec G115 -- a negative one is refused below
		if offset >= 0 {
			return offset, false, 0
		}
		if offset != -1 || seccomp.Name(n.Nr) != "preadv2" { // which takes -1 for the position, preadv2(2)
			return 0, false, unix.EINVAL
		}
	}
	offset, err := unix.Seek(own, 0, unix.SEEK_CUR)
	if err != nil {
		return 0, false, vfs.ErrnoOf(err)
	}
	return offset, true, 0
}

// streamReader reads a stream in order from where the script stands, for a command.
type streamReader struct {
	s  vfs.Stream
	at int64
}

// Read implements io.Reader.
func (s *streamReader) Read(p []byte) (int, error) {
	n, err := s.s.ReadAt(p, s.at)
	s.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
