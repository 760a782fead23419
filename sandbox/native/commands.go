//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/streams"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
	"shannot-gateway/vfs/tasks"
)

// connect answers the opening of /dev/shannot: one end for the script, the other served here until it is closed.
func (r *run) connect() (int, unix.Errno) {
	if !r.tree.requests.connect(atMost(r.tree.root.job.Limits.Threads, maxThreads) + spareConnections) {
		return -1, unix.EMFILE
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		r.tree.requests.disconnect()
		return -1, vfs.ErrnoOf(err)
	}
	_ = unix.SetNonblock(pair[0], true)
	ours := os.NewFile(uintptr(pair[0]), "guest")
	go func() {
		defer r.tree.requests.disconnect()
		defer func() { _ = ours.Close() }()
		defer r.panics.Recover("starting a command")
		r.serveGuest(ours)
	}()
	return pair[1], 0
}

// serveGuest answers start requests, one at a time, until the guest closes its end or breaks the protocol.
func (r *run) serveGuest(conn *os.File) {
	for {
		if err := r.serveRequest(conn); err != nil {
			if errors.Is(err, frames.ErrMalformed) {
				r.tree.root.cancel(supervisor.ProtocolError())
			}
			return
		}
	}
}

// errCrowded refuses a request that would take the process tree's requests beyond maxPending.
var errCrowded = errors.New("too many requests at once")

// serveRequest answers one request.
func (r *run) serveRequest(conn *os.File) error {
	size, err := frames.ReadSize(conn)
	if err != nil {
		return err
	}
	if !r.tree.requests.reserve(size) {
		return errCrowded
	}
	defer r.tree.requests.release(size)
	items, err := frames.ReadBody(conn, size)
	if err != nil {
		return err
	}
	if len(items) == 2 && string(items[0]) == frames.OpLimit {
		if r.depth == 0 && !r.tree.blamed.blame(string(items[1]), r.tree.root.job.Limits) {
			return frames.ErrMalformed
		}
		return frames.Write(conn)
	}
	if isWait(items) {
		args, err := r.awaitSession()
		if errors.Is(err, errNoHandshake) {
			return frames.ErrMalformed
		}
		if err != nil {
			return err
		}
		return frames.Write(conn, args...)
	}
	request, err := frames.DecodeStart(items)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.ctx)
	stop := whileOpen(conn, cancel)
	pid, err := r.startCommand(ctx, cancel, request)
	stop()
	if err != nil {
		cancel()
		if r.ctx.Err() != nil {
			untilGone(conn)
			return err
		}
	}
	return frames.Write(conn, frames.StartReply(pid, err)...)
}

// untilGone waits for the end of a guest whose session is over, parked for instance: an answer would let the script go on, with an
// error that is not its own, until it is killed.
func untilGone(conn *os.File) {
	var none [1]byte
	_, _ = conn.Read(none[:])
}

