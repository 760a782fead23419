//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/vfs"
	"shannot-gateway/vfs/await"
)

// Bounds of one run that no configuration changes.
const (
	maxThreads     = 1024                   // of all interpreters of a script, whatever sandbox.Limits.Threads says
	maxDescriptors = 1024                   // of one interpreter, whatever sandbox.Limits.Files says
	tick           = 100 * time.Millisecond // how often the limits that the kernel does not keep are looked at
)

// run is one interpreter and its supervisor.
type run struct {
	job    sandbox.Job // another one for a run that waited for its session, of the process tree's turn until then
	log    func(msg string, args ...any)
	ctx    context.Context // ends when the interpreter must
	cancel context.CancelCauseFunc

	pid      int
	pidfd    int
	closing  sync.Mutex // held while the descriptor is used for a signal, and while it is closed
	closed   bool
	listener int
	process  *os.Process
	firm     bool         // nothing but the interpreter's end interrupts a call that was received
	thread   atomic.Int32 // the supervising thread's id
	exited   atomic.Bool
	config   stageConfig   // what it is started with, until it has its arguments; of the supervising goroutine
	execed   bool          // the first stage's exec was let through
	loaded   atomic.Bool   // the first call after it has come, so that its memory is no copy of the gateway's any more
	up       chan struct{} // closed with it; nil where nobody waits
	group    *cgroup.Group // where the kernel bounds its memory; nil where no group was delegated
	// valid stands in for seccomp.Valid on the listener where there is none; nil otherwise.
	valid func(id uint64) bool

	// The state below belongs to the supervising goroutine.
	holds      *vfs.Session // whose rights over files its thread has
	buffer     [seccomp.MaxPath]byte
	opens      opens
	nextStream int // the number after which a free one for a stream is looked for, downwards

	names posix.Names // of the supervising goroutine, and of the tree's turn where another one answers

	// The interpreters of the job, this one's place among them, and what it is handed when it starts.
	tree    *processTree
	depth   int
	parent  int // process id of the interpreter that started it, 0 for the script's own
	inherit []passed
	carried []int // everything that was taken for it; of the process tree's lock
	// answering is the descriptor that an answer brings, until the interpreter has it; 0 for none.
	answering atomic.Int32

	handles handleTable
	stdio   *stdio

	handshake *preforkHandshake // nil for one that has its job from the beginning

	children posix.Children
	stdin    stdinState
}

// stdinState tells whether the script's own standard input has anything left to give.
type stdinState struct {
	pipe int // the child's end, kept by the supervisor to look at
	done atomic.Bool
}

// atMost is a limit of the job's below one of the engine's.
func atMost(limit, engine int) int {
	if limit <= 0 {
		return engine
	}
	return min(limit, engine)
}

// limitError is why a run was ended by the engine itself.
type limitError struct {
	cause  sandbox.Cause
	detail string
}

func (e *limitError) Error() string { return e.detail }

func tooMuchMemory(l sandbox.Limits) *limitError {
	return &limitError{sandbox.Memory, fmt.Sprintf("used more than %d bytes of memory", l.Memory)}
}

// stdio is the script's standard streams: our ends and the child's.
type stdio struct {
	stdin          *os.File
	stdout, stderr *os.File
	child          [3]*os.File
	terminal       bool // stdin and stdout are the master of a terminal, and there is no stderr
}

func newStdio() (*stdio, error) {
	var s stdio
	var pairs [3][2]int
	for i := range pairs {
		if err := unix.Pipe2(pairs[i][:], unix.O_CLOEXEC); err != nil {
			for _, p := range pairs[:i] {
				_ = unix.Close(p[0])
				_ = unix.Close(p[1])
			}
			return nil, fmt.Errorf("make pipes: %w", err)
		}
	}
	ours := func(fd int, name string) *os.File {
		// Non-blocking before NewFile, so that the runtime's poller waits and no thread does.
		_ = unix.SetNonblock(fd, true)
		return os.NewFile(uintptr(fd), name)
	}
	s.child[0], s.stdin = os.NewFile(uintptr(pairs[0][0]), "stdin"), ours(pairs[0][1], "stdin")
	s.stdout, s.child[1] = ours(pairs[1][0], "stdout"), os.NewFile(uintptr(pairs[1][1]), "stdout")
	s.stderr, s.child[2] = ours(pairs[2][0], "stderr"), os.NewFile(uintptr(pairs[2][1]), "stderr")
	return &s, nil
}

func (s *stdio) closeOurs() {
	_ = s.stdin.Close()
	if s.terminal {
		return
	}
	_ = s.stdout.Close()
	_ = s.stderr.Close()
}

