//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// Bounds of a process tree that no configuration changes.
const (
	maxInterpreters  = 64       // at once, whatever sandbox.Limits.Processes says
	maxDepth         = 8        // an interpreter started by one started by … the script
	spareConnections = 16       // connections to the supervisor that are open at once, beside one for each thread
	maxPending       = 16 << 20 // bytes of requests that are being read or answered
)

// process tree is the interpreters of one job: the script's own, and those that it starts as sys.executable. They share one
// view of the files and one budget. Each has a supervisor of its own, and the filter, limits and layers that the first
// one has: nothing leaves the sandbox, so that no gate is passed.
type processTree struct {
	engine *Engine
	loader *os.File
	root   *run
	members

	turn    turn
	locks   lockTable
	objects objects
	notice  notice

	running  atomic.Int32 // commands that run
	asked    atomic.Int32 // times that a waiting call was told to ask again, in this tick
	throttle supervisor.Throttle
	requests requests
	blamed   blamed

	counted int // threads, of the lock of the engine's tasks
}

// turn is held while a call of any member is answered. asking is whose, and thread its id: what /dev and /proc/self mean
// depends on it.
type turn struct {
	sync.Mutex
	asking *run
	thread int
}

// members are the interpreters of a process tree, and what they used.
type members struct {
	mu      sync.Mutex
	all     map[*run]int  // whose interpreters run, with their process ids; 0 while one starts
	spent   time.Duration // processor time of those that have ended
	before  time.Duration // what the control group had used before the session
	further int           // interpreters beside the root's that are not cleaned up yet
	gone    *sync.Cond    // further has become less
	closed  bool          // nothing starts any more
}

// requests bounds what guests ask of the supervisor at once.
type requests struct {
	mu          sync.Mutex
	connections int // that are open
	pending     int // bytes of requests that are being read or answered
}

// blamed is what a script may have ended by.
type blamed struct {
	mu       sync.Mutex
	met      string                 // the bound of what the kernel counts for users that was met last, "" for none
	uncaught *supervisor.LimitError // the limit whose error ended the script, by its own word
}

func newProcessTree(e *Engine, loader *os.File, root *run) *processTree {
	f := &processTree{engine: e, loader: loader, root: root}
	f.turn.asking = root
	f.members.all = map[*run]int{root: 0}
	f.gone = sync.NewCond(&f.members.mu)
	return f
}

// asks says whose call is answered. It is called in the process tree's turn.
func (t *turn) asks(r *run, thread int) { t.asking, t.thread = r, thread }

// admit counts a new member, of which there are no more than most. EAGAIN where there are too many, as fork(2) has it.
func (t *members) admit(r *run, most int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return unix.EAGAIN
	}
	if len(t.all) >= most {
		return &sandbox.Refusal{Errno: unix.EAGAIN, Reason: fmt.Sprintf("limits.processes allows %d interpreters at once", most)}
	}
	t.all[r] = 0
	t.further++
	return nil
}

// connect counts a connection to the supervisor, of which there are no more than most. It reports false where there are too many.
func (q *requests) connect(most int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.connections >= most {
		return false
	}
	q.connections++
	return true
}

func (q *requests) disconnect() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.connections--
}

// reserve takes room for a request of n bytes, release gives it back.
func (q *requests) reserve(n int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending+n > maxPending {
		return false
	}
	q.pending += n
	return true
}

func (q *requests) release(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending -= n
}

// askingAgain is the most processor time that an interpreter needs to make a call again that was told so.
const askingAgain = 500 * time.Microsecond

// waits reports whether everything of the process tree waits for a human: an operation is held, no command runs, and no thread of an
// interpreter has used the processor since the last tick, but for waits that were told to ask again.
func (f *processTree) waits(used time.Duration) bool {
	allowed := time.Duration(f.asked.Swap(0)) * askingAgain
	held := f.root.job.Held
	return held != nil && held() && f.running.Load() == 0 && used <= allowed
}

// tell tells the agent something.
func (f *processTree) tell(line string) {
	if tell := f.root.job.Notice; tell != nil {
		vfs.Apart(func() { tell(line) })
	}
}

