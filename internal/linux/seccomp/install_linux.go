//go:build amd64 || arm64

package seccomp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Install puts the filter on the calling thread for good, and on what it execs. A policy that asks needs listen, and gets a
// descriptor where the questions come; it is -1 otherwise. The thread must have no new privileges (PR_SET_NO_NEW_PRIVS).
func (p *Program) Install(listen bool) (listener int, err error) {
	flags := uintptr(0)
	if listen {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	code := p.For(uint32(unix.Getpid()))                             // #nosec G115 -- positive
	prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]} // #nosec G115 -- at most BPF_MAXINSNS
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	switch {
	case e != 0:
		return -1, fmt.Errorf("install the filter: %w", e)
	case !listen:
		return -1, nil
	}
	return int(fd), nil
}
