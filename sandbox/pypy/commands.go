//go:build linux && (amd64 || arm64)

package pypy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/streams"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs/tasks"
)

// guestPath is what the guest opens to start a command.
const guestPath = "/dev/shannot"

// guestLink is one connection of the guest: a request that is being written, and the reply that is being read.
type guestLink struct {
	request, reply []byte
}

// read gives the guest its reply. Without one there is nothing to wait for.
func (l *guestLink) read(p []byte) (int, error) {
	n := copy(p, l.reply)
	if l.reply = l.reply[n:]; len(l.reply) == 0 {
		l.reply = nil
	}
	return n, nil
}

// writeLink takes a part of a request, and answers the request when it is whole.
func (g *guestCalls) writeLink(l *guestLink, p []byte) (int, error) {
	if l.reply != nil {
		return 0, unix.EAGAIN
	}
	l.request = append(l.request, p...)
	if len(l.request) < 4 {
		return len(p), nil
	}
	size := binary.LittleEndian.Uint32(l.request)
	if size > frames.MaxSize || uint64(len(l.request)) > 4+uint64(size) {
		return 0, g.noGuest()
	}
	if uint64(len(l.request)) < 4+uint64(size) {
		return len(p), nil
	}
	body := l.request[4:]
	l.request = nil
	items, err := frames.DecodeList(body)
	if err != nil {
		return 0, g.noGuest()
	}
	reply, err := g.serveGuest(items)
	if err != nil {
		return 0, err
	}
	var out bytes.Buffer
	if err := frames.Write(&out, reply...); err != nil {
		return 0, err
	}
	l.reply = out.Bytes()
	return len(p), nil
}

// noGuest ends the run of a script that sends what no guest does.
func (g *guestCalls) noGuest() error {
	g.cancel(supervisor.ProtocolError())
	return context.Cause(g.ctx)
}

// opPoll waits for descriptors: milliseconds (negative for ever), a list of those to read, a list of those to write.
const opPoll = "poll"

// serveGuest answers one request of the guest. The error ends the run.
func (g *guestCalls) serveGuest(items [][]byte) ([][]byte, error) {
	if len(items) == 0 {
		return nil, g.noGuest()
	}
	switch string(items[0]) {
	case frames.OpLimit:
		if len(items) != 2 || !g.blame(string(items[1])) {
			return nil, g.noGuest()
		}
		return nil, nil
	case opPoll:
		return g.servePoll(items)
	}
	request, err := frames.DecodeStart(items)
	if err != nil {
		return nil, g.noGuest()
	}
	pid, err := g.commands.start(request)
	if cause := context.Cause(g.ctx); cause != nil {
		return nil, cause
	}
	return frames.StartReply(pid, err), nil
}

func (g *guestCalls) servePoll(items [][]byte) ([][]byte, error) {
	if len(items) != 4 {
		return nil, g.noGuest()
	}
	milliseconds, err := frames.DecodeInt(items[1])
	reads, err2 := decodeNumbers(items[2])
	writes, err3 := decodeNumbers(items[3])
	if errors.Join(err, err2, err3) != nil {
		return nil, g.noGuest()
	}
	wait := time.Duration(-1)
	if milliseconds >= 0 {
		wait = time.Duration(min(milliseconds, 1<<40)) * time.Millisecond
	}
	reads, writes, err = g.polls.poll(reads, writes, wait)
	if cause := context.Cause(g.ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return frames.StartReply(0, err), nil
	}
	return [][]byte{[]byte("ok"), encodeNumbers(reads), encodeNumbers(writes)}, nil
}

