//go:build linux

// Package together keeps the two threads of a dialogue on one processor for as long as they take turns quickly. Where
// one side is woken on a processor that is idle, as the kernel does it, the waking takes several times as long as the
// answer. What only one side does must never be kept from another processor for long: who is kept is free again after a
// time without being asked.
package together

import (
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pace tells a dense dialogue from one with pauses: it is dense when as many turns as Turns took less time than Within.
type Pace struct {
	Turns  int
	Within time.Duration

	left  int       // turns that are left of these many
	begin time.Time // of these
	dense bool      // the ones before came one after the other
}

// Next counts a turn and reports whether both sides are to stay together for it. The first of each Turns is left to the
// kernel, which may find a better processor.
func (p *Pace) Next(now time.Time) bool {
	if p.left == 0 {
		p.dense = now.Sub(p.begin) < p.Within
		p.left, p.begin = p.Turns, now
	}
	p.left--
	return p.dense && p.left < p.Turns-1
}

// Pair are two threads: one that calls Keep, locked to its goroutine, and its peer. The zero value is not usable, and of a
// nil one only Free.
type Pair struct {
	peer func(func(tid int))
	most time.Duration

	mu    sync.Mutex
	asked bool        // the following are known
	able  bool        // there are several processors, and the kernel lets us
	all   unix.CPUSet // where both may run
	own   int         // the thread that called Keep, while the two are kept
	timer *time.Timer
}

// New makes a pair that is never kept for longer than most. peer calls a function with the id of the other thread, for as
// long as that is nobody else's, and not at all where that thread has ended.
func New(most time.Duration, peer func(func(tid int))) *Pair { return &Pair{peer: peer, most: most} }

// Keep has both threads stay on the processor of the caller, until Free is called or their time is over. It reports whether
// they do. Neither may make a thread meanwhile, which would stay where its maker is: for a goroutine that is locked to its
// thread the runtime has others make them.
func (p *Pair) Keep() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own != 0 {
		return true
	}
	var here uint32
	if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&here)), 0, 0); e != 0 || !p.mayKeep() {
		return false
	}
	var one unix.CPUSet
	one.Set(int(here))
	p.peer(func(tid int) {
		if keep(0, &one) {
			p.own = unix.Gettid()
			keep(tid, &one)
		}
	})
	if p.own == 0 {
		return false
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.most, p.Free)
	} else {
		p.timer.Reset(p.most)
	}
	return true
}

// Free lets both run anywhere again. Any thread may call it. It must have been called before the caller's own id is given
// back to the kernel.
func (p *Pair) Free() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == 0 {
		return
	}
	p.timer.Stop()
	p.peer(func(tid int) { keep(tid, &p.all) })
	keep(p.own, &p.all)
	p.own = 0
}

// mayKeep reports whether there is anywhere else to run, and whether the kernel lets us say where.
func (p *Pair) mayKeep() bool {
	if !p.asked {
		p.asked = true
		p.peer(func(tid int) {
			p.able = unix.SchedGetaffinity(tid, &p.all) == nil && p.all.Count() > 1 && keep(tid, &p.all)
		})
	}
	return p.able
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
