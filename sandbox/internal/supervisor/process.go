//go:build linux && (amd64 || arm64)

// Package supervisor starts programs behind the layers of confinement that this machine has (namespaces, Landlock, an
// unprivileged user, no capabilities, resource limits, a filter of system calls), and receives the calls that a filter
// asks about. Both engines start their interpreters by it. It knows nothing of Python, files or commands. Begin with process.go; stage.go is what
// happens before a program runs. It must never
// let a program run that lacks what is always there: the filter, no capabilities, no new privileges, the parent-death
// signal.
package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
	"shannot-gateway/vfs/await"
)

// Process is a supervised process.
type Process struct {
	// PID is its process id, once it has started.
	PID int

	log             func(message string, args ...any)
	firm            bool                 // nothing but the end of the process interrupts a call that was received
	valid           func(id uint64) bool // see State; nil for the kernel itself
	pidfd, listener int
	process         *os.Process
	thread          atomic.Int32  // the supervising thread's id
	supervised      chan struct{} // closed when no call is answered any more
	exited          atomic.Bool
	execed          bool                  // the first stage's exec was let through
	loaded          atomic.Bool           // the first call after it has come, so that its memory is no copy of the gateway's any more
	config          Config                // what it is started with, until it has its arguments; of the supervising goroutine
	buffer          [seccomp.MaxPath]byte // for a path; of the supervising goroutine
	closing         struct {
		sync.Mutex // held while the descriptor is used for a signal, and while it is closed
		done       bool
	}
}

// New makes a process that was not started. log receives what an operator may need.
func New(log func(message string, args ...any)) *Process {
	return &Process{log: log, pidfd: -1, listener: -1}
}

// An Answerer is whom the calls of a process are for. Its methods run on the goroutine that supervises the process, and
// that goroutine has a thread of its own.
type Answerer interface {
	// Started is called when the process waits for its first exec. Its standard streams are still open here.
	Started()
	// Loaded is called when the first call of the program waits for its answer. err says that the program could not be
	// given its arguments: it must be killed.
	Loaded(err error)
	// Answer answers a call, now or later.
	Answer(n *seccomp.Notification)
	// Ended is called when no call comes any more. err says what failed, where that is not the end of the process.
	Ended(err error)
	// Panicked is called in place of the rest after one of these has panicked.
	Panicked(value any)
}

// ErrPanic is how the start of a process fails where its Answerer panicked.
var ErrPanic = errors.New("internal error in the sandbox")

// Start starts the loader with these standard streams, and returns when it waits for its first answer. The streams are closed
// here. Where it fails, the process has ended, and Close releases what is left of it.
func (p *Process) Start(loader *os.File, config Config, streams [3]*os.File, a Answerer) error {
	started := make(chan error, 1)
	p.supervised = make(chan struct{})
	go func() {
		defer close(p.supervised)
		p.supervise(loader, config, streams, a, started)
	}()
	err := <-started
	if err == nil {
		return nil
	}
	if p.process != nil {
		_ = p.process.Kill()
		state, _ := p.collect()
		err = fmt.Errorf("%w (%v)", err, state)
	}
	<-p.supervised
	return err
}

// supervise starts the process and has its calls answered until it has ended. It owns its thread: the child's parent-death
// signal hangs on it, and the receive loop blocks in it.
func (p *Process) supervise(loader *os.File, config Config, streams [3]*os.File, a Answerer, started chan<- error) {
	defer func() {
		if value := recover(); value != nil {
			a.Panicked(value)
			select {
			case started <- ErrPanic:
			default: // it was told already
			}
		}
	}()
	runtime.LockOSThread() // and never unlock: the thread has its own signal mask and ends with this goroutine
	p.thread.Store(int32(unix.Gettid()))
	err := p.start(loader, config, streams)
	if err == nil {
		a.Started()
	}
	for _, f := range streams {
		_ = f.Close()
	}
	started <- err
	if err != nil {
		return
	}
	holdSignals() // only now: the process would have inherited them
	a.Ended(p.receive(a))
}

