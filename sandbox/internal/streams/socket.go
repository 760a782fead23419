//go:build linux

package streams

import (
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs/await"
)

// Socket is a connected socket of the script as a stream of a command. Its description is the script's too, so that it stays
// as the script has it, blocking or not: each call says for itself that it does not wait, and no thread waits for the script.
type Socket struct {
	ready *await.Waiter

	mu     sync.RWMutex // held for writing while fd is closed
	fd     int
	closed bool
}

// NewSocket takes a descriptor over that is read from (unix.POLLIN) or written to (unix.POLLOUT).
func NewSocket(fd int, events int16) (*Socket, error) {
	ready, err := await.New(fd, events)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &Socket{ready: ready, fd: fd}, nil
}

// try makes one call that does not wait.
func (s *Socket) try(call func(fd int) (int, error)) (int, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return 0, os.ErrClosed
	}
	for {
		n, err := call(s.fd)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// retry makes a call until it needs not wait.
func (s *Socket) retry(call func(fd int) (int, error)) (int, error) {
	for {
		n, err := s.try(call)
		if !errors.Is(err, unix.EAGAIN) {
			return max(n, 0), err
		}
		if err := s.ready.Wait(); err != nil {
			return 0, err
		}
	}
}

// Read implements io.Reader.
func (s *Socket) Read(p []byte) (int, error) {
	n, err := s.retry(func(fd int) (int, error) {
		n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		return n, err
	})
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (s *Socket) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := s.retry(func(fd int) (int, error) {
			return unix.SendmsgN(fd, p[done:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		})
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Close implements io.Closer. It ends what waits.
func (s *Socket) Close() error {
	err := s.ready.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	s.closed = true
	return errors.Join(err, unix.Close(s.fd))
}
