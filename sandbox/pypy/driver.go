//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
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
	panics supervisor.Guard

	state state
	calls calls

	dialogue dialogue
	settle   func() // called with the first call, where there is something to do then
	throttle supervisor.Throttle
	uncaught *supervisor.LimitError // the limit whose error ended the script, by its own word
	unknown  int                    // calls of functions that the table lacks
}

// state is what a kernel keeps for a process, and a C library for a program.
type state struct {
	names       posix.Names
	descriptors descriptorTable
	children    posix.Children
	environment environment
	texts       texts
	stdin       *source
	outputs     outputs
}

// errEnd says that the script asked to end.
var errEnd = errors.New("the script ended itself")

// newDriver makes a driver. Release it, and cancel it.
func newDriver(ctx context.Context, job sandbox.Job, child process, in io.Reader, out io.Writer, now func() time.Time,
	log func(string, ...any)) (*driver, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &driver{job: job, now: now, log: log, wire: newWire(in, out), child: child, ctx: ctx, cancel: cancel}
	d.panics = supervisor.Guard{Log: log, End: cancel}
	d.dialogue.init(child)
	s := &d.state
	s.names = posix.Names{FS: job.FS, Umask: 0o022, Directory: s.descriptors.directory}
	s.descriptors = descriptorTable{files: job.Limits.Files, descriptors: map[int32]*description{}}
	s.environment.set(job.Env)
	s.texts = texts{wire: d.wire, strings: map[string]uint64{}}
	s.outputs.ctx, s.outputs.cancel = ctx, cancel
	s.children.Init(func() {}, d.panics.Recover)
	d.job.FS.SetMeter(d.walked)
	s.names.Dir.Longest = maxPath
	s.names.Dir.Begin(job.Dir)
	if s.names.Enter(job.Dir) != nil {
		_ = s.names.Enter("/")
	}
	d.prepareCalls()
	var err error
	if s.stdin, err = newSource(job.Stdin, d.panics.Recover); err != nil {
		cancel(nil)
		return nil, err
	}
	s.descriptors.descriptors[0] = &description{kind: pipeEnd, pipe: s.stdin.read, refs: 1, flags: unix.O_RDONLY, source: s.stdin}
	s.descriptors.descriptors[1] = &description{kind: stream, to: job.Stdout, refs: 1, flags: unix.O_WRONLY}
	s.descriptors.descriptors[2] = &description{kind: stream, to: job.Stderr, refs: 1, flags: unix.O_WRONLY}
	return d, nil
}

// prepareCalls gives the calls what they are answered with.
func (d *driver) prepareCalls() {
	c, s, w, ctx := &d.calls, &d.state, d.wire, d.ctx
	names, table := &paths{wire: w, names: &s.names}, &s.descriptors
	c.opens = openCalls{names, table}
	c.descriptors = descriptorCalls{descriptorTable: table, wire: w}
	c.stats = statCalls{paths: names, descriptorTable: table, job: &d.job, began: d.now()}
	c.directories = directoryCalls{names, table}
	c.names = nameCalls{names}
	c.attributes = attributeCalls{paths: names, descriptorTable: table, now: d.now}
	c.listings = listingCalls{paths: names, descriptorTable: table, listings: map[uint64]*listing{}}
	c.polls = pollCalls{descriptorTable: table, wire: w, ctx: ctx}
	c.times = timeCalls{wire: w, now: d.now, child: d.child, texts: &s.texts, zone: targetZone(d.job.FS, s.environment.get("TZ"))}
	c.environment = environmentCalls{wire: w, fs: d.job.FS, environment: &s.environment, texts: &s.texts, times: &c.times}
	c.identity = identityCalls{wire: w, job: &d.job, environment: &s.environment, texts: &s.texts, child: d.child, children: &s.children}
	c.machine = machineCalls{wire: w, job: &d.job, texts: &s.texts, table: table}
	c.children = childCalls{wire: w, ctx: ctx, child: d.child, children: &s.children}
	k := &c.commands
	k.descriptorTable, k.wire, k.ctx, k.guard, k.job, k.names = table, w, ctx, d.panics.Recover, &d.job, &s.names
	k.environment, k.children, k.outputs, k.dialogue = &s.environment, &s.children, &s.outputs, &d.dialogue
	guest := &guestCalls{ctx: ctx, cancel: d.cancel, blame: d.blame, polls: &c.polls, commands: k}
	c.content = contentCalls{
		descriptorTable: table, wire: w, job: &d.job, pipes: pipes{ctx}, outputs: &s.outputs, guest: guest, block: make([]byte, maxBlock),
	}
}

// release drops what the script had open, as its end does. No call is answered any more.
func (d *driver) release() {
	for n := range d.state.descriptors.descriptors {
		d.state.descriptors.drop(n)
	}
	for _, l := range d.calls.listings.listings {
		_ = l.file.Close()
	}
	clear(d.calls.listings.listings)
	d.state.names.Dir.Close()
	d.state.stdin.close()
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
	value, err := f.call(&d.calls, r.args)
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
		vfs.TellHidden(d.job.FS, errno, d.job.Notice)
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

// slow waits where the script has made all the calls of this tick. It waits inside its call, and ends with the run.
func (d *driver) slow() {
	limit := d.job.Limits.Calls
	for !d.throttle.Take(limit) {
		d.throttle.Tell(limit, d.job.Notice)
		if sleep(d.ctx, supervisor.Tick/20) != nil {
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
func sleep(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waits reports whether everything of the run waits for a human: the interpreter has one thread, and that asks for a command.
func (d *driver) waits() bool {
	return d.job.Held != nil && d.job.Held() && d.calls.commands.starting.Load() && d.calls.commands.running.Load() == 0
}

// watch keeps the limits until stop. It runs beside serve.
func (d *driver) watch(stop <-chan struct{}) {
	defer d.panics.Recover("watching the limits")
	w := supervisor.Watch{
		Limits: d.job.Limits, Now: d.now, Throttle: &d.throttle, Held: d.job.FS.Used, Exceeded: d.cancel,
		Used:  func(int64) (time.Duration, int64) { return d.child.Used() },
		Waits: func(time.Duration) bool { return d.waits() },
	}
	w.Until(d.ctx, stop)
}

// blame records that an error of a limit ended the script. It is the script's own word, and decides only what its end
// is called: where the script ends well, nothing.
func (d *driver) blame(kind string) bool {
	l := d.job.Limits
	l.Files = d.state.descriptors.most()
	e, ok := supervisor.Blamed(kind, l)
	switch kind {
	case "processes":
		return false
	case "threads":
		e.Detail = "started a thread, which this interpreter does not have"
	}
	if ok {
		d.uncaught = &e
	}
	return ok
}

// exit answers _exit(2), which does not return.
func (w *childCalls) exit(a []uint64) (int64, error) {
	w.end.asked, w.end.code = true, int(a[0]&0xff)
	return 0, errEnd
}

// i32 is a C int as it came: its low half.
func i32(word uint64) int32 { return int32(uint32(word)) } // #nosec G115 -- the low half
