//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
)

// Bounds of one run that no configuration changes. Descriptors, listings and connections are the gateway's own memory
// and its own descriptors, so they are fewer than a process of its own could have.
const (
	maxDescriptors = 256
	maxListings    = 64      // directories being listed at once
	maxLinks       = 4       // connections of the guest
	maxVariables   = 1 << 20 // bytes of the environment
	maxNames       = 1 << 12 // variables in it
)

// process is what the driver needs to know of its child.
type process interface {
	// PID is the child's process id.
	PID() int
	// WithPID calls a function with that id, which is nobody else's meanwhile, and not where the child has ended.
	WithPID(do func(pid int))
	// Used is the processor time that it has used, also after its end, and its resident memory in bytes.
	Used() (cpu time.Duration, memory int64)
}

// driver answers the calls of one child. Its methods run on one goroutine, but for what says otherwise.
type driver struct {
	job   sandbox.Job
	now   func() time.Time
	log   func(message string, args ...any)
	wire  *wire
	child process

	ctx    context.Context
	cancel context.CancelCauseFunc

	names       posix.Names
	descriptors map[int32]*description
	listings    map[uint64]*listing
	links       int
	stdin       *source
	output      sync.Mutex // held while standard output or error is written
	slack       int64      // bytes that files may grow by before they are counted again
	block       []byte     // for one read or write

	environment environment
	zone        *time.Location
	memory      childMemory

	children posix.Children
	starting atomic.Bool  // the script itself is inside the start of a command
	running  atomic.Int32 // commands that run

	dialogue  dialogue
	settle    func() // called with the first call, where there is something to do then
	throttle  supervisor.Throttle
	exited    bool // by _exit
	exitCode  int
	uncaught  *supervisor.LimitError // the limit whose error ended the script, by its own word
	unknown   int                    // calls of functions that the table lacks
	wallClock time.Time
}

// childMemory is what the driver has allocated in the child once, for answers that are pointers.
type childMemory struct {
	strings map[string]uint64 // C strings by content
	size    int
	tm      uint64 // a struct tm
	output  uint64 // what get_stdout returns
}

// errEnd says that the script asked to end.
var errEnd = errors.New("the script ended itself")

// newDriver makes a driver. Release it, and cancel it.
func newDriver(ctx context.Context, job sandbox.Job, child process, in io.Reader, out io.Writer, now func() time.Time,
	log func(string, ...any)) (*driver, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &driver{
		job: job, now: now, log: log, wire: newWire(in, out), child: child, ctx: ctx, cancel: cancel, names: posix.Names{FS: job.FS, Umask: 0o022},
		descriptors: map[int32]*description{}, listings: map[uint64]*listing{}, block: make([]byte, maxBlock), wallClock: now(),
	}
	d.dialogue.init(child)
	d.environment.set(job.Env)
	d.memory.strings = map[string]uint64{}
	d.children.Init(func() {}, d.guard)
	d.job.FS.SetMeter(d.walked)
	d.names.Directory, d.names.Dir.Longest = d.directory, maxPath
	d.names.Dir.Begin(job.Dir)
	if d.names.Enter(job.Dir) != nil {
		_ = d.names.Enter("/")
	}
	d.zone = targetZone(job.FS, d.environment.get("TZ"))
	var err error
	if d.stdin, err = newSource(job.Stdin, d.guard); err != nil {
		cancel(nil)
		return nil, err
	}
	d.descriptors[0] = &description{kind: pipeEnd, pipe: d.stdin.read, refs: 1, flags: unix.O_RDONLY, source: d.stdin}
	d.descriptors[1] = &description{kind: stream, to: job.Stdout, refs: 1, flags: unix.O_WRONLY}
	d.descriptors[2] = &description{kind: stream, to: job.Stderr, refs: 1, flags: unix.O_WRONLY}
	return d, nil
}

// release drops what the script had open, as its end does. No call is answered any more.
func (d *driver) release() {
	for n := range d.descriptors {
		d.drop(n)
	}
	for _, l := range d.listings {
		_ = l.file.Close()
	}
	clear(d.listings)
	d.names.Dir.Close()
	d.stdin.close()
}

// serve answers calls until the child ends, breaks the protocol, or the run's context does.
func (d *driver) serve() error {
	for {
		r, err := d.wire.next()
		if err != nil {
			return err
		}
		if d.settle != nil {
			d.settle()
			d.settle = nil
		}
		d.slow()
		if err := context.Cause(d.ctx); err != nil {
			return err
		}
		d.dialogue.turn(d.now())
		if err := d.answer(r); err != nil {
			return err
		}
	}
}

