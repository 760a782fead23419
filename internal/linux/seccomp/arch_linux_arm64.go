package seccomp

import "golang.org/x/sys/unix"

// AuditArch is what a call through this architecture's own entry carries, see linux/audit.h. There is no x32 here.
const (
	AuditArch = unix.AUDIT_ARCH_AARCH64
	X32Bit    = 0
)