// decodeNumbers reads a list of descriptors.
func decodeNumbers(b []byte) ([]int32, error) {
	items, err := frames.DecodeList(b)
	if err != nil || len(items) > maxDescriptors {
		return nil, frames.ErrMalformed
	}
	out := make([]int32, len(items))
	for i, item := range items {
		if out[i], err = frames.DecodeInt32(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func encodeNumbers(list []int32) []byte {
	items := make([][]byte, len(list))
	for i, n := range list {
		items[i] = frames.EncodeInt(int64(n))
	}
	return frames.EncodeList(items...)
}

// system answers system(3): a shell command through the gate, and its wait status. What a shell says and answers when
// it may not run something is 126, and 127 when there is none.
func (k *commandCalls) system(a []uint64) (int64, error) {
	if a[0] == 0 {
		return 1, nil // there is a shell
	}
	lines, err := k.wire.texts(maxCommand, a[0])
	if err != nil {
		return 0, err
	}
	pid, err := k.start(frames.Start{
		Argv: []string{"sh", "-c", lines[0]}, Executables: []string{"/bin/sh"}, Env: k.environment.list, Stdin: 0, Stdout: 1, Stderr: 2,
	})
	if cause := context.Cause(k.ctx); cause != nil {
		return 0, cause
	}
	var refusal *sandbox.Refusal
	switch {
	case errors.As(err, &refusal) && (refusal.Errno == unix.EACCES || refusal.Errno == unix.EPERM):
		if x := k.descriptors[2]; x != nil && x.kind == stream {
			if _, err := k.outputs.print(x, []byte("sh: "+refusal.Reason+"\n")); err != nil {
				return 0, err
			}
		}
		return 126 << 8, nil
	case err != nil:
		return 127 << 8, nil
	}
	c := k.children.Get(pid)
	select {
	case <-c.Done():
	case <-k.ctx.Done():
		return 0, context.Cause(k.ctx)
	}
	k.children.Remove(c)
	return int64(c.Status()), nil
}

// start passes a command to the gate with copies of the script's streams. It returns once the command runs, however
// long a human takes.
func (k *commandCalls) start(q frames.Start) (int, error) {
	if k.children.Count() >= min(posix.MaxChildren, tasks.Commands()) {
		return 0, unix.EAGAIN
	}
	here, err := k.names.Dir.Here()
	if err != nil && !path.IsAbs(q.Dir) {
		return 0, err
	}
	dir, err := k.names.CommandDir(here, q.Dir)
	if err != nil {
		return 0, err
	}
	s, err := streams.Take(k, q)
	if err != nil {
		return 0, err
	}
	k.dialogue.pair.Unpin() // what is started here may run anywhere
	k.starting.Store(true)
	defer k.starting.Store(false)
	return streams.Starter{Gate: k.job.Commands, Children: k.children, Running: &k.running}.Start(k.ctx, q, dir, s, func() {})
}

// Input implements streams.Descriptors.
func (k *commandCalls) Input(s *streams.Streams, q frames.Start) error {
	x, err := k.find(q.Stdin)
	if err != nil {
		return err
	}
	if !x.readable() {
		return unix.EBADF
	}
	switch x.kind {
	case content:
		return fromContent(s, x)
	case distant:
		return s.FromFile(&pieces{x.pieces.stream, x.pieces.at}, x.pieces)
	case pipeEnd:
		if x.source != nil && x.source.empty() {
			return nil
		}
		pipe, err := onPipe(x.pipe, func(fd int) (*os.File, error) { return streams.Reopen(fd, unix.O_RDONLY) })
		if err != nil {
			return err
		}
		s.FromPipe(pipe, q, k.guard)
		return nil
	default: // nothing of the kind for the others
	}
	return unix.EBADF
}

// fromContent reads a file of the view from where the script stands, as the command would. A device says nothing.
func fromContent(s *streams.Streams, x *description) error {
	var st unix.Stat_t
	if err := unix.Fstat(x.fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return err
	}
	own, err := unix.FcntlInt(uintptr(x.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(own), "stdin")
	return s.FromFile(file, file)
}

// Same implements streams.Descriptors.
func (k *commandCalls) Same(a, b int32) bool { return k.descriptors[a] == k.descriptors[b] }

// Output implements streams.Descriptors.
func (k *commandCalls) Output(fd int32) (io.WriteCloser, error) {
	x, err := k.find(fd)
	if err != nil {
		return nil, err
	}
	if !x.writable() {
		return nil, unix.EBADF
	}
	switch x.kind {
	case content:
		own, err := unix.FcntlInt(uintptr(x.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		return streams.Output{File: os.NewFile(uintptr(own), "output")}, nil // shares the script's position, as a child would
	case pipeEnd:
		return onPipe(x.pipe, streams.ReopenOutput)
	case stream:
		return printer{k.outputs, x}, nil
	default: // nothing of the kind for the others
	}
	return nil, unix.EBADF
}

// printer is the script's standard output or error, which its commands share.
type printer struct {
	to *outputs
	x  *description
}

func (p printer) Write(b []byte) (int, error) { return p.to.print(p.x, b) }
func (p printer) Close() error                { return nil }
