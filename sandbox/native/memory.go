//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxPath is PATH_MAX, the longest path with its NUL.
const maxPath = 4096

var pageSize = uint64(os.Getpagesize())

// readMemory copies memory of a thread, once. It returns fewer bytes than asked for where the mapping ends.
func readMemory(tid int, addr uint64, p []byte) (int, unix.Errno) {
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

// writeMemory copies p to a thread's memory, all of it or it fails. It honours the script's own page protection.
func writeMemory(tid int, addr uint64, p []byte) unix.Errno {
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

// put writes an answer to the memory of the thread that asked, all of it or it fails. A handler may have taken long: where
// the thread has ended meanwhile, its number may be another process's by now.
func (r *run) put(n *notification, addr uint64, p []byte) unix.Errno {
	if !valid(r.listener, n.id) {
		return unix.ESRCH
	}
	return writeMemory(int(n.pid), addr, p)
}

// readPath copies a NUL-terminated path. It reads up to a page's end at a time, since the next page may not be
// mapped, and no more than PATH_MAX.
func readPath(tid int, addr uint64, buffer *[maxPath]byte) (string, unix.Errno) {
	if addr == 0 {
		return "", unix.EFAULT
	}
	have := 0
	chunk := uint64(256) // most paths are short
	for have < maxPath {
		at := addr + uint64(have)
		n := min(chunk, pageSize-at%pageSize, uint64(maxPath-have))
		got, e := readMemory(tid, at, buffer[have:have+int(n)])
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

// asBytes is the memory of a fixed-size kernel structure.
func asBytes[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}
