// Package await waits for descriptors on the runtime's poller, where no thread waits with them. They may be sockets, process
// descriptors and other things that a process may not make non-blocking, since their flags are somebody else's too. It reads
// and writes nothing.
package await

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Waiter waits for one descriptor. Its methods may be called from several goroutines.
type Waiter struct {
	// file is an epoll instance with the descriptor in it. An epoll instance can be polled itself, see epoll(7).
	file *os.File
	raw  syscall.RawConn
}

// New makes a waiter for events of poll(2) on a descriptor. It changes nothing of the descriptor, which stays the
// caller's. Close the waiter before the descriptor.
func New(fd int, events int16) (*Waiter, error) {
	group, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	err = unix.SetNonblock(group, true) // or the runtime does not poll it
	if err == nil {
		// The events of epoll have the numbers of those of poll, see linux/eventpoll.h.
		err = unix.EpollCtl(group, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: uint32(uint16(events)), Fd: int32(fd)}) // #nosec G115 -- bits, and a descriptor
	}
	if err != nil {
		_ = unix.Close(group)
		return nil, fmt.Errorf("wait for a descriptor: %w", err)
	}
	w := &Waiter{file: os.NewFile(uintptr(group), "epoll")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		_ = w.file.Close()
		return nil, err
	}
	return w, nil
}

// Wait returns nil when one of the events is there, or the descriptor's end, and os.ErrClosed once the waiter is closed.
func (w *Waiter) Wait() error {
	err := w.raw.Read(func(group uintptr) (ready bool) {
		list := []unix.PollFd{{Fd: int32(group), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
		for {
			n, err := unix.Poll(list, 0)
			if err != unix.EINTR {
				return err != nil || n > 0
			}
		}
	})
	if err != nil {
		return os.ErrClosed
	}
	return nil
}

// Close ends all waiting.
func (w *Waiter) Close() error { return w.file.Close() }

// Once waits for events on a descriptor, once. Where there is no waiter to be had, a thread waits.
func Once(fd int, events int16) {
	if w, err := New(fd, events); err == nil {
		defer func() { _ = w.Close() }()
		if w.Wait() == nil {
			return
		}
	}
	list := []unix.PollFd{{Fd: int32(fd), Events: events}} // #nosec G115 -- a descriptor
	for {
		if _, err := unix.Poll(list, -1); err != unix.EINTR {
			return
		}
	}
}