// blame records that an error of a limit ended the script. It is the script's own word, and decides only what its end
// is called: where the script ends well, nothing.
func (b *blamed) blame(kind string, l sandbox.Limits) bool {
	l.Files, l.Threads, l.Processes = atMost(l.Files, maxDescriptors), atMost(l.Threads, maxThreads), atMost(l.Processes, maxInterpreters)
	b.mu.Lock()
	defer b.mu.Unlock()
	bound := supervisor.LimitError{Cause: sandbox.Objects, Detail: "had " + b.met + ", as many as a session may have at once"}
	e, ok := supervisor.Blamed(kind, l)
	switch {
	case kind == "objects" && b.met == "": // the machine has no more of something
		return true
	case kind == "objects", kind == "write" && strings.HasSuffix(b.met, watchesWord), // epoll_ctl(2) fails with ENOSPC too
		kind == "threads" && strings.HasSuffix(b.met, threadsWord):
		e, ok = bound, true
	}
	if !ok {
		return false
	}
	b.uncaught = &e
	return true
}

func (b *blamed) fatal() *supervisor.LimitError {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.uncaught
}

// started records the process id of a member whose interpreter was started.
func (t *members) started(r *run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all[r] = r.proc.PID
}

// exited is called once for each admitted member, when nothing of it is left.
func (t *members) exited() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.further--
	t.gone.Broadcast()
}

// end returns when nothing of any member but the root is left. From then on nothing starts.
func (t *members) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.further > 0 {
		t.gone.Wait()
	}
	t.closed = true
}

// remove takes out a member whose interpreter has ended, and keeps count of what it used.
func (t *members) remove(r *run, state *os.ProcessState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, r)
	if state != nil {
		t.spent += state.UserTime() + state.SystemTime()
	}
}

// member calls use with the member of that process id, which does not end meanwhile. It reports whether there is one.
func (t *members) member(pid int, use func(*run)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m, own := range t.all {
		if own == pid && pid > 0 {
			use(m)
			return true
		}
	}
	return false
}

// visible calls use with each member that is an interpreter. Before, it is a copy of the gateway, whose memory is nobody's to
// look at.
func (t *members) visible(use func(*run)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for m, pid := range t.all {
		if pid > 0 && m.proc.Loaded() && !m.proc.Exited() {
			use(m)
		}
	}
}

func (t *members) pids() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []int
	for _, pid := range t.all {
		if pid > 0 {
			out = append(out, pid)
		}
	}
	return out
}

// carried are the descriptors that were taken for members which may not have them yet. A number that was closed since is a
// mistake on the safe side: what it leads to by now is kept for longer.
func (t *members) carried() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []int
	for m := range t.all {
		out = append(out, m.carried...)
		if fd := m.answering.Load(); fd > 0 {
			out = append(out, int(fd))
		}
	}
	return out
}

// threads counts the threads of all members.
func (t *members) threads() int {
	total := 0
	for _, pid := range t.pids() {
		total += procfs.Threads(pid)
	}
	return total
}

// used is the processor time and the resident memory of all members. What ended counts too; a first stage has no memory
// of its own. Mapped files of the host are left out, and so are held bytes of shared mappings, which are those of the
// view's own files: they have a limit of their own. limit is where an exact count begins to matter, in bytes: below it the memory may be told as more than it is, since
// telling what kind it is takes the kernel longer; for no limit it is not told.
func (t *members) used(g *cgroup.Group, held, limit int64) (cpu time.Duration, memory int64) {
	t.mu.Lock() // a member that ended meanwhile would count twice
	defer t.mu.Unlock()
	if g != nil {
		cpu, memory = g.Used()
		return cpu - t.before, max(0, memory-held)
	}
	for _, pid := range t.all {
		if pid > 0 {
			cpu += procfs.CPUTime(pid)
		}
	}
	if limit > 0 {
		for pid := range t.weighed {
			memory += procfs.ResidentPages(pid)
		}
	}
	if memory > limit {
		memory = t.exactMemory(held, limit)
	}
	return cpu + t.spent, memory
}

