//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/streams"
	"shannot-gateway/vfs"
)

// kind is what a description leads to.
type kind uint8

const (
	content   kind = iota // a file of the view, or a memory device
	distant               // a file of the view that comes piece by piece, for reading
	directory             // a directory, or a file that was opened for its name only
	pipeEnd               // an end of a pipe, or standard input
	stream                // the script's standard output or error
	link                  // the guest's way to the driver
)

// description is an open file: what descriptors that were duplicated share.
type description struct {
	kind  kind
	refs  int
	held  bool // counted in everywhere
	flags int  // of the open, with what fcntl changed

	file   vfs.File // content, distant and directory
	fd     int      // content: a description of the gateway's own, with the position
	pieces *pieces  // distant
	pipe   *os.File // non-blocking
	source *source  // standard input
	to     io.Writer
	link   *guestLink
}

// everywhere counts the open files of all sessions: they are descriptors of this process.
var everywhere atomic.Int64

// mostEverywhere leaves three quarters of this process's descriptors to everything else.
var mostEverywhere = sync.OnceValue(func() int64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > 1<<32 {
		return 1 << 20
	}
	return int64(limit.Cur / 4) // #nosec G115 -- compared first
})

// descriptorTable is the descriptors of the script.
type descriptorTable struct {
	descriptors map[int32]*description
	files       int // sandbox.Limits.Files
	links       int // connections of the guest
}

// release closes what the last descriptor led to.
func (x *description) release(t *descriptorTable) {
	if x.refs--; x.refs > 0 {
		return
	}
	if x.held {
		everywhere.Add(-1)
	}
	switch x.kind {
	case content:
		_ = unix.Close(x.fd)
		_ = x.file.Close()
	case directory, distant:
		_ = x.file.Close()
	case pipeEnd:
		_ = x.pipe.Close()
	case link:
		t.links--
	case stream:
	}
}

func (x *description) readable() bool { return x.flags&unix.O_ACCMODE != unix.O_WRONLY }
func (x *description) writable() bool { return x.flags&unix.O_ACCMODE != unix.O_RDONLY }

// most is the limit of the session below the engine's.
func (t *descriptorTable) most() int {
	if t.files > 0 {
		return min(t.files, maxDescriptors)
	}
	return maxDescriptors
}

// find looks a descriptor up.
func (t *descriptorTable) find(fd int32) (*description, error) {
	if x := t.descriptors[fd]; x != nil {
		return x, nil
	}
	return nil, unix.EBADF
}

// free is the lowest unused descriptor from least on. EMFILE where there are too many.
func (t *descriptorTable) free(least int32) (int32, error) {
	if least < 0 {
		return 0, unix.EINVAL
	}
	most := int32(t.most()) // #nosec G115 -- at most maxDescriptors
	if len(t.descriptors) >= int(most) {
		return 0, unix.EMFILE
	}
	for fd := least; fd < most; fd++ {
		if t.descriptors[fd] == nil {
			return fd, nil
		}
	}
	return 0, unix.EMFILE
}

// add gives a description its first descriptor. ENFILE where the sessions of this process have too many.
func (t *descriptorTable) add(x *description) (int64, error) {
	fd, err := t.free(0)
	x.held = true
	if everywhere.Add(1) > mostEverywhere() && err == nil {
		err = unix.ENFILE
	}
	if err != nil {
		x.refs = 1
		x.release(t)
		return 0, err
	}
	x.refs = 1
	t.descriptors[fd] = x
	return int64(fd), nil
}

// drop takes a descriptor away.
func (t *descriptorTable) drop(fd int32) {
	x := t.descriptors[fd]
	delete(t.descriptors, fd)
	x.release(t)
}

func (t *descriptorTable) close1(fd int32) error {
	if _, err := t.find(fd); err != nil {
		return err
	}
	t.drop(fd)
	return nil
}

func (t *descriptorTable) duplicate(fd, least int32) (int64, error) {
	x, err := t.find(fd)
	if err != nil {
		return 0, err
	}
	to, err := t.free(least)
	if err != nil {
		return 0, err
	}
	x.refs++
	t.descriptors[to] = x
	return int64(to), nil
}

