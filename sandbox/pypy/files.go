//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func le32(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
func le64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func (c *openCalls) open(a []uint64) (int64, error) {
	return c.openAt(unix.AT_FDCWD, a[0], int(i32(a[1])), uint32(a[2])) // #nosec G115 -- the low half
}

func (c *openCalls) openat(a []uint64) (int64, error) {
	return c.openAt(i32(a[0]), a[1], int(i32(a[2])), uint32(a[3])) // #nosec G115 -- the low half
}

func (c *openCalls) openAt(dirfd int32, address uint64, flags int, mode uint32) (int64, error) {
	name, err := c.at(dirfd, address)
	if err != nil {
		return 0, err
	}
	if fd, ok := descriptorName(name); ok {
		return c.reopen(fd, flags)
	}
	if _, err := c.free(0); err != nil {
		return 0, err
	}
	file, err := c.names.FS.Open(name, flags, c.names.Masked(mode))
	if err != nil {
		return 0, err
	}
	x, err := c.describe(file, flags)
	if err != nil {
		_ = file.Close()
		return 0, err
	}
	return c.add(x)
}

// reopen gives the script another descriptor for one that it has, in no mode that it does not have.
func (c *openCalls) reopen(fd int32, flags int) (int64, error) {
	x, err := c.find(fd)
	if err != nil {
		return 0, unix.ENOENT
	}
	want := flags & unix.O_ACCMODE
	if want != unix.O_WRONLY && !x.readable() || want != unix.O_RDONLY && !x.writable() {
		return 0, unix.EACCES
	}
	return c.duplicate(fd, 0)
}

// describe makes a description of a file of the view.
func (c *openCalls) describe(file vfs.File, flags int) (*description, error) {
	info, err := file.Info()
	if err != nil {
		return nil, err
	}
	if info.IsDir() || flags&unix.O_PATH != 0 {
		return &description{kind: directory, file: file, flags: flags & unix.O_PATH, fd: -1}, nil
	}
	if file.Path() == guestPath {
		if c.links >= maxLinks {
			return nil, unix.EMFILE
		}
		_ = file.Close()
		c.links++
		return &description{kind: link, link: &guestLink{}, flags: unix.O_RDWR, fd: -1}, nil
	}
	if s, ok := file.(vfs.Streamed); ok && s.Stream() != nil {
		return &description{kind: distant, file: file, pieces: &pieces{s.Stream(), 0}, flags: flags, fd: -1}, nil
	}
	fd, err := file.Descriptor(flags)
	if err != nil {
		return nil, err
	}
	return &description{kind: content, file: file, fd: fd, flags: flags}, nil
}

// pieces is a file that comes piece by piece, with the position of a description.
type pieces struct {
	stream vfs.Stream
	at     int64
}

// readAt is pread(2). What fails in a way that is no errno is an I/O error.
func (f *pieces) readAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, unix.EINVAL
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.stream.ReadAt(p, offset)
	if n > 0 || err == nil || errors.Is(err, io.EOF) {
		return n, nil
	}
	return 0, vfs.ErrnoOf(err)
}

func (f *pieces) read(p []byte) (int, error) {
	n, err := f.readAt(p, f.at)
	f.at += int64(n)
	return n, err
}

// Read implements io.Reader.
func (f *pieces) Read(p []byte) (int, error) {
	n, err := f.read(p)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Close leaves the stream to its file.
func (f *pieces) Close() error { return nil }

// seek is lseek(2).
func (f *pieces) seek(offset int64, whence int32) (int64, error) {
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		offset += f.at
	case unix.SEEK_END:
		offset += f.stream.Size()
	default:
		return 0, unix.EINVAL
	}
	if offset < 0 {
		return 0, unix.EINVAL
	}
	f.at = offset
	return offset, nil
}

// amount bounds what one read or write moves. EINVAL for a negative size, as read(2).
func amount(word uint64) (int, error) {
	if int64(word) < 0 { // #nosec G115 -- looked at
		return 0, unix.EINVAL
	}
	return int(min(word, maxBlock)), nil // #nosec G115 -- at most maxBlock
}

func (c *contentCalls) read(a []uint64) (int64, error) {
	x, size, err := c.transfer(a, (*description).readable)
	if err != nil {
		return 0, err
	}
	var n int
	switch p := c.block[:size]; x.kind {
	case content:
		n, err = retry(func() (int, error) { return unix.Read(x.fd, p) })
	case distant:
		n, err = x.pieces.read(p)
	case pipeEnd:
		n, err = c.pipes.read(x, p)
	case link:
		n, err = x.link.read(p)
	case directory:
		err = unix.EISDIR
	case stream:
		err = unix.EBADF
	}
	if err != nil || n == 0 {
		return 0, err
	}
	return int64(n), c.wire.store(a[1], c.block[:n])
}

