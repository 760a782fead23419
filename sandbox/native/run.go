//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/streams"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// Bounds of one run that no configuration changes.
const (
	maxThreads     = 1024 // of all interpreters of a script, whatever sandbox.Limits.Threads says
	maxDescriptors = 1024 // of one interpreter, whatever sandbox.Limits.Files says
)

// run is one interpreter and its supervisor.
type run struct {
	job    sandbox.Job // another one for a run that waited for its session, of the process tree's turn until then
	log    func(msg string, args ...any)
	ctx    context.Context // ends when the interpreter must
	cancel context.CancelCauseFunc
	panics supervisor.Guard

	proc  *supervisor.Process
	group *cgroup.Group // where the kernel bounds its memory; nil where no group was delegated
	tree  *processTree  // the interpreters of the job
	calls calls         // what its calls are answered with
	state
	descent
	standardStreams

	// Of the supervising goroutine.
	holds *vfs.Session // whose rights over files its thread has
	opens opens

	handshake *preforkHandshake // nil for one that has its job from the beginning
}

// state is what a kernel keeps for a process.
type state struct {
	names    posix.Names // of the supervising goroutine, and of the tree's turn where another one answers
	handles  handleTable
	children posix.Children
}

// descent is an interpreter's place among those of its job, and what it is handed when it starts.
type descent struct {
	depth   int
	parent  int           // process id of the interpreter that started it, 0 for the script's own
	up      chan struct{} // closed when the interpreter has its arguments; nil where nobody waits
	inherit []passed      // of the supervising goroutine, once it has started
	carried []int         // everything that was taken for it; of the process tree's lock
	// answering is the descriptor that an answer brings, until the interpreter has it; 0 for none.
	answering atomic.Int32
}

// standardStreams are a script's own, nil for a further interpreter.
type standardStreams struct {
	stdio *supervisor.Stdio
	stdin stdinState
}

// stdinState tells whether the script's own standard input has anything left to give.
type stdinState struct {
	pipe int // the child's end, kept by the supervisor to look at
	feed streams.Feed
}

// atMost is a limit of the job's below one of the engine's.
func atMost(limit, engine int) int {
	if limit <= 0 {
		return engine
	}
	return min(limit, engine)
}

// supervision is what a run does for the calls of its interpreter.
type supervision struct{ *run }

// Started implements supervisor.Answerer. The streams are closed here only afterwards, see processTree.carried.
func (r supervision) Started() { r.tree.started(r.run) }

// Loaded implements supervisor.Answerer.
func (r supervision) Loaded(err error) {
	if err != nil {
		r.log("hand over arguments", "error", err)
		r.cancel(fmt.Errorf("hand over the script's arguments: %w", err))
		r.proc.Kill()
	}
	if r.up != nil {
		close(r.up)
	}
}

// Answer implements supervisor.Answerer.
func (r supervision) Answer(n *seccomp.Notification) { r.answer(n) }

// Ended implements supervisor.Answerer.
func (r supervision) Ended(err error) {
	r.opens.pair.Unpin()
	if err != nil {
		r.cancel(err)
	}
}

// Panicked implements supervisor.Answerer.
func (r supervision) Panicked(value any) {
	r.opens.pair.Unpin()
	r.panics.Recovered("supervising", value)
}

// answer handles one notification. A panic in a handler ends this session alone.
func (r *run) answer(n *seccomp.Notification) {
	defer func() {
		if p := recover(); p != nil {
			r.panics.Recovered("answering "+seccomp.Name(n.Nr), p)
			r.proc.Reply(n, 0, unix.EIO)
		}
	}()
	handler := byNumber[n.Nr]
	if handler == nil {
		r.proc.Reply(n, 0, unix.ENOSYS)
		return
	}
	r.slow()
	a := r.inTurn(handler, n)
	if a.errno == unix.EACCES || a.errno == unix.ENOENT {
		vfs.TellHidden(r.job.FS, a.errno, r.tree.tell)
	}
	r.deliver(n, a)
	r.answering.Store(0)
}

