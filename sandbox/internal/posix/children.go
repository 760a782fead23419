package posix

import (
	"context"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// FirstPID is above the kernel's largest process id (PID_MAX_LIMIT, 4 Mi on 64 bits), so that a virtual process id is
// never a real one.
const FirstPID = 1<<22 + 1

// MaxChildren bounds the commands of an interpreter that were not waited for.
const MaxChildren = 256

// A Child is a command that the script started.
type Child struct {
	// PID is its virtual process id, or a real one.
	PID int
	// Exit is how it ended, once Ended reports true.
	Exit sandbox.ExitStatus

	process sandbox.Process
	done    chan struct{}
}

// Status encodes the exit for wait4(2).
func (c *Child) Status() uint32 {
	if c.Exit.Signal != 0 {
		return uint32(c.Exit.Signal) & 0x7f // #nosec G115 -- a signal
	}
	return uint32(c.Exit.Code&0xff) << 8 // #nosec G115 -- eight bits
}

// Ended reports whether the child has ended.
func (c *Child) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Done is closed when the child has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// maxSignal is the largest signal of signal(7).
const maxSignal = 64

// ValidSignal reports whether kill(2) takes the number: 0 asks whether there is such a process.
func ValidSignal(sig int32) bool { return sig >= 0 && sig <= maxSignal }

// Signal sends a signal to the child. An ended child is a zombie, which takes any signal.
func (c *Child) Signal(sig int32) error {
	if sig == 0 || c.Ended() {
		return nil
	}
	if err := c.process.Signal(syscall.Signal(sig)); err != nil {
		return vfs.ErrnoOf(err)
	}
	return nil
}

// Children is the table of a process's children by process id. Its methods may be called from several goroutines.
type Children struct {
	mu      sync.Mutex
	last    int
	byPID   map[int]*Child
	running int           // how many have not ended
	none    *sync.Cond    // signalled when none runs
	changed chan struct{} // closed and replaced when a child ends
	tell    func()
	guard   func(string)
}

// Init makes the table empty. tell is called on another goroutine after a child has ended, when it can be waited for; guard
// is deferred by every goroutine of the table, with what that one does.
func (t *Children) Init(tell func(), guard func(string)) {
	t.last, t.byPID, t.changed, t.tell, t.guard = FirstPID-1, map[int]*Child{}, make(chan struct{}), tell, guard
	t.none = sync.NewCond(&t.mu)
}

// Add takes a started command into the table and waits for it. closing runs when it has ended. An interpreter comes with
// its real process id, which is 0 for a command.
func (t *Children) Add(pid int, p sandbox.Process, closing func()) *Child {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid == 0 {
		t.last++
		pid = t.last
	}
	c := &Child{PID: pid, process: p, done: make(chan struct{})}
	t.byPID[c.PID] = c
	t.running++
	go func() {
		exit := t.outcome(p, closing)
		t.mu.Lock()
		c.Exit = exit
		close(c.done)
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		t.tell()
		t.end()
	}()
	return c
}

// end counts a child out.
func (t *Children) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 {
		t.none.Broadcast()
	}
}

// outcome waits for a process. One that panics is taken for one that failed.
func (t *Children) outcome(p sandbox.Process, closing func()) (exit sandbox.ExitStatus) {
	exit = sandbox.ExitStatus{Code: 255}
	defer t.guard("waiting for a command")
	defer closing()
	if now, err := p.Wait(); err == nil {
		exit = now
	}
	return exit
}

// Count is how many children were not waited for.
func (t *Children) Count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byPID)
}

// Get returns a child that was not waited for, or nil.
func (t *Children) Get(pid int) *Child {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byPID[pid]
}

// Remove takes a child out that was waited for.
func (t *Children) Remove(c *Child) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byPID, c.PID)
}

// WaitTarget turns the first argument of waitpid(2) into a child's process id, or -1 for any: a command leads its own
// process group.
func WaitTarget(pid int32) int {
	switch {
	case pid == 0: // the script's own group, which its children count for
		return -1
	case pid < -1:
		return -int(pid)
	}
	return int(pid)
}

// Waitable returns a child that has ended, pid -1 meaning any, and whether there is one to wait for at all.
func (t *Children) Waitable(pid int) (c *Child, any bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pid != -1 {
		c := t.byPID[pid]
		if c != nil && !c.Ended() {
			return nil, true
		}
		return c, c != nil
	}
	for _, c := range t.byPID {
		if c.Ended() {
			return c, true
		}
	}
	return nil, len(t.byPID) > 0
}

// Changed is closed when another child ends. Ask for it before Waitable, so that none is missed.
func (t *Children) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

// WaitBriefly returns when a child ends, after a time, or with ctx. It returns at once where one that Waitable finds has
// ended already.
func (t *Children) WaitBriefly(ctx context.Context, pid int, most time.Duration) {
	changed := t.Changed()
	if c, _ := t.Waitable(pid); c != nil {
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// WaitAll returns when every command has ended. Their contexts end with the run's.
func (t *Children) WaitAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.running > 0 {
		t.none.Wait()
	}
}
