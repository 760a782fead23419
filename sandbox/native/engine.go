//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
)

// Engine runs scripts with the embedded CPython. It unpacks the interpreter on first use.
type Engine struct {
	options Options

	mu      sync.Mutex
	runtime *installation
	loader  *os.File
	shell   *program // nil before prepare, and where there is none
	layers  supervisor.Layers

	pool  pool
	tasks taskShare
}

// Init must be the first call of main in every program that uses an engine, and of TestMain in its tests. In a process that
// probes the layers of the sandbox it does not return.
func Init() { supervisor.Init() }

// New returns an engine; nothing happens before Check or Run.
func New(o Options) *Engine {
	return &Engine{options: o.withDefaults(), pool: pool{size: o.Warm, pause: refillPause}}
}

// Name returns "native".
func (e *Engine) Name() string { return "native" }

// Close ends the interpreters that wait for a session, and releases the interpreter's files.
func (e *Engine) Close() error {
	e.pool.close()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loader == nil {
		return nil
	}
	err := e.loader.Close()
	if e.shell != nil {
		err = errors.Join(err, e.shell.file.Close())
	}
	e.loader, e.runtime, e.shell = nil, nil, nil
	return err
}

// installed is the unpacked interpreter, nil before and after.
func (e *Engine) installed() *installation {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.runtime
}

// prepare unpacks the interpreter if need be. A failure is tried again at the next call.
func (e *Engine) prepare(ctx context.Context) (*installation, *os.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runtime != nil {
		return e.runtime, e.loader, nil
	}
	in, err := install(ctx, e.options.Runtime)
	if err != nil {
		return nil, nil, fmt.Errorf("unpack the interpreter: %w", err)
	}
	e.layers = supervisor.Available()
	loader, err := in.openLoader(e.layers.Undumpable)
	if err != nil {
		return nil, nil, fmt.Errorf("open the dynamic loader: %w", err)
	}
	if err := e.openShell(); err != nil {
		_ = loader.Close()
		return nil, nil, err
	}
	e.runtime, e.loader = in, loader
	return in, loader, nil
}

// scriptEnv is added to the first environment of an interpreter; sitecustomize takes it away again before the script
// sees it. One malloc arena keeps threads affordable under an address-space limit.
var scriptEnv = []string{"MALLOC_ARENA_MAX=1"}

// refillAfter is when the next interpreter is started ahead, at the latest: most scripts are through by then, and have the
// processors for themselves until they are.
const refillAfter = 50 * time.Millisecond

// refillPause is how long after a script's end that is, where it has not been done. The session's end is recorded and told first:
// the kernel copies the gateway's memory for an interpreter, which the gateway waits for wherever it writes.
const refillPause = 10 * time.Millisecond

// Run runs one script. See sandbox.Engine.
func (e *Engine) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	if job.FS == nil || job.Commands == nil || job.Stdout == nil || job.Stderr == nil {
		return sandbox.Result{}, errors.New("sandbox: the job lacks a file system, a commander or a stream")
	}
	in, loader, err := e.prepare(ctx)
	if err != nil {
		return sandbox.Result{}, err
	}
	config, err := e.configFor(job)
	first := loader
	if err == nil {
		first, err = e.loaderFor(job, loader)
	}
	if err != nil {
		return sandbox.Result{}, fmt.Errorf("start the interpreter with its arguments and environment: %w", err)
	}
	key := keyOf(config, job)
	w := e.pool.take(key)
	refill := sync.OnceFunc(func() { e.pool.refill(e, key, job) })
	next := time.AfterFunc(refillAfter, refill)
	defer e.pool.pauseBefore(next, refill)
	if w != nil {
		return w.serve(ctx, e, in, job)
	}
	r, err := e.root(ctx, job, loader)
	if err != nil {
		return sandbox.Result{}, err
	}
	defer r.release()
	if err := r.mount(in); err != nil {
		return sandbox.Result{}, fmt.Errorf("prepare the script's view: %w", err)
	}
	if err := r.launch(first, config); err != nil {
		return sandbox.Result{}, err
	}
	return r.attend(e)
}

// root makes the supervisor of a job's first interpreter.
func (e *Engine) root(ctx context.Context, job sandbox.Job, loader *os.File) (*run, error) {
	r := newRun(ctx, e, job)
	var err error
	if r.group, err = supervisor.NewGroup(job.Limits); err != nil {
		r.cancel(nil)
		return nil, err
	}
	tree := newProcessTree(e, loader, r)
	r.join(tree, newOpenFiles(tree))
	return r, nil
}

// release ends a first interpreter's run and gives back what it holds.
func (r *run) release() {
	r.close()
	r.handles.files.close()
	r.tree.objects.epolls.close()
	r.tree.turn.Lock()
	r.tree.notice.close()
	r.tree.turn.Unlock()
	r.cancel(nil)
	if r.group == nil {
		return
	}
	if err := r.group.Close(); err != nil {
		r.log("remove a control group", "error", err)
	}
}

