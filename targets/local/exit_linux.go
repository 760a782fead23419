package local

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/vfs/await"
)

// awaitExit returns when a child has ended, which stays to be waited for. Where it cannot be told it returns at once.
func awaitExit(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	await.Once(fd, unix.POLLIN)
}