func (c *descriptorCalls) dup(a []uint64) (int64, error) { return c.duplicate(i32(a[0]), 0) }

func (c *descriptorCalls) dup2(a []uint64) (int64, error) {
	from, to := i32(a[0]), i32(a[1])
	x, err := c.find(from)
	if err != nil {
		return 0, err
	}
	if to < 0 || int(to) >= c.most() {
		return 0, unix.EBADF
	}
	if from == to {
		return int64(to), nil
	}
	x.refs++
	if c.descriptors[to] != nil {
		c.drop(to)
	}
	c.descriptors[to] = x
	return int64(to), nil
}

func (c *descriptorCalls) closeDescriptor(a []uint64) (int64, error) { return 0, c.close1(i32(a[0])) }

// sync answers what only needs a descriptor to be open.
func (c *descriptorCalls) sync(a []uint64) (int64, error) {
	_, err := c.find(i32(a[0]))
	return 0, err
}

func (c *descriptorCalls) statusFlags(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	return int64(x.flags & (unix.O_ACCMODE | unix.O_APPEND | unix.O_NONBLOCK)), nil
}

func (c *descriptorCalls) setStatusFlags(a []uint64) (int64, error) {
	return c.setFlags(i32(a[0]), int(i32(a[1])))
}

func (t *descriptorTable) setFlags(fd int32, flags int) (int64, error) {
	const changeable = unix.O_APPEND | unix.O_NONBLOCK
	x, err := t.find(fd)
	if err != nil {
		return 0, err
	}
	if x.kind == content {
		// The kernel keeps the position and the end of the file, so it keeps O_APPEND too.
		if _, err := unix.FcntlInt(uintptr(x.fd), unix.F_SETFL, flags&unix.O_APPEND); err != nil {
			return 0, err
		}
	}
	x.flags = x.flags&^changeable | flags&changeable
	return 0, nil
}

func (c *descriptorCalls) fcntl(a []uint64) (int64, error) {
	fd, command, argument := i32(a[0]), i32(a[1]), i32(a[2])
	switch command {
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC:
		return c.duplicate(fd, argument)
	case unix.F_GETFD:
		if _, err := c.find(fd); err != nil {
			return 0, err
		}
		return unix.FD_CLOEXEC, nil
	case unix.F_SETFD, unix.F_SETLK, unix.F_SETLKW:
		return c.sync(a)
	case unix.F_GETFL:
		return c.statusFlags(a)
	case unix.F_SETFL:
		return c.setFlags(fd, int(argument))
	}
	return 0, unix.EINVAL
}

// ioctl knows how much a pipe holds; nothing else is a device that takes one.
func (c *descriptorCalls) ioctl(a []uint64) (int64, error) {
	x, err := c.find(i32(a[0]))
	if err != nil {
		return 0, err
	}
	if i32(a[1]) != unix.TIOCINQ || x.kind != pipeEnd {
		return 0, unix.ENOTTY
	}
	held, err := onPipe(x.pipe, func(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCINQ) })
	if err != nil {
		return 0, err
	}
	return 0, c.wire.store(a[2], le32(uint32(held))) // #nosec G115 -- what a pipe holds
}

// isatty answers 0 with ENOTTY, isatty(3). The errno goes with a result that is not -1, so it is said by hand.
func (c *descriptorCalls) isatty(a []uint64) (int64, error) {
	errno := unix.ENOTTY
	if _, err := c.find(i32(a[0])); err != nil {
		errno = unix.EBADF
	}
	c.wire.setErrno(errno)
	return 0, nil
}

func (c *descriptorCalls) pipe(a []uint64) (int64, error) { return c.makePipe(a[0], 0) }

func (c *descriptorCalls) pipe2(a []uint64) (int64, error) { return c.makePipe(a[0], int(i32(a[1]))) }