// weighed yields the process ids of the members whose memory is their own: not the gateway's, of which each begins as a copy.
// Called with the lock held.
func (t *members) weighed(yield func(pid int) bool) {
	for m, pid := range t.all {
		if pid > 0 && m.proc.Loaded() && !yield(pid) {
			return
		}
	}
}

// exactMemory is the memory of used, as far as it matters. Called with the lock held.
func (t *members) exactMemory(held, limit int64) (memory int64) {
	var shared int64
	for pid := range t.weighed {
		own, with := procfs.ResidentMemory(pid)
		memory, shared = memory+own, shared+with
	}
	if memory+shared > limit {
		shared = 0 // pages that several of them have counted for each
		for pid := range t.weighed {
			shared += procfs.ShareOfShared(pid)
		}
	}
	return memory + max(0, shared-held)
}

// passed is a descriptor for a new interpreter, and the number that it has there.
type passed struct{ fd, number int }

// isInterpreter reports whether a request is for the interpreter itself: the first of the executables that the view has.
// Each look is one call of the script's, and none follows the end of the run.
func (r *run) isInterpreter(q frames.Start, dir string) bool {
	for _, name := range q.Executables {
		if name == "" {
			continue
		}
		if name[0] != '/' {
			name = posix.Join(dir, name)
		}
		r.slow()
		if r.ctx.Err() != nil {
			return false
		}
		if canonical, err := r.canonical(name); err == nil {
			return canonical == Interpreter
		}
	}
	return false
}

// canonical resolves a name in the process tree's turn.
func (r *run) canonical(name string) (string, error) {
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.tree.turn.asks(r, r.proc.PID)
	return r.job.FS.Canonical(name)
}

// walked is the meter of the process tree's view: what a long walk costs is the script's, and it ends with the session.
func (f *processTree) walked(components int) error {
	f.throttle.Walked(components)
	if f.root.ctx.Err() != nil {
		return unix.EINTR
	}
	return nil
}

// spawn starts a further interpreter, a child of this one, with the descriptors that it asks for.
func (r *run) spawn(ctx context.Context, done func(), q frames.Start, dir string) (int, error) {
	if r.depth+1 >= maxDepth {
		return 0, &sandbox.Refusal{Errno: unix.EAGAIN, Reason: fmt.Sprintf("an interpreter of an interpreter, %d deep, starts no further one", maxDepth)}
	}
	job := r.job
	job.Args, job.Terminal, job.Stdin = q.Argv[1:], nil, nil
	if r.tree.engine.isShell(q) {
		job.Args = append([]string{sandbox.Shell}, job.Args...)
	}
	job.Env = q.Env
	if q.InheritEnv {
		job.Env = r.job.Env
	}
	config, err := r.tree.engine.configFor(job)
	if err != nil {
		return 0, err
	}
	loader, err := r.tree.engine.loaderFor(job, r.tree.loader)
	if err != nil {
		return 0, err
	}
	n := newRun(ctx, r.tree.engine, job)
	n.depth, n.parent, n.group = r.depth+1, r.proc.PID, r.group
	n.join(r.tree, r.handles.files)
	n.names.Umask = r.names.Umask
	r.tree.turn.Lock()
	r.tree.turn.asks(r, r.proc.PID)
	err = n.names.Enter(dir)
	r.tree.turn.Unlock()
	if err != nil {
		n.cancel(nil)
		return 0, err
	}
	err = r.tree.admit(n, atMost(r.tree.root.job.Limits.Processes, maxInterpreters))
	if err == nil && !r.tree.engine.tasks.set(&r.tree.counted, r.tree.threads()+1) {
		err = &sandbox.Refusal{Errno: unix.EAGAIN, Reason: "with another interpreter all sessions had more threads than they may"}
		r.tree.remove(n, nil)
		r.tree.exited()
	}
	if err != nil {
		n.names.Dir.Close()
		n.cancel(nil)
		return 0, err
	}
	files, err := r.inheritDescriptors(n, q)
	if err != nil {
		closeFiles(files)
		r.tree.remove(n, nil)
		n.close()
		n.cancel(nil)
		r.tree.exited()
		return 0, err
	}
	return r.startChild(n, loader, config, files, done)
}

