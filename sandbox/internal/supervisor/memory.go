//go:build linux && (amd64 || arm64)

package supervisor

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// seccomp_unotify(2) wants it checked that the thread still waits whenever its memory was read by its id: had it ended, the
// id might be another process's by now. The supervisor goes another way, which takes no such question. It reads and
// writes by the id of the process itself. Nobody but Reap gives that id back to the kernel, and not before the
// supervising goroutine has ended; until then it is the process or what is left of it, which has no memory. And all
// of its threads have the same memory: the filter lets it make no others, and after the first stage's it makes no exec.
//
// Two cases are left in which the question is asked:
//   - The process's first thread may end before the others. It has no memory from then on, so that the asking thread's
//     own id is used.
//   - Before Linux 5.19 a signal interrupts a call that was received. Its thread goes on, and must find nothing written
//     behind its back, nor have done what it was told was interrupted. Since then only the end of the process does.

// waits reports whether a thread still waits for the answer to a notification.
func (p *Process) waits(id uint64) bool {
	if p.valid != nil {
		return p.valid(id)
	}
	return seccomp.Valid(p.listener, id)
}

// through calls access with an id by which the memory of the thread that asked is reached, for reading or for writing
// alone: what was read is made sure of afterwards, what is to be written before.
func (p *Process) through(n *seccomp.Notification, writing bool, access func(id int) unix.Errno) unix.Errno {
	if p.firm {
		if e := access(p.PID); e != unix.ESRCH {
			return e
		}
	}
	if writing && !p.waits(n.ID) {
		return unix.ESRCH
	}
	e := access(int(n.PID))
	if e == 0 && !writing && !p.waits(n.ID) {
		return unix.ESRCH
	}
	return e
}

// Read reads memory of the thread that asked, all of it or it fails.
func (p *Process) Read(n *seccomp.Notification, addr uint64, b []byte) unix.Errno {
	return p.through(n, false, func(id int) unix.Errno {
		got, e := seccomp.ReadMemory(id, addr, b)
		if e == 0 && got != len(b) {
			return unix.EFAULT
		}
		return e
	})
}

// ReadPath reads a path, once.
func (p *Process) ReadPath(n *seccomp.Notification, addr uint64) (text string, e unix.Errno) {
	e = p.through(n, false, func(id int) (e unix.Errno) {
		text, e = seccomp.ReadPath(id, addr, &p.buffer)
		return e
	})
	return text, e
}

// Write writes an answer to the memory of the thread that asked, all of it or it fails.
func (p *Process) Write(n *seccomp.Notification, addr uint64, b []byte) unix.Errno {
	return p.through(n, true, func(id int) unix.Errno { return seccomp.WriteMemory(id, addr, b) })
}
