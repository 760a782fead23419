package seccomp

import "golang.org/x/sys/unix"

// AuditArch is what a call through this architecture's own entry carries, see linux/audit.h. The x32 entry has the same,
// and numbers that carry X32Bit (__X32_SYSCALL_BIT of asm/unistd.h).
const (
	AuditArch = unix.AUDIT_ARCH_X86_64
	X32Bit    = 0x40000000
)
