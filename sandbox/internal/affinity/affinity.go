//go:build linux

// Package affinity pins the two threads of a dialogue to one processor (sched_setaffinity(2)) while they take turns
// quickly. The kernel wakes a thread on an idle processor, and that takes several times as long as the answer itself. The
// package must never keep work that only one side does from another processor for long: a pin ends by itself after a time.
package affinity

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Burst tells a burst of turns from turns with pauses: it is a burst when the last Turns turns took less time than Within.
type Burst struct {
	Turns  int
	Within time.Duration

	left  int       // turns that are left of these many
	begin time.Time // of these
	dense bool      // the ones before came one after the other
}

// Next counts a turn and reports whether both sides are to be pinned for it. The first of each Turns is left to the
// kernel, which may find a better processor.
func (b *Burst) Next(now time.Time) bool {
	if b.left == 0 {
		b.dense = now.Sub(b.begin) < b.Within
		b.left, b.begin = b.Turns, now
	}
	b.left--
	return b.dense && b.left < b.Turns-1
}

// Pair is two threads: one that calls Pin, locked to its goroutine, and its peer. The zero value is not usable. Unpin
// of a nil Pair does nothing.
type Pair struct {
	peer func(func(tid int))
	most time.Duration

	mu    sync.Mutex
	asked bool        // the following are known
	able  bool        // there are several processors, and the kernel lets us
	all   unix.CPUSet // where both may run
	own   int         // the thread that called Pin, while the two are pinned
	timer *time.Timer
}

// New makes a pair that is never pinned for longer than most. peer calls a function with the id of the other thread, for as
// long as that is nobody else's, and not at all where that thread has ended.
func New(most time.Duration, peer func(func(tid int))) *Pair { return &Pair{peer: peer, most: most} }

// Pin keeps both threads on the processor of the caller, until Unpin is called or their time is over. It reports whether
// they are pinned. Neither may make a thread meanwhile, which would inherit the affinity: for a goroutine that is locked to
// its thread the runtime has others make them.
func (p *Pair) Pin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own != 0 {
		return true
	}
	var here uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&here)), 0, 0); e != 0 || !p.mayPin() {
		return false
	}
	var one unix.CPUSet
	one.Set(int(here))
	p.peer(func(tid int) {
		if setAffinity(0, &one) {
			p.own = unix.Gettid()
			setAffinity(tid, &one)
		}
	})
	if p.own == 0 {
		return false
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.most, p.Unpin)
	} else {
		p.timer.Reset(p.most)
	}
	return true
}

// Unpin lets both run anywhere again. Any thread may call it. It must have been called before the caller's own id is given
// back to the kernel.
func (p *Pair) Unpin() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == 0 {
		return
	}
	p.timer.Stop()
	p.peer(func(tid int) { setAffinity(tid, &p.all) })
	setAffinity(p.own, &p.all)
	p.own = 0
}

// mayPin reports whether there is anywhere else to run, and whether the kernel lets us say where.
func (p *Pair) mayPin() bool {
	if !p.asked {
		p.asked = true
		p.peer(func(tid int) {
			p.able = unix.SchedGetaffinity(tid, &p.all) == nil && p.all.Count() > 1 && setAffinity(tid, &p.all)
		})
	}
	return p.able
}

// setAffinity says on which processors a thread runs, 0 for this one. It reports whether the kernel took it. Where all
// processors of a set were taken from the thread, as a change of its cpuset(7) can do, it gets those that it may have.
func setAffinity(tid int, set *unix.CPUSet) bool {
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
