//go:build unix && !linux

// Package await waits for descriptors.
package await

import "golang.org/x/sys/unix"

// Once waits for events on a descriptor, once.
func Once(fd int, events int16) {
	list := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		if _, err := unix.Poll(list, -1); err != unix.EINTR {
			return
		}
	}
}
