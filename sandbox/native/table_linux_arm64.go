package native

import (
	"debug/elf"

	"golang.org/x/sys/unix"
)

// auditArch is AUDIT_ARCH_AARCH64, see linux/audit.h. A 32-bit process is killed. There is no x32.
const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib/ld-linux-aarch64.so.1"

// archTable is empty: this architecture has no call of its own that matters.
var archTable []row

// elfMachine is what this architecture's libraries say in their header.
const elfMachine = elf.EM_AARCH64