// start runs the first stage up to the point where it has handed over its listener. It must be called on a locked
// thread that outlives the process, since the parent-death signal is the thread's.
func (r *run) start(loader *os.File, config stageConfig, files [3]*os.File) error {
	config.Group = r.group
	r.config = config
	s, err := startStage(loader, config, files, r.job.Terminal != nil)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(s.control) }()
	r.process, r.pid, r.pidfd = s.process, s.pid, s.pidfd
	vfs.Conceal(r.pid)
	if r.listener, r.firm, err = s.proceed(); err != nil {
		return err
	}
	seccomp.WakeInPlace(r.listener)
	return writeFull(s.control, []byte{1})
}

// coreLimit keeps the kernel from writing a core, which would be too large, and by a rule of its own for the value 1 from
// starting the handler in kernel.core_pattern, which does not care for the limit else. The handler runs as root, on what
// a script has put into its memory. See core(5) and do_coredump in fs/coredump.c.
const coreLimit = 1

// resourceLimits are what the first stage sets on itself, by resource number of getrlimit(2).
func resourceLimits(l sandbox.Limits) map[int]uint64 {
	limits := map[int]uint64{
		unix.RLIMIT_CORE: coreLimit,
		// Pages that cannot be swapped out, and queues of messages, are others' to have, and of queued signals most are.
		unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0, unix.RLIMIT_SIGPENDING: queuedSignals,
		unix.RLIMIT_NOFILE: uint64(atMost(l.Files, maxDescriptors)), // #nosec G115 -- positive
	}
	if l.Memory > 0 {
		limits[unix.RLIMIT_AS] = uint64(l.Memory)
	}
	if l.Write > 0 {
		limits[unix.RLIMIT_FSIZE] = uint64(l.Write)
	}
	if l.CPU > 0 {
		limits[unix.RLIMIT_CPU] = uint64(math.Ceil(l.CPU.Seconds()))
	}
	return limits
}

func writeFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func readSome(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err == unix.EINTR {
			continue
		}
		return n, err
	}
}

// supervise starts the interpreter and answers its calls until it has ended. It owns its thread: the child's
// parent-death signal hangs on it, and the receive loop blocks in it.
func (r *run) supervise(loader *os.File, config stageConfig, files [3]*os.File, started chan<- error) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked("supervising", p)
			select {
			case started <- errPanic:
			default: // it was told already
			}
		}
	}()
	runtime.LockOSThread() // and never unlock: the thread has its own signal mask and ends with this goroutine
	r.thread.Store(int32(unix.Gettid()))
	err := r.start(loader, config, files)
	if err == nil {
		r.tree.started(r) // before its streams are closed here, see processTree.carried
	}
	closeFiles(files)
	started <- err
	if err != nil {
		return
	}
	holdSignals() // only now: the interpreter would have inherited them
	defer r.opens.pair.Unpin()
	r.answerCalls(r.answer)
}

// wakeSignal interrupts the receive loop of a run whose interpreter has ended. Nobody else sends it.
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

// answerCalls receives notifications, and has each answered, until no thread of the interpreter is left.
func (r *run) answerCalls(answer func(*seccomp.Notification)) {
	var n seccomp.Notification
	for {
		switch e := seccomp.Receive(r.listener, &n); e {
		case 0:
			if r.execed && !r.loaded.Swap(true) {
				r.begins()
			}
			answer(&n)
		case unix.EINTR, unix.EAGAIN:
			if r.exited.Load() {
				return
			}
		case unix.ENOENT:
			// The caller was killed before we saw the call, or nobody is left.
			if r.exited.Load() || r.abandoned() {
				return
			}
		default:
			r.cancel(fmt.Errorf("receive system call: %w", e))
			return
		}
	}
}

// abandoned reports whether the filter has no user any more.
func (r *run) abandoned() bool {
	p := []unix.PollFd{{Fd: int32(r.listener), Events: unix.POLLIN}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1 && p[0].Revents&unix.POLLHUP != 0
}

// answer handles one notification. A panic in a handler ends this session alone.
func (r *run) answer(n *seccomp.Notification) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked("answering "+seccomp.Name(n.Nr), p)
			seccomp.Send(r.listener, &seccomp.Response{ID: n.ID, Err: -int32(unix.EIO)})
		}
	}()
	handler := byNumber[n.Nr]
	if handler == nil {
		seccomp.Send(r.listener, &seccomp.Response{ID: n.ID, Err: -int32(unix.ENOSYS)})
		return
	}
	r.slow()
	r.deliver(n, r.inTurn(handler, n))
	r.answering.Store(0)
}