// inheritDescriptors copies the descriptors that the new interpreter is to have. Its descriptions are the parent's, as after a
// fork. No other call is answered meanwhile: what a descriptor stands for is forgotten when nobody has it, and until the
// new interpreter runs it is here alone.
func (r *run) inheritDescriptors(n *run, q frames.Start) (files [3]*os.File, err error) {
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	defer func() {
		r.tree.members.mu.Lock()
		defer r.tree.members.mu.Unlock()
		for _, p := range n.inherit {
			n.carried = append(n.carried, p.fd)
		}
	}()
	for i, fd := range []int32{q.Stdin, q.Stdout, q.Stderr} {
		if fd < 0 {
			continue // closed there too
		}
		own, h, e := r.handles.open(fd)
		if e != 0 {
			return files, e
		}
		if streamOf(h.file) != nil {
			now, e := copyOfLive(h.file, own)
			_ = unix.Close(own)
			if own = now; e == 0 {
				files[i] = os.NewFile(uintptr(own), "inherited")
				n.carried = append(n.carried, own)
				continue
			}
			return files, &sandbox.Refusal{Errno: unix.EOPNOTSUPP, Reason: "a large remote file cannot be an interpreter's standard input"}
		}
		files[i] = os.NewFile(uintptr(own), "inherited")
		n.carried = append(n.carried, own)
	}
	for _, fd := range q.Pass {
		own, e := r.handles.grab(fd)
		if e != 0 {
			return files, e
		}
		n.inherit = append(n.inherit, passed{fd: own, number: int(fd)})
	}
	return files, nil
}

func closeFiles(files [3]*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// startChild starts a new member and returns its process id, when it is an interpreter and no first stage any more.
func (r *run) startChild(n *run, loader *os.File, config supervisor.Config, files [3]*os.File, done func()) (int, error) {
	f := r.tree
	n.up = make(chan struct{})
	config.Group = n.group
	if err := n.proc.Start(loader, config, files, supervision{n}); err != nil {
		f.remove(n, nil)
		n.close()
		n.cancel(nil)
		f.exited()
		n.log("start a further interpreter", "error", err)
		return 0, &sandbox.Refusal{Errno: unix.EAGAIN, Reason: "the gateway could not start another interpreter"}
	}
	p := &interpreter{run: n, ended: make(chan struct{})}
	stop := context.AfterFunc(n.ctx, n.proc.Kill)
	go func() {
		state := n.proc.Reap()
		f.remove(n, state)
		stop()
		p.exit = exitStatus(state)
		close(p.ended)
		// Commands that it left running go on; its place in the process tree is free.
		n.children.WaitAll()
		n.close()
		n.cancel(nil)
		done()
		f.exited()
	}()
	select {
	case <-n.up:
	case <-p.ended:
	}
	return r.children.Add(n.proc.PID, p, func() {}).PID, nil
}

// interpreter is a further interpreter as a child of the one that started it.
type interpreter struct {
	run   *run
	ended chan struct{}
	exit  sandbox.ExitStatus
}

// Wait implements sandbox.Process.
func (p *interpreter) Wait() (sandbox.ExitStatus, error) {
	<-p.ended
	return p.exit, nil
}

// Signal implements sandbox.Process.
func (p *interpreter) Signal(sig syscall.Signal) error {
	p.run.tree.member(p.run.proc.PID, func(m *run) { _ = m.proc.Signal(sig) })
	return nil
}

func exitStatus(state *os.ProcessState) sandbox.ExitStatus {
	if state == nil {
		return sandbox.ExitStatus{Signal: unix.SIGKILL}
	}
	ws, _ := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return sandbox.ExitStatus{Signal: ws.Signal()}
	}
	return sandbox.ExitStatus{Code: ws.ExitStatus()}
}

// placeInherited puts what the interpreter inherits beside its standard streams at its numbers. It is called on the first call
// that the new image makes: the loader has one thread, and nothing open that could be in the way.
func (r *run) placeInherited(id uint64) {
	for _, p := range r.inherit {
		if e := r.proc.Place(id, p.fd, p.number, false); e != 0 {
			r.log("hand over a descriptor", "error", e)
		}
		_ = unix.Close(p.fd)
	}
	r.inherit = nil
}
