package local

import "golang.org/x/sys/unix"

// sealDescriptors marks what this process inherited so that no command inherits it in turn. What Go opens is marked
// already; what a parent left open is not.
func sealDescriptors() { _ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) }
