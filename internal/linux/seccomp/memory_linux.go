package seccomp

import (
	"bytes"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxPath is PATH_MAX, the longest path with its NUL.
const MaxPath = 4096

var pageSize = uint64(os.Getpagesize())

// ReadMemory copies memory of a thread, once. It returns fewer bytes than asked for where the mapping ends.
func ReadMemory(tid int, addr uint64, p []byte) (int, unix.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	local := unix.Iovec{Base: &p[0], Len: uint64(len(p))}
	remote := unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
	n, _, e := unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&remote)), 1, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// WriteMemory copies p to a thread's memory, all of it or it fails. It honours the script's own page protection.
func WriteMemory(tid int, addr uint64, p []byte) unix.Errno {
	if len(p) == 0 {
		return 0
	}
	local := unix.Iovec{Base: &p[0], Len: uint64(len(p))}
	remote := unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
	n, _, e := unix.RawSyscall6(unix.SYS_PROCESS_VM_WRITEV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1,
		uintptr(unsafe.Pointer(&remote)), 1, 0)
	if e != 0 {
		return e
	}
	if int(n) != len(p) {
		return unix.EFAULT
	}
	return 0
}

// ReadPath copies a NUL-terminated path. It reads up to a page's end at a time, since the next page may not be
// mapped, and no more than PATH_MAX.
func ReadPath(tid int, addr uint64, buffer *[MaxPath]byte) (string, unix.Errno) {
	if addr == 0 {
		return "", unix.EFAULT
	}
	have := 0
	chunk := uint64(256) // most paths are short
	for have < MaxPath {
		at := addr + uint64(have)
		n := min(chunk, pageSize-at%pageSize, uint64(MaxPath-have))
		got, e := ReadMemory(tid, at, buffer[have:have+int(n)])
		if e != 0 {
			return "", e
		}
		if got == 0 {
			return "", unix.EFAULT
		}
		if i := bytes.IndexByte(buffer[have:have+got], 0); i >= 0 {
			return string(buffer[:have+i]), 0
		}
		have += got
		chunk = pageSize
	}
	return "", unix.ENAMETOOLONG
}

// Bytes is the memory of a fixed-size structure of the kernel's, to be read or written as a whole.
func Bytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