// slow waits where the process tree has made all the calls of this tick. The interpreter's thread waits inside its call.
func (r *run) slow() {
	r.tree.turn.Lock()
	limit := r.tree.root.job.Limits.Calls
	r.tree.turn.Unlock()
	if limit <= 0 {
		return
	}
	share := callsOfATick(limit)
	for r.tree.calls.Load() >= share && !r.exited.Load() && r.ctx.Err() == nil {
		r.tree.tellSlow(limit)
		time.Sleep(tick / 20)
	}
	r.tree.calls.Add(1)
}

// callsOfATick is a limit of calls a second as calls in one tick.
func callsOfATick(limit int) int64 {
	return max(1, int64(limit)*int64(tick)/int64(time.Second))
}

// inTurn runs a handler while no other call of the process tree is answered.
func (r *run) inTurn(h handler, n *seccomp.Notification) answer {
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.tree.asks(r, int(n.PID))
	r.hold()
	if r.execed && len(r.inherit) > 0 {
		r.placeInherited(n.ID)
	}
	if changes(n) {
		r.tree.notice.change()
	}
	a := h(r, n)
	if a.inject {
		r.answering.Store(int32(a.fd)) // #nosec G115 -- a descriptor
	}
	return a
}

// hold gives the supervising thread, which does nothing but answer, the rights by which the session's files are read, so that
// no call about a file is handed to another thread. Once: an interpreter has one session in its life.
func (r *run) hold() {
	if r.holds == r.job.FS {
		return
	}
	r.holds = r.job.FS
	if err := r.job.FS.Hold(); err != nil {
		r.cancel(fmt.Errorf("read files for the script: %w", err))
	}
}

// deliver sends a handler's answer to the waiting thread.
func (r *run) deliver(n *seccomp.Notification, a answer) {
	id := n.ID
	switch {
	case a.later:
	case a.resume:
		r.opens.pair.Unpin() // it may make a thread, or ask where it runs
		seccomp.Send(r.listener, &seccomp.Response{ID: id, Flags: seccomp.Continue})
	case a.errno != 0:
		seccomp.Send(r.listener, &seccomp.Response{ID: id, Err: -int32(a.errno)})
	case a.inject && a.stream:
		number, e := r.placeStream(id, a.fd)
		_ = unix.Close(a.fd)
		seccomp.Send(r.listener, &seccomp.Response{ID: id, Val: int64(number), Err: -int32(e)})
	case a.inject:
		e := r.inject(n, a.fd, a.cloexec)
		_ = unix.Close(a.fd)
		if e != 0 {
			seccomp.Send(r.listener, &seccomp.Response{ID: id, Err: -int32(e)})
		}
	default:
		seccomp.Send(r.listener, &seccomp.Response{ID: id, Val: a.val})
	}
}

// reap waits for the interpreter to end and then wakes the supervising thread, which older kernels leave blocked. Only when
// that is done it lets the kernel give the process id to another process, see memory.
func (r *run) reap(supervised <-chan struct{}) *os.ProcessState {
	err := awaitExit(r.pidfd)
	r.exited.Store(true)
	if err != nil {
		r.log("wait for sandbox", "error", err)
	}
	wake := time.NewTicker(5 * time.Millisecond)
	defer wake.Stop()
	for {
		select {
		case <-supervised:
			state, err := r.collect()
			if err != nil {
				r.log("wait for sandbox", "error", err)
			}
			return state
		case <-wake.C:
			_ = unix.Tgkill(os.Getpid(), int(r.thread.Load()), wakeSignal)
		}
	}
}

// collect gives the process id back to the kernel, which says how the process ended.
func (r *run) collect() (*os.ProcessState, error) {
	defer vfs.Show(r.pid)
	return r.process.Wait()
}