// start runs the first stage up to the point where it has handed over its listener. It must be called on a locked thread
// that outlives the process, since the parent-death signal is the thread's.
func (p *Process) start(loader *os.File, config Config, streams [3]*os.File) error {
	p.config = config
	s, err := startStage(loader, config, streams)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s.control) }()
	p.process, p.PID, p.pidfd = s.process, s.pid, s.pidfd
	vfs.Conceal(p.PID)
	if p.listener, p.firm, err = s.proceed(); err != nil {
		return err
	}
	seccomp.WakeInPlace(p.listener)
	return writeFull(s.control, []byte{1})
}

// wakeSignal interrupts the receive loop of a process that has ended. Nobody else sends it.
const wakeSignal = unix.Signal(64)

// holdSignals blocks the signals that the Go runtime sends its threads (preemption above all) and the process's own. A
// signal in the middle of SECCOMP_IOCTL_NOTIF_ADDFD makes the kernel answer the script's open with 0 and no
// descriptor. Faults stay unblocked, or a panic could not be recovered.
func holdSignals() {
	set := ^uint64(0)
	for _, s := range []unix.Signal{
		wakeSignal, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT,
	} {
		set &^= 1 << (s - 1)
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&set)), 0, unsafe.Sizeof(set), 0, 0)
}

// receive has each call answered, until no thread of the process is left.
func (p *Process) receive(a Answerer) error {
	var n seccomp.Notification
	for {
		switch e := seccomp.Receive(p.listener, &n); e {
		case 0:
			if p.execed && !p.loaded.Swap(true) {
				err := p.config.reveal(p.PID)
				p.config = Config{}
				a.Loaded(err)
			}
			a.Answer(&n)
		case unix.EINTR, unix.EAGAIN:
			if p.exited.Load() {
				return nil
			}
		case unix.ENOENT:
			// The caller was killed before we saw the call, or nobody is left.
			if p.exited.Load() || p.abandoned() {
				return nil
			}
		default:
			return fmt.Errorf("receive system call: %w", e)
		}
	}
}

