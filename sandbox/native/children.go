//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// firstPID is above the kernel's largest process id (PID_MAX_LIMIT, 4 Mi on 64 bits), so that a virtual process id is
// never a real one.
const firstPID = 1<<22 + 1

// pollWait is how long a blocking wait4 goes without EINTR. CPython's signal handlers run no later than that.
const pollWait = 50 * time.Millisecond

// maxChildren bounds the commands of an interpreter that were not waited for, and those of all that run.
const maxChildren = 256

// A child is a command that the script started.
type child struct {
	pid     int
	process sandbox.Process
	done    chan struct{}
	exit    sandbox.ExitStatus // once done is closed
}

// status encodes the exit for wait4(2).
func (c *child) status() int {
	if c.exit.Signal != 0 {
		return int(c.exit.Signal) & 0x7f
	}
	return (c.exit.Code & 0xff) << 8
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) signal(sig int32) unix.Errno {
	if sig == 0 || c.ended() {
		return 0 // an ended child is a zombie, which takes any signal
	}
	if err := c.process.Signal(syscall.Signal(sig)); err != nil {
		return errnoOf(err)
	}
	return 0
}

// children is the table of commands by virtual process id.
type children struct {
	mu      sync.Mutex
	last    int
	byPID   map[int]*child
	running sync.WaitGroup
	changed chan struct{} // closed and replaced when a child ends
	tell    func()        // called when a child has ended
	guard   func(string)  // deferred by what waits for one, see run.guard
}

// init makes the table empty. tell is called on another goroutine after a child has ended, when it can be waited for.
func (t *children) init(tell func(), guard func(string)) {
	t.guard = guard
	t.last, t.byPID, t.changed, t.tell = firstPID-1, map[int]*child{}, make(chan struct{}), tell
}

// add takes a started command into the table and waits for it. closing runs when it has ended. An interpreter comes
// with its real process id, which is 0 for a command.
func (t *children) add(pid int, p sandbox.Process, closing func()) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid == 0 {
		t.last++
		pid = t.last
	}
	c := &child{pid: pid, process: p, done: make(chan struct{})}
	t.byPID[c.pid] = c
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		exit := t.outcome(p, closing)
		t.mu.Lock()
		c.exit = exit
		close(c.done)
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		t.tell()
	}()
	return c.pid
}

// outcome waits for a process. One that panics is taken for one that failed.
func (t *children) outcome(p sandbox.Process, closing func()) (exit sandbox.ExitStatus) {
	exit = sandbox.ExitStatus{Code: 255}
	defer t.guard("waiting for a command")
	defer closing()
	if now, err := p.Wait(); err == nil {
		exit = now
	}
	return exit
}

func (t *children) full() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byPID) >= maxChildren
}

func (t *children) get(pid int) *child {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byPID[pid]
}

func (t *children) remove(c *child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byPID, c.pid)
}

// waitable returns a child that has ended, pid -1 meaning any, and whether there is one to wait for at all.
func (t *children) waitable(pid int) (c *child, any bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid != -1 {
		c := t.byPID[pid]
		if c != nil && !c.ended() {
			return nil, true
		}
		return c, c != nil
	}
	for _, c := range t.byPID {
		if c.ended() {
			return c, true
		}
	}
	return nil, len(t.byPID) > 0
}

// waitBriefly returns when a child ends, or after pollWait.
func (t *children) waitBriefly(ctx context.Context, pid int) {
	t.mu.Lock()
	changed := t.changed
	c := t.byPID[pid]
	ready := c != nil && c.ended()
	t.mu.Unlock()
	if ready {
		return
	}
	timer := time.NewTimer(pollWait)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// wait returns when every command has ended; ctx ends them.
func (t *children) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { t.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		<-done // the commands' own contexts end with it
	}
}