// newRun makes the supervisor of one interpreter, which ends with ctx.
func newRun(ctx context.Context, e *Engine, job sandbox.Job) *run {
	runCtx, cancel := context.WithCancelCause(ctx)
	r := &run{
		job: job, ctx: runCtx, cancel: cancel,
		state: state{names: posix.Names{FS: job.FS, Umask: 0o022}},
	}
	r.names.Directory = r.handles.directory
	r.names.Dir.Begin(job.Dir)
	r.log = func(msg string, args ...any) { e.options.Log.Error(msg, append(args, "session", r.job.Session)...) }
	r.proc = supervisor.New(r.log)
	r.panics = supervisor.Guard{Log: r.log, End: func(err error) { r.tree.root.cancel(err) }}
	r.stdin.pipe = -1
	r.children.Init(r.childEnded, r.panics.Recover)
	return r
}

// configFor is what an interpreter for a job is started with.
func (e *Engine) configFor(job sandbox.Job) (supervisor.Config, error) {
	filter, err := engineFilter()
	if err != nil {
		return supervisor.Config{}, err
	}
	var load []string
	if in := e.installed(); in != nil {
		load = in.load
	}
	limits := job.Limits
	limits.Files = atMost(limits.Files, maxDescriptors)
	first := shown(job.Args)
	config := supervisor.Config{
		Argv: supervisor.Texts([]string{loaderName}, load, []string{Interpreter, "-s"}, job.Args[:first]),
		Env:  supervisor.Texts(job.Env, scriptEnv), Drop: os.Geteuid() == 0, Layers: e.layers, Filter: filter,
		Limits: supervisor.ResourceLimits(limits), Terminal: job.Terminal != nil,
	}
	if forShell(job.Args) {
		return e.shellConfig(job, config)
	}
	config.Hide(job.Args[first:])
	return config, config.Fits()
}

// shown are the arguments of a job that say nothing: how the script comes, and not the script.
func shown(args []string) int {
	if len(args) > 0 && (args[0] == "-" || args[0] == "-c") {
		return 1
	}
	return 0
}

// launch starts the interpreter, whose calls are answered from then on.
func (r *run) launch(loader *os.File, config supervisor.Config) error {
	files, err := r.openStdio()
	if err != nil {
		return err
	}
	config.Group = r.group
	if err := r.proc.Start(loader, config, files.Child, supervision{r}); err != nil {
		files.Close()
		return err
	}
	return nil
}

// attend moves a started interpreter's streams and returns when it, its output and its commands are done.
func (r *run) attend(e *Engine) (sandbox.Result, error) {
	files, stop := r.stdio, make(chan struct{})
	go r.watch(e.options.Now, stop)
	var output sync.WaitGroup
	r.move(files, &output, stop)

	state := r.proc.Reap()
	r.tree.remove(r, state)
	if forShell(r.job.Args) && state != nil && state.Exited() {
		r.cancel(errTextOver) // a shell's jobs end with its text
	}
	// Commands that the script left running keep its streams, as they would a login's.
	r.children.WaitAll()
	r.tree.end()
	r.tree.share(0)
	output.Wait()
	close(stop)
	files.Close()
	return r.result(state), nil
}

// openStdio makes the script's standard streams: pipes, or a terminal.
func (r *run) openStdio() (files *supervisor.Stdio, err error) {
	if t := r.job.Terminal; t != nil {
		files, err = supervisor.NewTerminal(t)
	} else {
		files, err = supervisor.NewPipes()
	}
	if err != nil {
		return nil, err
	}
	if !files.Terminal {
		if r.stdin.pipe, err = unix.FcntlInt(files.Child[0].Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			r.stdin.pipe = -1
		}
	}
	r.stdio = files
	if r.job.Stdin == nil && r.handshake == nil && !files.Terminal { // known from the first call on
		r.stdin.feed.Move(files.Stdin, nil)
	}
	return files, nil
}

// move starts moving the script's standard streams; output is done when everything it wrote was delivered.
func (r *run) move(files *supervisor.Stdio, output *sync.WaitGroup, stop <-chan struct{}) {
	output.Add(1)
	go r.drain(r.job.Stdout, files.Stdout, output)
	if files.Terminal {
		go func() {
			defer r.panics.Recover("reading the keys")
			files.TypeKeys(r.job.Stdin)
		}()
		go files.FollowSize(r.job.Terminal.Resize, stop)
		return
	}
	go r.feed(files.Stdin)
	output.Add(1)
	go r.drain(r.job.Stderr, files.Stderr, output)
}

// close releases what the run holds.
func (r *run) close() {
	r.proc.Close()
	if r.stdin.pipe > 0 {
		_ = unix.Close(r.stdin.pipe)
	}
	r.names.Dir.Close()
	for _, p := range r.inherit { // it never came so far
		_ = unix.Close(p.fd)
	}
}