// awaitExit returns when a child has ended, which stays to be waited for. No thread waits for it.
func awaitExit(pidfd int) error {
	await.Once(pidfd, unix.POLLIN)
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// childEnded tells the interpreter that a command has ended, as the kernel tells a parent. Where the script has no
// handler, nothing is delivered.
func (r *run) childEnded() { r.tell(unix.SIGCHLD) }

// kill ends the interpreter and all its threads. Whoever wants that may come late: the run is over, and the number of its
// descriptor may be another process's.
func (r *run) kill() { r.tell(unix.SIGKILL) }

// tell sends a signal to the interpreter, unless the run is over.
func (r *run) tell(sig unix.Signal) {
	r.closing.Lock()
	defer r.closing.Unlock()
	if !r.closed {
		_ = unix.PidfdSendSignal(r.pidfd, sig, nil, 0)
	}
}

// counter counts what a view holds. That takes longer the more files there are: it is done so seldom that it takes no more
// than a twentieth of a processor.
type counter struct {
	count func() int64
	now   func() time.Time
	last  int64
	due   time.Time
}

func (c *counter) value(now time.Time) int64 {
	if now.Before(c.due) {
		return c.last
	}
	c.last = c.count()
	c.due = now.Add(20 * c.now().Sub(now))
	return c.last
}

// watch keeps the limits that the kernel does not: elapsed time without the time in which all waits for a human, and what the
// view holds in all. It kills the interpreter when the run's context ends.
func (r *run) watch(now func() time.Time, stop <-chan struct{}) {
	defer func() {
		if p := recover(); p != nil {
			r.panicked("watching the limits", p)
			r.kill() // nobody is left who would
		}
	}()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	clock, before := sandbox.NewClock(now()), time.Duration(0)
	count := counter{count: r.job.FS.Used, now: now}
	for {
		select {
		case <-stop:
			return
		case <-r.ctx.Done():
			r.kill()
			return
		case <-ticker.C:
		}
		t := now()
		l, held := r.job.Limits, count.value(t)
		r.tree.nextTick(l.Calls)
		r.tree.shareAnew()
		cpu, memory := r.tree.used(held, l.Memory)
		elapsed := clock.Tick(t, r.tree.waits(cpu-before))
		before = cpu
		switch {
		case l.Wall > 0 && elapsed >= l.Wall:
			r.cancel(&limitError{sandbox.WallTime, fmt.Sprintf("ran for longer than %v", l.Wall)})
		case l.CPU > 0 && cpu >= l.CPU:
			r.cancel(&limitError{sandbox.CPUTime, fmt.Sprintf("used more than %v of processor time", l.CPU)})
		case l.Memory > 0 && memory > l.Memory:
			r.cancel(tooMuchMemory(l))
		case l.Write > 0 && held > 2*l.Write:
			r.cancel(&limitError{sandbox.Written, fmt.Sprintf("files of the session hold more than %d bytes", 2*l.Write)})
		}
	}
}

// feed copies the script's input and closes the pipe behind it.
func (r *run) feed(to *os.File) {
	defer r.guard("reading the input")
	defer func() {
		_ = to.Close()
		r.stdin.done.Store(true)
	}()
	if r.job.Stdin != nil {
		_, _ = io.Copy(to, r.job.Stdin)
	}
}

// drain copies one output stream until every holder of its other end has closed it.
func (r *run) drain(to io.Writer, from *os.File, wg *sync.WaitGroup) {
	defer wg.Done()
	defer func() {
		if p := recover(); p != nil {
			r.panicked("delivering output", p)
			_, _ = io.Copy(io.Discard, from) // as below
		}
	}()
	if _, err := io.Copy(to, from); err != nil && !errors.Is(err, os.ErrClosed) && !hungUp(err) {
		r.cancel(fmt.Errorf("deliver output: %w", err))
		_, _ = io.Copy(io.Discard, from) // until the interpreter is gone
	}
}

// result says how the run ended.
func (r *run) result(state *os.ProcessState) sandbox.Result {
	res := sandbox.Result{Cause: sandbox.Exited}
	if state == nil {
		return sandbox.Result{Cause: sandbox.Stopped, ExitCode: 137, Detail: "lost the interpreter"}
	}
	ws, _ := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		res.Signal = ws.Signal()
		res.ExitCode = 128 + int(ws.Signal())
	} else {
		res.ExitCode = ws.ExitStatus()
	}
	var limit *limitError
	switch cause := context.Cause(r.ctx); {
	case errors.As(cause, &limit):
		res.Cause, res.Detail = limit.cause, limit.detail
	case cause != nil && ws.Signaled():
		res.Cause, res.Detail = sandbox.Stopped, cause.Error()
	case ws.Signaled() && r.group != nil && r.group.Exhausted():
		limit = tooMuchMemory(r.job.Limits)
		res.Cause, res.Detail = limit.cause, limit.detail
	case r.tree.fatal() != nil && !ws.Signaled() && ws.ExitStatus() != 0:
		limit = r.tree.fatal()
		res.Cause, res.Detail = limit.cause, limit.detail
	case r.outOfCPU(state, ws):
		res.Cause, res.Detail = sandbox.CPUTime, fmt.Sprintf("used more than %v of processor time", r.job.Limits.CPU)
	}
	return res
}

// outOfCPU reports whether the kernel's RLIMIT_CPU ended the interpreter.
func (r *run) outOfCPU(state *os.ProcessState, ws syscall.WaitStatus) bool {
	if r.job.Limits.CPU <= 0 || !ws.Signaled() || (ws.Signal() != syscall.SIGKILL && ws.Signal() != syscall.SIGXCPU) {
		return false
	}
	// For its limit the kernel counts in ticks, which may be more than the time that was measured.
	return state.UserTime()+state.SystemTime() >= r.job.Limits.CPU/2
}