// slow waits where the process tree has made all the calls of this tick. The interpreter's thread waits inside its call.
func (r *run) slow() {
	r.tree.turn.Lock()
	limit := r.tree.root.job.Limits.Calls
	r.tree.turn.Unlock()
	for !r.tree.throttle.Take(limit) && !r.proc.Exited() && r.ctx.Err() == nil {
		r.tree.throttle.Tell(limit, r.tree.tell)
		time.Sleep(supervisor.Tick / 20)
	}
}

// inTurn runs a handler while no other call of the process tree is answered.
func (r *run) inTurn(h handler, n *seccomp.Notification) answer {
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.tree.turn.asks(r, int(n.PID))
	r.hold()
	if r.proc.Execed() && len(r.inherit) > 0 {
		r.placeInherited(n.ID)
	}
	if changes(n) {
		r.tree.notice.change()
	}
	a := h(&r.calls, n)
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
	switch {
	case a.later:
	case a.resume:
		r.opens.pair.Unpin() // it may make a thread, or ask where it runs
		r.proc.Continue(n)
	case a.errno != 0:
		r.proc.Reply(n, 0, a.errno)
	case a.inject && a.stream:
		if int(n.PID) == r.proc.PID {
			r.opens.next(r.proc.PID)
		}
		number, e := r.calls.streams.place(n.ID, a.fd, a.cloexec)
		_ = unix.Close(a.fd)
		r.proc.Reply(n, int64(number), e)
	case a.inject:
		e := r.inject(n, a.fd, a.cloexec)
		_ = unix.Close(a.fd)
		if e != 0 {
			r.proc.Reply(n, 0, e)
		}
	default:
		r.proc.Reply(n, a.val, 0)
	}
}

// childEnded tells the interpreter that a command has ended, as the kernel tells a parent. Where the script has no
// handler, nothing is delivered.
func (r *run) childEnded() { _ = r.proc.Signal(unix.SIGCHLD) }

// watch keeps the limits that the kernel does not. It kills the interpreter when the run's context ends.
func (r *run) watch(now func() time.Time, stop <-chan struct{}) {
	defer func() {
		if p := recover(); p != nil {
			r.panics.Recovered("watching the limits", p)
			r.proc.Kill() // nobody is left who would
		}
	}()
	f := r.tree
	w := supervisor.Watch{
		Limits: r.job.Limits, Now: now, Throttle: &f.throttle, Held: r.job.FS.Used, Waits: f.waits, Exceeded: r.cancel,
		Used: func(held int64) (cpu time.Duration, memory int64) {
			f.shareAnew()
			return f.used(f.root.group, held, r.job.Limits.Memory)
		},
	}
	w.Until(r.ctx, stop)
	if r.ctx.Err() != nil {
		r.proc.Kill()
	}
}

// feed moves the script's input to where it reads it.
func (r *run) feed(to *os.File) {
	defer r.panics.Recover("reading the input")
	r.stdin.feed.Move(to, r.job.Stdin)
}

// drain copies one output stream until every holder of its other end has closed it.
func (r *run) drain(to io.Writer, from *os.File, wg *sync.WaitGroup) {
	defer wg.Done()
	defer func() {
		if p := recover(); p != nil {
			r.panics.Recovered("delivering output", p)
			_, _ = io.Copy(io.Discard, from) // as below
		}
	}()
	if _, err := io.Copy(to, from); err != nil && !errors.Is(err, os.ErrClosed) && !supervisor.HungUp(err) {
		r.cancel(fmt.Errorf("deliver output: %w", err))
		_, _ = io.Copy(io.Discard, from) // until the interpreter is gone
	}
}

// result says how the run ended.
func (r *run) result(state *os.ProcessState) sandbox.Result {
	if state == nil {
		return sandbox.Result{Cause: sandbox.Stopped, ExitCode: 137, Detail: "lost the interpreter"}
	}
	ws, _ := state.Sys().(syscall.WaitStatus)
	e := supervisor.Ended{
		Code: ws.ExitStatus(), Cause: context.Cause(r.ctx), Killed: ws.Signaled(), Uncaught: r.tree.blamed.fatal(),
		CPU: state.UserTime() + state.SystemTime(),
	}
	if ws.Signaled() {
		e.Signal, e.Code = ws.Signal(), 128+int(ws.Signal())
		if r.group != nil && r.group.Exhausted() {
			e.Starved = supervisor.TooMuchMemory(r.job.Limits)
		}
	}
	return e.Result(r.job.Limits)
}
