//go:build linux && (amd64 || arm64)

package jail

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs/await"
)

// Answer calls answer with each notification of a listener, and closes that. It returns when no process has the listener's filter
// any more. Where it cannot wait, what is asked fails: nobody answers.
func Answer(listener int, answer func(n *seccomp.Notification)) {
	defer func() { _ = unix.Close(listener) }()
	waiter, err := await.New(listener, unix.POLLIN)
	if err != nil {
		return
	}
	defer func() { _ = waiter.Close() }()
	for waiter.Wait() == nil {
		poll := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
		if _, err := unix.Poll(poll, 0); err == unix.EINTR {
			continue
		} else if err != nil || poll[0].Revents&unix.POLLIN == 0 {
			return
		}
		var n seccomp.Notification
		if seccomp.Receive(listener, &n) == 0 { // else it died meanwhile
			answer(&n)
		}
	}
}

// answerOpens refuses what is hidden where that is opened for reading, see hidden_linux.go. It gives an observer /dev/null where it
// opens that for writing, and EACCES where it opens anything else for writing. The gateway opens the device itself: whatever a process
// makes of the memory that held the path, it gets the null device or nothing.
func answerOpens(listener int, hidden func(name string) bool) {
	null, err := openNull(unix.O_RDWR)
	if err == nil {
		defer func() { _ = unix.Close(null) }()
	}
	var buffer [seccomp.MaxPath]byte
	Answer(listener, func(n *seccomp.Notification) {
		at, flags := n.Args[0], n.Args[1] // open
		if n.Nr == unix.SYS_OPENAT {
			at, flags = n.Args[1], n.Args[2]
		}
		if flags&writing == 0 {
			reply := seccomp.Response{ID: n.ID, Err: -int32(unix.EACCES)}
			if hidden != nil && mayRead(n, hidden, &buffer) && seccomp.Valid(listener, n.ID) {
				reply = seccomp.Response{ID: n.ID, Flags: seccomp.Continue}
			}
			seccomp.Send(listener, &reply)
			return
		}
		if text, e := seccomp.ReadPath(int(n.PID), at, &buffer); err == nil && e == 0 && text == "/dev/null" {
			if seccomp.Inject(listener, n.ID, null, flags&unix.O_CLOEXEC != 0) == 0 {
				return
			}
		}
		seccomp.Send(listener, &seccomp.Response{ID: n.ID, Err: -int32(unix.EACCES)})
	})
}
