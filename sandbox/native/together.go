//go:build linux && (amd64 || arm64)

package native

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs/seccomp"
)

// An answer is handed over on the processor of the thread that asked (seccomp.WakeInPlace), but not one that brings a
// descriptor: for that the kernel wakes the thread as it wakes any, on a processor that is idle, and the supervisor
// likewise when the descriptor is in place. To wake two processors takes several times as long as the open. So where a
// script opens many files one after the other, both sides are kept on one processor for a while: for denseOpens of them,
// and never for longer than denseTime, in which they should have been made.

// A script opens many files where it opens denseOpens within denseTime.
const (
	denseOpens = 32
	denseTime  = 10 * time.Millisecond
)

// together counts an interpreter's opens, and keeps its first thread and its supervisor's on one processor.
type together struct {
	count int       // opens that are left of these many
	begin time.Time // of these
	dense bool      // the ones before came one after the other

	asked bool        // the following are known
	able  bool        // there are several processors, and the kernel lets us
	all   unix.CPUSet // where both may run

	mu    sync.Mutex
	kept  [2]int // the threads that are kept on one processor; 0 for none
	timer *time.Timer
}

// opens counts an open and reports whether both sides are to be together for it. The first of each denseOpens is left to
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
	if r.family != nil && int(n.PID) == r.pid {
		if r.together.opens(time.Now()) {
			r.together.meet(r.pid)
		} else {
			r.together.part()
		}
	}
	return seccomp.Inject(r.listener, n.ID, fd, cloexec)
}

// meet keeps a thread and the calling one on the processor of the latter, until part is called or denseTime has passed.
// Neither may make a thread meanwhile, which would stay where its maker is. The supervisor's is locked to its goroutine,
// so that the Go runtime has others make them; the interpreter asks first, and is answered after part.
func (t *together) meet(tid int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept[0] != 0 || !t.mayKeep(tid) {
		return
	}
	var here uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&here)), 0, 0); e != 0 {
		return
	}
	var one unix.CPUSet
	one.Set(int(here))
	t.kept = [2]int{tid, unix.Gettid()}
	for _, tid := range t.kept {
		keep(tid, &one)
	}
	if t.timer == nil {
		t.timer = time.AfterFunc(denseTime, t.part)
	} else {
		t.timer.Reset(denseTime)
	}
}

// part lets both threads run anywhere again. It must have been called before either id is given back to the kernel.
func (t *together) part() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept[0] == 0 {
		return
	}
	t.timer.Stop()
	for _, tid := range t.kept {
		keep(tid, &t.all)
	}
	t.kept = [2]int{}
}

// mayKeep reports whether there is anywhere else to run, and whether the kernel lets us say where.
func (t *together) mayKeep(tid int) bool {
	if !t.asked {
		t.asked = true
		t.able = unix.SchedGetaffinity(tid, &t.all) == nil && t.all.Count() > 1 && keep(tid, &t.all)
	}
	return t.able
}

// keep says on which processors a thread runs. It reports whether the kernel took it. Where all processors of a set were
// taken from the thread, as a change of its cpuset(7) can do, it gets those that it may have.
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
