//go:build linux && (amd64 || arm64)

package native

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs/seccomp"
)

// An answer is handed over on the processor of the thread that asked (seccomp.WakeInPlace), but not one that brings a
// descriptor: for that the kernel wakes the thread as it wakes any, on a processor that is idle, and the supervisor
// likewise when the descriptor is in place. To wake two processors takes several times as long as the open. So where a
// script opens many files one after the other, both sides stay where they are for as long as that takes.

// together is what a supervisor knows of its interpreter's opens.
type together struct {
	count int       // opens that are left of these many
	begin time.Time // of these
	dense bool      // the ones before came one after the other

	asked bool        // the following are known
	able  bool        // there are several processors, and the kernel lets us
	all   unix.CPUSet // where both may run
}

// A script opens many files where it opens denseOpens within denseTime.
const (
	denseOpens = 32
	denseTime  = 10 * time.Millisecond
)

// opens counts an open and reports whether both sides are to stay together for it. The first of each denseOpens is left to
// the kernel, which may find a better processor.
func (t *together) opens(now time.Time) bool {
	if t.count == 0 {
		t.dense = now.Sub(t.begin) < denseTime
		t.count, t.begin = denseOpens, now
	}
	t.count--
	return t.dense && t.count < denseOpens-1
}

// inject answers an open with a descriptor. Only the interpreter's first thread is kept: its id is nobody else's, see
// memory.go.
func (r *run) inject(n *seccomp.Notification, fd int, cloexec bool) unix.Errno {
	if r.family == nil || int(n.PID) != r.pid || !r.together.opens(time.Now()) || !r.mayKeep() {
		return seccomp.Inject(r.listener, n.ID, fd, cloexec)
	}
	var here uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&here)), 0, 0); e != 0 {
		return seccomp.Inject(r.listener, n.ID, fd, cloexec)
	}
	var one unix.CPUSet
	one.Set(int(here))
	// What else this supervisor is asked waits until both are free again. So no thread is made meanwhile, which would stay
	// where its maker is, and sched_getaffinity(2), which the script is told by the kernel, tells where it may run.
	keep(0, &one)
	keep(r.pid, &one)
	e := seccomp.Inject(r.listener, n.ID, fd, cloexec)
	keep(r.pid, &r.together.all)
	keep(0, &r.together.all)
	return e
}

// mayKeep reports whether there is anywhere else to run, and whether the kernel lets us say where.
func (r *run) mayKeep() bool {
	t := &r.together
	if !t.asked {
		t.asked = true
		t.able = unix.SchedGetaffinity(r.pid, &t.all) == nil && t.all.Count() > 1 && keep(r.pid, &t.all)
	}
	return t.able
}

// keep says on which processors a thread runs, 0 for this one. It reports whether the kernel took it. Where all processors
// of a set were taken from the thread, as a change of its cpuset(7) can do, it gets those that it may have.
func keep(tid int, set *unix.CPUSet) bool {
	put := func(set *unix.CPUSet) unix.Errno {
		_, _, e := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
		return e
	}
	e := put(set)
	if e == unix.EINVAL {
		var every unix.CPUSet
		for i := range every {
			every[i] = ^every[i]
		}
		e = put(&every)
	}
	return e == 0
}