// answer answers one call.
func (d *driver) answer(r request) error {
	f := r.function
	switch f.do {
	case pretend:
		return d.wire.finish(f, uint64(f.value), 0) // #nosec G115 -- the bits
	case refuse:
		if f.why == "not in the table" {
			d.tellUnknown(f)
		}
		return d.fail(f, f.errno)
	default: // nothing of the kind for the others
	}
	value, err := f.call(d, r.args)
	if d.wire.err != nil {
		return d.wire.err
	}
	var errno syscall.Errno
	switch {
	case err == nil:
		return d.wire.finish(f, uint64(value), 0) // #nosec G115 -- the bits
	case errors.Is(err, errEnd):
		return err
	case errors.As(err, &errno):
		return d.fail(f, errno)
	}
	return err
}

// fail answers with an errno and what goes with it.
func (d *driver) fail(f *function, errno syscall.Errno) error {
	value := ^uint64(0)
	if f.result != 'i' {
		value = 0
	}
	return d.wire.finish(f, value, errno)
}

// tellUnknown says what the executable has and the table has not, a few times.
func (d *driver) tellUnknown(f *function) {
	if d.unknown++; d.unknown <= 8 {
		d.log("the executable calls a function that is not known", "function", f.signature)
	}
}

// errPanic ends a session in whose work the gateway has failed.
var errPanic = errors.New("internal error in the engine")

// guard ends the session after a panic, and nothing else. It is deferred first on every goroutine that works for a script,
// which would otherwise take the gateway and everybody's sessions along.
func (d *driver) guard(doing string) {
	if p := recover(); p != nil {
		d.log("panic in the engine", "while", doing, "panic", p, "stack", string(debug.Stack()))
		d.cancel(errPanic)
	}
}

// slow waits where the script has made all the calls of this tick. It waits inside its call, and ends with the run.
func (d *driver) slow() {
	limit := d.job.Limits.Calls
	for !d.throttle.Take(limit) {
		d.throttle.Tell(limit, d.job.Notice)
		if d.sleep(supervisor.Tick/20) != nil {
			return
		}
	}
}

// walked is the view's meter: what a long walk costs is the script's, and it ends with the session.
func (d *driver) walked(components int) error {
	d.throttle.Walked(components)
	if d.ctx.Err() != nil {
		return unix.EINTR
	}
	return nil
}

// sleep waits, or returns why the run ends.
func (d *driver) sleep(length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
}

// waits reports whether everything of the run waits for a human: the interpreter has one thread, and that asks for a command.
func (d *driver) waits() bool {
	return d.job.Held != nil && d.job.Held() && d.starting.Load() && d.running.Load() == 0
}

// watch keeps the limits until stop: elapsed time without the time in which all waits for a human, processor time, memory,
// and what the view holds. It runs beside serve.
func (d *driver) watch(stop <-chan struct{}) {
	defer d.guard("watching the limits")
	ticker := time.NewTicker(supervisor.Tick)
	defer ticker.Stop()
	clock := sandbox.NewClock(d.now())
	for {
		select {
		case <-stop:
			return
		case <-d.ctx.Done():
			return
		case <-ticker.C:
		}
		elapsed := clock.Tick(d.now(), d.waits())
		d.throttle.NextTick(d.job.Limits.Calls)
		used := supervisor.Usage{Elapsed: elapsed, Held: d.job.FS.Used()}
		used.CPU, used.Memory = d.child.Used()
		if e := used.Over(d.job.Limits); e != nil {
			d.cancel(e)
			return
		}
	}
}

// blame records that an error of a limit ended the script. It is the script's own word, and decides only what its end
// is called: where the script ends well, nothing.
func (d *driver) blame(kind string) bool {
	l := d.job.Limits
	details := map[string]supervisor.LimitError{
		"memory":  {Cause: sandbox.Memory, Detail: fmt.Sprintf("found no memory below %d bytes", l.Memory)},
		"write":   {Cause: sandbox.Written, Detail: "found no room for its files"},
		"files":   {Cause: sandbox.Files, Detail: fmt.Sprintf("opened more than %d files", d.mostDescriptors())},
		"threads": {Cause: sandbox.Threads, Detail: "started a thread, which this interpreter does not have"},
	}
	e, ok := details[kind]
	if ok {
		d.uncaught = &e
	}
	return ok
}

// exit answers _exit(2), which does not return.
func (d *driver) exit(a []uint64) (int64, error) {
	d.exited, d.exitCode = true, int(a[0]&0xff)
	return 0, errEnd
}

// i32 is a C int as it came: its low half.
func i32(word uint64) int32 { return int32(uint32(word)) } // #nosec G115 -- the low half