// whileOpen calls gone when the guest closes its end, as it does when an exception (a timeout, an interrupt from the
// keyboard) takes its thread out of the wait: a command that nobody waits for any more is not to be decided on. stop
// ends the watching, before anything else is read.
func whileOpen(conn *os.File, gone func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var none [1]byte
		// The guest says nothing before it has its answer; if it does, it is no guest.
		if _, err := conn.Read(none[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			gone()
			_ = conn.Close()
		}
	}()
	return func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
		<-done
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// startCommand takes the command's streams out of the script's process and passes the command to the gate. It returns
// once the command runs, however long a human takes. ctx ends the waiting and the command; cancel is called when the
// command has ended.
func (r *run) startCommand(ctx context.Context, cancel func(), q frames.Start) (int, error) {
	if r.children.Count() >= posix.MaxChildren || int(r.tree.running.Load()) >= tasks.Commands() {
		return 0, unix.EAGAIN
	}
	dir, taken, err := r.prepareCommand(q)
	if err != nil {
		return 0, err
	}
	if taken == nil {
		return r.spawn(ctx, cancel, q, dir)
	}
	over := r.tree.notice.command(&r.tree.turn)
	starter := streams.Starter{Gate: r.job.Commands, Children: &r.children, Running: &r.tree.running}
	return starter.Start(ctx, q, dir, taken, func() {
		over()
		cancel()
	})
}

// prepareCommand resolves a command's working directory, as it is on the target, and takes its streams. There are none for
// an interpreter.
func (r *run) prepareCommand(q frames.Start) (dir string, s *streams.Streams, err error) {
	if dir, err = r.commandDir(q.Dir); err != nil || r.tree.engine.isShell(q) || r.isInterpreter(q, dir) {
		return dir, nil, err
	}
	if err := context.Cause(r.ctx); err != nil {
		return "", nil, err
	}
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.tree.turn.asks(r, r.proc.PID)
	r.handles.files.settle()
	s, err = streams.Take(scriptStreams{&r.handles, &r.tree.root.stdin, r.panics.Recover}, q)
	return dir, s, err
}

// scriptStreams is what a command can be connected to of an interpreter's descriptors.
type scriptStreams struct {
	handles *handleTable
	stdin   *stdinState // the script's own
	guard   func(doing string)
}

// Input implements streams.Descriptors.
func (d scriptStreams) Input(s *streams.Streams, q frames.Start) error {
	own, st, err := d.grab(q.Stdin, unix.O_RDONLY)
	if err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		file := os.NewFile(uintptr(own), "stdin")
		if h, e := d.handles.find(q.Stdin); e == 0 && streamOf(h.file) != nil {
			at, err := file.Seek(0, io.SeekCurrent)
			if err != nil {
				_ = file.Close()
				return err
			}
			if now, e := copyOfLive(h.file, own); e == 0 {
				_ = file.Close()
				copied := os.NewFile(uintptr(now), "stdin")
				return s.FromFile(copied, copied)
			}
			return s.FromFile(&streamReader{streamOf(h.file), at}, file)
		}
		return s.FromFile(file, file)
	case unix.S_IFCHR:
		// /dev/null and its like, an input that says nothing; or the script's terminal, which is no command's.
		return unix.Close(own)
	case unix.S_IFSOCK:
		socket, err := streams.NewSocket(own, unix.POLLIN)
		if err != nil {
			return err
		}
		s.Stdin, s.Input = socket, sandbox.PipeInput
		return nil
	case unix.S_IFIFO:
		if d.ownInputIsEmpty(st) {
			return unix.Close(own)
		}
		pipe, err := streams.Reopen(own, unix.O_RDONLY)
		_ = unix.Close(own)
		if err != nil {
			return err
		}
		s.FromPipe(pipe, q, d.guard)
		return nil
	}
	_ = unix.Close(own)
	return unix.EBADF
}

// ownInputIsEmpty reports whether a pipe is the script's own standard input and has nothing left to give, as when the
// script itself came through it.
func (d scriptStreams) ownInputIsEmpty(st *unix.Stat_t) bool {
	var own unix.Stat_t
	in := d.stdin
	return in.pipe >= 0 && unix.Fstat(in.pipe, &own) == nil && inodeOf(&own) == inodeOf(st) && in.feed.Empty(in.pipe)
}

// Output implements streams.Descriptors.
func (d scriptStreams) Output(fd int32) (io.WriteCloser, error) {
	own, st, err := d.grab(fd, unix.O_WRONLY)
	if err != nil {
		return nil, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		socket, err := streams.NewSocket(own, unix.POLLOUT)
		if err != nil {
			return nil, err
		}
		return socket, nil
	case unix.S_IFREG:
		return streams.Output{File: os.NewFile(uintptr(own), "output")}, nil // shares the script's position, as a child would
	case unix.S_IFIFO:
		defer func() { _ = unix.Close(own) }()
		return streams.ReopenOutput(own)
	case unix.S_IFCHR:
		defer func() { _ = unix.Close(own) }()
		if supervisor.IsTerminal(st) {
			return streams.ReopenOutput(own)
		}
		return streams.Discard{}, nil
	}
	_ = unix.Close(own)
	return nil, unix.EBADF
}

// grab copies a descriptor out of the script and checks that the script could use it in this direction itself.
func (d scriptStreams) grab(fd int32, mode int) (int, *unix.Stat_t, error) {
	own, e := d.handles.grab(fd)
	if e != 0 {
		return -1, nil, e
	}
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		_ = unix.Close(own)
		return -1, nil, err
	}
	flags, err := unix.FcntlInt(uintptr(own), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE != unix.O_RDWR && flags&unix.O_ACCMODE != mode {
		err = unix.EBADF
	}
	if err != nil {
		_ = unix.Close(own)
		return -1, nil, err
	}
	return own, &st, nil
}

// Same implements streams.Descriptors.
func (d scriptStreams) Same(a, b int32) bool {
	ha, e := d.handles.find(a)
	if e != 0 {
		return false
	}
	first := inodeOf(&ha.st)
	hb, e := d.handles.find(b)
	return e == 0 && first == inodeOf(&hb.st)
}

// commandDir resolves a command's working directory in the view, as chdir in a child would.
func (r *run) commandDir(dir string) (string, error) {
	r.slow()
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.tree.turn.asks(r, r.proc.PID)
	return r.names.CommandDir(r.names.Dir.Path(), dir)
}