// transfer looks at the arguments that reading and writing have in common.
func (c *contentCalls) transfer(a []uint64, able func(*description) bool) (*description, int, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return nil, 0, err
	}
	if !able(x) || x.flags&unix.O_PATH != 0 {
		return nil, 0, unix.EBADF
	}
	size, err := amount(a[2])
	if err == nil && size > 0 && a[1] == 0 {
		err = unix.EFAULT
	}
	return x, size, err
}

func (c *contentCalls) pread(a []uint64) (int64, error) {
	x, size, err := c.transfer(a, (*description).readable)
	if err != nil {
		return 0, err
	}
	offset := int64(a[3]) // #nosec G115 -- the kernel looks at it
	var n int
	switch x.kind {
	case content:
		n, err = retry(func() (int, error) { return unix.Pread(x.fd, c.block[:size], offset) })
	case distant:
		n, err = x.pieces.readAt(c.block[:size], offset)
	case directory:
		return 0, unix.EISDIR
	default:
		return 0, unix.ESPIPE
	}
	if err != nil || n == 0 {
		return 0, err
	}
	return int64(n), c.wire.store(a[1], c.block[:n])
}

func (c *contentCalls) write(a []uint64) (int64, error) {
	x, size, err := c.transfer(a, (*description).writable)
	if err != nil {
		return 0, err
	}
	if x.kind == content {
		at, err := c.writePosition(x)
		if err != nil {
			return 0, err
		}
		return c.writeContent(x, a[1], size, at, func(p []byte) (int, error) { return unix.Write(x.fd, p) })
	}
	p := c.block[:size]
	if err := c.wire.fetch(a[1], p); err != nil {
		return 0, err
	}
	var n int
	switch x.kind {
	case pipeEnd:
		n, err = c.pipes.write(x, p)
	case stream:
		n, err = c.outputs.print(x, p)
	case link:
		n, err = c.guest.writeLink(x.link, p)
	default:
		err = unix.EBADF
	}
	return int64(n), err
}

// print writes to standard output or error. A writer that takes no more ends the run.
func (o *outputs) print(x *description, p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := x.to.Write(p)
	if err != nil {
		err = fmt.Errorf("deliver output: %w", err)
		o.cancel(err)
		return 0, context.Cause(o.ctx)
	}
	return n, nil
}

func (c *contentCalls) pwrite(a []uint64) (int64, error) {
	x, size, err := c.transfer(a, (*description).writable)
	if err != nil {
		return 0, err
	}
	offset := int64(a[3]) // #nosec G115 -- looked at
	if offset < 0 {
		return 0, unix.EINVAL
	}
	if x.kind != content {
		return 0, unix.ESPIPE
	}
	return c.writeContent(x, a[1], size, offset, func(p []byte) (int, error) { return unix.Pwrite(x.fd, p, offset) })
}

// writePosition is where the next write goes.
func (c *contentCalls) writePosition(x *description) (int64, error) {
	if x.flags&unix.O_APPEND != 0 {
		var st unix.Stat_t
		err := unix.Fstat(x.fd, &st)
		return st.Size, err
	}
	at, err := unix.Seek(x.fd, 0, unix.SEEK_CUR)
	if err == unix.ESPIPE {
		return 0, nil // a device
	}
	return at, err
}

// writeContent writes to a file of the view, within the limits of the session.
func (c *contentCalls) writeContent(x *description, address uint64, size int, at int64, write func([]byte) (int, error)) (int64, error) {
	room, err := c.room(x, at, int64(size))
	if err != nil {
		return 0, err
	}
	p := c.block[:room]
	if err := c.wire.fetch(address, p); err != nil {
		return 0, err
	}
	n, err := retry(func() (int, error) { return write(p) })
	return int64(n), err
}

