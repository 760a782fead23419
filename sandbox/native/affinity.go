//go:build linux && (amd64 || arm64)

package native

import (
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/affinity"
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

// opens tells bursts of an interpreter's opens, and what keeps its first thread and its supervisor's on one processor.
type opens struct {
	burst affinity.Burst
	pair  *affinity.Pair // once there was one
}

// inject answers an open with a descriptor. Only the interpreter's first thread is kept: its id is nobody else's, see
// memory.go. A thread that it makes asks first, and is answered when it is free again.
func (r *run) inject(n *seccomp.Notification, fd int, cloexec bool) unix.Errno {
	if r.tree != nil && int(n.PID) == r.proc.PID {
		r.opens.next(r.proc.PID)
	}
	return r.proc.Inject(n, fd, cloexec)
}

// next is told of an open of an interpreter's first thread. It keeps both sides on one processor where these are dense.
func (o *opens) next(tid int) {
	if o.pair == nil {
		o.burst = affinity.Burst{Turns: denseOpens, Within: denseTime}
		o.pair = affinity.New(denseTime, func(do func(tid int)) { do(tid) })
	}
	if o.burst.Next(time.Now()) {
		o.pair.Pin()
	} else {
		o.pair.Unpin()
	}
}
