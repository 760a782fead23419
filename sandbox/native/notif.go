//go:build linux && (amd64 || arm64)

package native

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// notification is struct seccomp_notif of linux/seccomp.h.
type notification struct {
	id    uint64
	pid   uint32 // the thread's id in our pid namespace
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

// addition is struct seccomp_notif_addfd.
type addition struct {
	id       uint64
	flags    uint32
	srcfd    uint32
	newfd    uint32
	newflags uint32
}

const (
	notifContinue = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE
	addfdSend     = 2 // SECCOMP_ADDFD_FLAG_SEND
	syncWakeUp    = 1 // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
)

// receive waits for a notification. It returns EINTR on a signal, ENOENT where the thread died meanwhile or, on
// newer kernels, where no thread is left.
func receive(listener int, n *notification) unix.Errno {
	*n = notification{}
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return e
}

// valid reports whether the thread still waits in the call, so that what was read from its memory was its own.
func valid(listener int, id uint64) bool {
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ID_VALID, uintptr(unsafe.Pointer(&id)))
	return e == 0
}

// send answers. A thread that died meanwhile is nobody's loss.
func send(listener int, r *response) {
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
}

// inject puts a copy of fd into the process and answers the call with its number.
func inject(listener int, id uint64, fd int, cloexec bool) unix.Errno {
	a := addition{id: id, flags: addfdSend, srcfd: uint32(fd)}
	if cloexec {
		a.newflags = unix.O_CLOEXEC
	}
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
	return e
}

// place puts a copy of fd into the process under a number of our choice. The call stays unanswered.
func place(listener int, id uint64, fd, number int) unix.Errno {
	a := addition{id: id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, srcfd: uint32(fd), newfd: uint32(number)} // #nosec G115 -- descriptors
	_, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_ADDFD, uintptr(unsafe.Pointer(&a)))
	return e
}

// notifSizesFit compares the kernel's structures with ours; the kernel's may have grown, and then it writes more.
func notifSizesFit() bool {
	var sizes struct{ notif, resp, data uint16 }
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	return e == 0 && sizes.notif <= uint16(unsafe.Sizeof(notification{})) && sizes.resp <= uint16(unsafe.Sizeof(response{}))
}
