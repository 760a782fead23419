package jail

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

// Calls that only this architecture has, by the list that they belong to.
var (
	neverHere, attributesHere []uint32
	namesHere                 = []uint32{unix.SYS_RENAMEAT}
	openHere                  []rule
)