func (c *descriptorCalls) makePipe(address uint64, flags int) (int64, error) {
	if address == 0 {
		return 0, unix.EFAULT
	}
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return 0, err
	}
	flags &= unix.O_NONBLOCK
	ends := [2]*description{
		{kind: pipeEnd, pipe: os.NewFile(uintptr(pair[0]), "pipe"), flags: unix.O_RDONLY | flags},
		{kind: pipeEnd, pipe: os.NewFile(uintptr(pair[1]), "pipe"), flags: unix.O_WRONLY | flags},
	}
	read, err := c.add(ends[0])
	if err != nil {
		_ = ends[1].pipe.Close()
		return 0, err
	}
	write, err := c.add(ends[1])
	if err != nil {
		c.drop(int32(read)) // #nosec G115 -- a descriptor
		return 0, err
	}
	return 0, c.wire.store(address, append(le32(uint32(read)), le32(uint32(write))...)) // #nosec G115 -- descriptors
}

// onPipe calls f with the descriptor of a pipe.
func onPipe[T any](p *os.File, f func(fd int) (T, error)) (result T, err error) {
	raw, err := p.SyscallConn()
	if err != nil {
		return result, unix.EBADF
	}
	if e := raw.Control(func(fd uintptr) { result, err = f(int(fd)) }); e != nil {
		return result, unix.EBADF
	}
	return result, err
}

// waiting calls f, which blocks on a pipe, so that it ends with the run.
func (c *pipes) waiting(p *os.File, f func() (int, error)) (int, error) {
	stop := context.AfterFunc(c.ctx, func() { _ = p.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	n, err := f()
	if cause := context.Cause(c.ctx); cause != nil {
		return n, cause
	}
	return n, err
}

// read reads what is there, and waits for it unless the pipe does not block.
func (c *pipes) read(x *description, p []byte) (int, error) {
	if x.flags&unix.O_NONBLOCK != 0 {
		return onPipe(x.pipe, func(fd int) (int, error) { return retry(func() (int, error) { return unix.Read(fd, p) }) })
	}
	n, err := c.waiting(x.pipe, func() (int, error) { return x.pipe.Read(p) })
	if n > 0 || err == nil || err == io.EOF {
		return n, nil
	}
	return 0, c.failure(err)
}

// write writes all of p, unless the pipe does not block.
func (c *pipes) write(x *description, p []byte) (int, error) {
	if x.flags&unix.O_NONBLOCK != 0 {
		return onPipe(x.pipe, func(fd int) (int, error) { return retry(func() (int, error) { return unix.Write(fd, p) }) })
	}
	n, err := c.waiting(x.pipe, func() (int, error) { return x.pipe.Write(p) })
	if n > 0 || err == nil {
		return n, nil
	}
	return 0, c.failure(err)
}

// failure keeps the reason why the run ends, and makes an errno of anything else.
func (c *pipes) failure(err error) error {
	if cause := context.Cause(c.ctx); cause != nil {
		return cause
	}
	return vfs.ErrnoOf(err)
}

// retry repeats a call that a signal interrupted: those are the gateway's own.
func retry(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// source is the script's standard input: a pipe, so that its commands read the same one.
type source struct {
	read, write *os.File
	feed        streams.Feed
	once        sync.Once
}

func newSource(from io.Reader, guard func(string)) (*source, error) {
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	s := &source{read: os.NewFile(uintptr(pair[0]), "stdin"), write: os.NewFile(uintptr(pair[1]), "stdin")}
	go func() {
		defer guard("reading the input")
		s.feed.Move(s.write, from)
	}()
	return s, nil
}

// close ends the feeding. The reading end is closed with its last descriptor.
func (s *source) close() { s.once.Do(func() { _ = s.write.Close() }) }

// empty reports whether standard input has nothing left to give.
func (s *source) empty() bool {
	empty, err := onPipe(s.read, func(fd int) (bool, error) { return s.feed.Empty(fd), nil })
	return err != nil || empty
}

// name is what /proc/self/fd says of an open file.
func (x *description) name() (string, error) {
	switch {
	case x.kind == directory:
		return posix.PlaceOf(x.file)
	case x.file != nil:
		return x.file.Path(), nil
	case x.kind == link:
		return guestPath, nil
	}
	return "pipe:[1]", nil
}

// descriptorName is the descriptor of the script's that a name leads to.
func descriptorName(name string) (int32, bool) {
	switch name {
	case "/dev/stdin":
		return 0, true
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	return posix.OwnDescriptor(name, func(int) bool { return false }) // "self" is all that the view has of its own
}
