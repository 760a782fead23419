// Package seccomp answers the system calls of another process, as a filter of that process asks for it
// (seccomp_unotify(2)). It must never act on what it reads from the other's memory; that is for its callers, on copies.
package seccomp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Notification is struct seccomp_notif of linux/seccomp.h.
type Notification struct {
	ID    uint64
	PID   uint32 // the thread's id in our pid namespace
	Flags uint32
	Nr    int32 // number of the call
	Arch  uint32
	IP    uint64
	Args  [6]uint64
}

// Response is struct seccomp_notif_resp.
type Response struct {
	ID    uint64
	Val   int64 // the call's result
	Err   int32 // or a negative errno
	Flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	id       uint64
	flags    uint32
	srcfd    uint32
	newfd    uint32
	newflags uint32
}

// Flags of linux/seccomp.h.
const (
	Continue   = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE: let the call through, where nothing in memory matters
	addfdSend  = 2 // SECCOMP_ADDFD_FLAG_SEND
	syncWakeUp = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// WakeInPlace asks for answers that are handed over on the processor of the caller, where the kernel can (Linux 6.6).
func WakeInPlace(listener int) {
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, syncWakeUp)
}

// Receive waits for a notification. It returns EINTR on a signal, ENOENT where the thread died meanwhile or, on
// newer kernels, where no thread is left.
func Receive(listener int, n *Notification) unix.Errno {
	*n = Notification{}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return e
}

// Valid reports whether the thread still waits in the call, so that what was read from its memory was its own.
func Valid(listener int, id uint64) bool {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&id)))
	return e == 0
}

// Send answers. A thread that died meanwhile is nobody's loss.
func Send(listener int, r *Response) {
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
}

// Inject puts a copy of fd into the process and answers the call with its number.
func Inject(listener int, id uint64, fd int, cloexec bool) unix.Errno {
	a := addition{id: id, flags: addfdSend, srcfd: uint32(fd)}
	if cloexec {
		a.newflags = unix.O_CLOEXEC
	}
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
	return e
}

// Place puts a copy of fd into the process under a number of our choice. The call stays unanswered.
func Place(listener int, id uint64, fd, number int, cloexec bool) unix.Errno {
	a := addition{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, srcfd: uint32(fd), newfd: uint32(number)} // #nosec G115 -- descriptors
	if cloexec {
		a.newflags = unix.O_CLOEXEC
	}
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
	return e
}

// SizesFit compares the kernel's structures with ours; the kernel's may have grown, and then it writes more.
func SizesFit() bool {
	var sizes struct{ notif, resp, data uint16 }
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	return e == 0 && sizes.notif <= uint16(unsafe.Sizeof(Notification{})) && sizes.resp <= uint16(unsafe.Sizeof(Response{}))
}
