//go:build linux

package await

import (
	"errors"
	"os"
	"os/exec"
	"runtime/pprof"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func pair(tb testing.TB) [2]int {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) })
	return fds
}

func waiter(tb testing.TB, fd int, events int16) *Waiter {
	tb.Helper()
	w, err := New(fd, events)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Close() })
	return w
}

// Each byte is waited for by itself: what was there before does not count, and what comes later is not missed.
func TestWaiterSeesEveryArrival(t *testing.T) {
	fds := pair(t)
	w := waiter(t, fds[0], unix.POLLIN)
	taken := make(chan struct{})
	go func() {
		for range 1000 {
			_, _ = unix.Write(fds[1], []byte{1})
			<-taken
		}
		_ = unix.Shutdown(fds[1], unix.SHUT_WR)
	}()
	for got := 0; ; {
		if err := w.Wait(); err != nil {
			t.Fatal(err)
		}
		var b [1]byte
		n, _, err := unix.Recvfrom(fds[0], b[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if got != 1000 {
				t.Errorf("%d bytes came", got)
			}
			break
		}
		got++
		taken <- struct{}{}
	}
	if flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("the descriptor's flags are %#x, %v", flags, err)
	}
}

func TestWaiterForRoomToWrite(t *testing.T) {
	fds := pair(t)
	for unix.Sendto(fds[1], make([]byte, 4096), unix.MSG_DONTWAIT, nil) == nil {
	}
	w := waiter(t, fds[1], unix.POLLOUT)
	go func() {
		for b := make([]byte, 1<<20); ; {
			if n, err := unix.Read(fds[0], b); err != nil || n == 0 {
				return
			}
		}
	}()
	if err := w.Wait(); err != nil {
		t.Error(err)
	}
	_ = unix.Shutdown(fds[1], unix.SHUT_RDWR)
}

func TestCloseEndsTheWaiting(t *testing.T) {
	w := waiter(t, pair(t)[0], unix.POLLIN)
	done := make(chan error)
	go func() { done <- w.Wait() }()
	_ = w.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestProcessesAndSocketsTakeNoThreadToWaitFor(t *testing.T) {
	const many = 100
	var all sync.WaitGroup
	var waiters []*Waiter
	for range many {
		w := waiter(t, pair(t)[0], unix.POLLIN)
		waiters = append(waiters, w)
		all.Go(func() { _ = w.Wait() })
	}
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		t.Skip("no process descriptors:", err)
	}
	defer func() { _ = unix.Close(fd) }()
	all.Go(func() { Once(fd, unix.POLLIN) })
	if n := pprof.Lookup("threadcreate").Count(); n > many/2 {
		t.Errorf("%d threads for %d waits", n, many+1)
	}
	_ = cmd.Process.Kill()
	for _, w := range waiters {
		_ = w.Close()
	}
	all.Wait()
	_ = cmd.Wait()
}