// room is how many of size bytes at a position fit. EFBIG and ENOSPC at the limits.
func (c *contentCalls) room(x *description, at, size int64) (int64, error) {
	limit := c.job.Limits.Write
	if limit <= 0 || size == 0 {
		return size, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(x.fd, &st); err != nil {
		return 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return size, nil
	}
	if at >= limit || at > math.MaxInt64-size {
		return 0, unix.EFBIG
	}
	size = min(size, limit-at)
	// A hole that a write behind the end leaves costs nothing but counts: it can be filled without growing the file.
	growth := max(at+size-st.Size, min(size, growthStep))
	if growth > c.slack {
		c.slack = limit - c.job.FS.Used()
	}
	if growth > c.slack {
		return 0, unix.ENOSPC
	}
	c.slack -= growth
	return size, nil
}

// growthStep is what a write is counted as at least, in bytes: a page of the memory behind it.
const growthStep = 4096

func (c *contentCalls) ftruncate(a []uint64) (int64, error) {
	x, err := c.writableContent(i32(a[0]))
	if err != nil {
		return 0, err
	}
	return 0, c.resize(x, int64(a[1])) // #nosec G115 -- looked at
}

func (c *contentCalls) writableContent(fd int32) (*description, error) {
	x, err := c.find(fd)
	if err != nil {
		return nil, err
	}
	if x.kind != content || !x.writable() {
		return nil, unix.EINVAL
	}
	return x, nil
}

// resize sets a file's size within the limits.
func (c *contentCalls) resize(x *description, size int64) error {
	if size < 0 {
		return unix.EINVAL
	}
	var st unix.Stat_t
	if err := unix.Fstat(x.fd, &st); err != nil {
		return err
	}
	if limit := c.job.Limits.Write; limit > 0 && size > limit {
		return unix.EFBIG
	}
	if grown := size - st.Size; grown > 0 {
		if _, err := c.room(x, st.Size, grown); err != nil {
			return err
		}
	}
	return unix.Ftruncate(x.fd, size)
}

// fallocate answers posix_fallocate(3), which returns its error.
func (c *contentCalls) fallocate(a []uint64) (int64, error) {
	x, err := c.writableContent(i32(a[0]))
	offset, length := int64(a[1]), int64(a[2]) // #nosec G115 -- looked at
	switch {
	case err != nil:
	case offset < 0 || length <= 0 || offset > math.MaxInt64-length:
		err = unix.EINVAL
	default:
		var st unix.Stat_t
		if err = unix.Fstat(x.fd, &st); err == nil && st.Size < offset+length {
			err = c.resize(x, offset+length)
		}
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		return int64(errno), nil
	}
	return 0, err
}

func (c *contentCalls) lseek(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	switch x.kind {
	case content:
		whence := int(i32(a[2]))
		if whence < unix.SEEK_SET || whence > unix.SEEK_HOLE {
			return 0, unix.EINVAL
		}
		return unix.Seek(x.fd, int64(a[1]), whence) // #nosec G115 -- the kernel looks at it
	case distant:
		return x.pieces.seek(int64(a[1]), i32(a[2])) // #nosec G115 -- looked at
	case directory:
		return 0, nil
	default: // nothing of the kind for the others
	}
	return 0, unix.ESPIPE
}

// standardOutput answers get_stdout, a FILE of the C library: an address that means descriptor 1.
func (c *descriptorCalls) standardOutput([]uint64) (int64, error) {
	if c.output == 0 {
		got, err := c.wire.allocate(make([]byte, 8))
		if err != nil {
			return 0, err
		}
		c.output = got[0]
	}
	return int64(c.output), nil // #nosec G115 -- an address
}

func (c *descriptorCalls) fileno(a []uint64) (int64, error) {
	if a[0] == 0 || a[0] != c.output {
		return 0, unix.EBADF
	}
	return 1, nil
}

func (c *statCalls) fstat(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	info, err := c.info(x)
	if err != nil {
		return 0, err
	}
	return 0, c.wire.store(a[1], encodeStat(info))
}

// info describes an open file: one of the view with the size that it has now, a stream as a pipe of the script's user.
func (c *statCalls) info(x *description) (vfs.Info, error) {
	now := c.began
	switch x.kind {
	case directory, distant:
		return x.file.Info()
	case content:
		info, err := x.file.Info()
		var st unix.Stat_t
		if err == nil && info.IsRegular() && unix.Fstat(x.fd, &st) == nil {
			info.Size, info.Blocks = st.Size, st.Blocks
		}
		return info, err
	default: // nothing of the kind for the others
	}
	return vfs.Info{
		Mode: unix.S_IFIFO | 0o600, Nlink: 1, UID: c.job.Host.UID, GID: c.job.Host.GID, Atime: now, Mtime: now, Ctime: now,
	}, nil
}