// abandoned reports whether the filter has no user any more.
func (p *Process) abandoned() bool {
	poll := []unix.PollFd{{Fd: int32(p.listener), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
	n, err := unix.Poll(poll, 0)
	return err == nil && n == 1 && poll[0].Revents&unix.POLLHUP != 0
}

// IsFirstExec reports whether a call is the first stage's exec of the loader, which must be let through: once, since its
// arguments are the gateway's, and no instruction of the program has run yet.
func (p *Process) IsFirstExec(n *seccomp.Notification) bool {
	if p.execed || int32(n.Args[0]) != LoaderFD || n.Args[4] != unix.AT_EMPTY_PATH { // #nosec G115 -- a descriptor
		return false
	}
	p.execed = true
	return true
}

// Execed reports whether the first stage's exec was let through. It is for the supervising goroutine.
func (p *Process) Execed() bool { return p.execed }

// Loaded reports whether the process is the program, and no first stage any more.
func (p *Process) Loaded() bool { return p.loaded.Load() }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool { return p.exited.Load() }

// Alive asks the kernel whether the process is there.
func (p *Process) Alive() bool {
	end := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
	n, err := unix.Poll(end, 0)
	return err == nil && n == 0
}

// Reply answers a call with a result, or with an errno that is not 0.
func (p *Process) Reply(n *seccomp.Notification, value int64, e unix.Errno) {
	seccomp.Send(p.listener, &seccomp.Response{ID: n.ID, Val: value, Err: -int32(e)}) // #nosec G115 -- an errno
}

// ReplyLater answers a call that was not answered at once, unless nobody waits for the answer any more.
func (p *Process) ReplyLater(id uint64, e unix.Errno) {
	if p.waits(id) {
		seccomp.Send(p.listener, &seccomp.Response{ID: id, Err: -int32(e)}) // #nosec G115 -- an errno
	}
}

// Continue lets the kernel make a call, with whatever its arguments point to by then.
func (p *Process) Continue(n *seccomp.Notification) {
	seccomp.Send(p.listener, &seccomp.Response{ID: n.ID, Flags: seccomp.Continue})
}

// Inject answers a call with a copy of a descriptor. Where that fails, the call waits for another answer.
func (p *Process) Inject(n *seccomp.Notification, fd int, cloexec bool) unix.Errno {
	return seccomp.Inject(p.listener, n.ID, fd, cloexec)
}

// Place puts a copy of a descriptor at a number while a call waits.
func (p *Process) Place(id uint64, fd, number int, cloexec bool) unix.Errno {
	return seccomp.Place(p.listener, id, fd, number, cloexec)
}

// Descriptor copies a descriptor out of the process, for the caller to close. The copy shares the position.
func (p *Process) Descriptor(fd int32) (int, unix.Errno) {
	if fd < 0 {
		return -1, unix.EBADF
	}
	own, err := unix.PidfdGetfd(p.pidfd, int(fd), 0)
	if err == unix.ESRCH || err == unix.EPERM { // of one that ended, which who is not privileged may not look at
		own, err = p.threadsDescriptor(fd)
	}
	if err != nil {
		return -1, vfs.ErrnoOf(err)
	}
	return own, 0
}

// threadsDescriptor is Descriptor of a process whose first thread has ended, and has no descriptors any more, by another thread.
// ESRCH where there is none, and before Linux 6.9, which has no PIDFD_THREAD of pidfd_open(2).
func (p *Process) threadsDescriptor(fd int32) (int, error) {
	var threads []string
	vfs.Apart(func() { threads, _ = procfs.Names(fmt.Sprintf("/proc/%d/task", p.PID)) })
	for _, name := range threads {
		tid, err := strconv.Atoi(name)
		if err != nil || tid == p.PID {
			continue
		}
		thread, err := unix.PidfdOpen(tid, unix.PIDFD_THREAD)
		if err != nil {
			continue
		}
		// Looked at once it is held: the number may have become another process's thread's in between.
		own := -1
		if err = unix.Tgkill(p.PID, tid, 0); err == nil || err == unix.EPERM {
			own, err = unix.PidfdGetfd(thread, int(fd), 0)
		}
		_ = unix.Close(thread)
		if own >= 0 || err == unix.EBADF {
			return own, err
		}
	}
	return -1, unix.ESRCH
}

// Signal sends a signal. Whoever wants that may come late: the process may be over, and the number of its descriptor be
// another's.
func (p *Process) Signal(sig unix.Signal) error {
	p.closing.Lock()
	defer p.closing.Unlock()
	if p.closing.done {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
}

// Kill ends the process and all its threads.
func (p *Process) Kill() { _ = p.Signal(unix.SIGKILL) }

// Reap waits for the process to end and then wakes the supervising thread, which older kernels leave blocked. Only when that
// is done it lets the kernel give the process id to another process, see memory.go. nil where the kernel does not say how it
// ended.
func (p *Process) Reap() *os.ProcessState {
	err := p.AwaitExit()
	p.exited.Store(true)
	if err != nil {
		p.log("wait for sandbox", "error", err)
	}
	wake := time.NewTicker(5 * time.Millisecond)
	defer wake.Stop()
	for {
		select {
		case <-p.supervised:
			state, err := p.collect()
			if err != nil {
				p.log("wait for sandbox", "error", err)
			}
			return state
		case <-wake.C:
			_ = unix.Tgkill(os.Getpid(), int(p.thread.Load()), wakeSignal)
		}
	}
}

// collect gives the process id back to the kernel, which says how the process ended.
func (p *Process) collect() (*os.ProcessState, error) {
	defer vfs.Show(p.PID)
	return p.process.Wait()
}

// AwaitExit returns when the process has ended, which stays to be reaped. No thread waits for it.
func (p *Process) AwaitExit() error {
	await.Once(p.pidfd, unix.POLLIN)
	for {
		err := unix.Waitid(unix.P_PIDFD, p.pidfd, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// Close releases what the process holds here, once it has ended or was never started.
func (p *Process) Close() {
	p.closing.Lock()
	defer p.closing.Unlock()
	p.closing.done = true
	for _, fd := range []int{p.pidfd, p.listener} {
		if fd > 0 {
			_ = unix.Close(fd)
		}
	}
}
