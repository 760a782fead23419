//go:build linux

package streams

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/vfs"
)

// Descriptors is what an engine knows of a script's descriptors. Each method fails with EBADF where there is no such
// descriptor, or the script could not use it in this direction itself.
type Descriptors interface {
	// Input gives s what a command reads from q.Stdin, and leaves s as it is where that says nothing. Where everything that
	// it will give is known, a human can be shown it, and the command gets exactly that.
	Input(s *Streams, q frames.Start) error
	// Output is what a command writes to by a descriptor.
	Output(fd int32) (io.WriteCloser, error)
	// Same reports whether two descriptors lead to the same pipe or file.
	Same(a, b int32) bool
}

// Take takes the streams that a command is to have out of a script. A negative number is none.
func Take(from Descriptors, q frames.Start) (*Streams, error) {
	s := &Streams{Input: sandbox.NoInput}
	if q.Stdin >= 0 {
		if err := from.Input(s, q); err != nil {
			return nil, err
		}
	}
	var err error
	if s.Stdout, err = output(from, q.Stdout); err != nil {
		s.Close()
		return nil, err
	}
	if q.Stderr == q.Stdout || q.Stderr >= 0 && q.Stdout >= 0 && from.Same(q.Stdout, q.Stderr) {
		s.Stderr = s.Stdout
		return s, nil
	}
	if s.Stderr, err = output(from, q.Stderr); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func output(from Descriptors, fd int32) (io.WriteCloser, error) {
	if fd < 0 {
		return Discard{}, nil
	}
	return from.Output(fd)
}

// FromPipe takes over a pipe that the command reads. Where the guest says what the script is about to write to it, that is
// read away: the command gets what was said, whatever is written. guard is deferred by the goroutine that does it.
func (s *Streams) FromPipe(pipe *os.File, q frames.Start, guard func(doing string)) {
	if !q.HasInput || len(q.Input) > sandbox.MaxContent {
		s.Stdin, s.Input = Pipe{File: pipe}, sandbox.PipeInput
		return
	}
	s.Known(q.Input)
	go func() {
		defer guard("reading a known input away")
		_, _ = io.Copy(io.Discard, pipe) // until the script closes its end, which its death does as well
		_ = pipe.Close()
	}()
}

// Reopen opens a pipe or a terminal once more, with a description of its own that does not block: a blocked read of a
// shared one would outlive the script, and non-blocking would become the script's too.
func Reopen(fd, mode int) (*os.File, error) {
	own, err := vfs.Reopen(fd, mode|unix.O_NONBLOCK)
	if err != nil {
		return nil, vfs.ErrnoOf(err)
	}
	return os.NewFile(uintptr(own), "stream"), nil
}

// ReopenOutput is Reopen for writing. What nobody reads any more takes what is written, and it is gone.
func ReopenOutput(fd int) (io.WriteCloser, error) {
	file, err := Reopen(fd, unix.O_WRONLY)
	switch {
	case errors.Is(err, unix.ENXIO):
		return Discard{}, nil
	case err != nil:
		return nil, err
	}
	return Output{File: file}, nil
}

// Feed moves a script's standard input into the pipe that the script and its commands read.
type Feed struct{ done atomic.Bool }

// Move copies all of from, nil for nothing, and closes the pipe behind it.
func (f *Feed) Move(to *os.File, from io.Reader) {
	defer func() {
		f.done.Store(true) // before the end can be seen: a command that starts then has no input, every time
		_ = to.Close()
	}()
	if from != nil {
		_, _ = io.Copy(to, from)
	}
}

// Empty reports whether standard input, whose reading end is fd, has nothing left to give, as when the script itself came
// through it.
func (f *Feed) Empty(fd int) bool {
	if !f.done.Load() {
		return false
	}
	left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return err == nil && left == 0
}
