//go:build linux && (amd64 || arm64)

package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// The pool keeps interpreters that have started, behind the same layers as any other, and wait in sitecustomize for a
// session. Up to then an interpreter sees nothing but its own library, and it is given one session in its life.

// warmEnv tells the guest to wait for its session. It is taken away again before the script sees it.
const warmEnv = "SHANNOT_WAIT=1"

// startAllowance is processor time for starting, added to the kernel's limit of a waiting interpreter. The session's own
// limit counts from where it begins.
const startAllowance = time.Second

// preforked is an interpreter in the pool: it has started and has no session yet.
type preforked struct {
	run  *run
	key  string
	view *vfs.Session // what it sees before it has a session
}

// pool holds interpreters by what they were started with.
type pool struct {
	size  int // 0 for none
	pause time.Duration

	mu      sync.Mutex
	entries []*preforked // oldest first; some have not come to the point where they wait
	closed  bool
	wanted  *order // what is started ahead now, nil before the first
	busy    bool   // a goroutine does that
	filling sync.WaitGroup
	counts  sandbox.Starts
}

// order is for interpreters of one kind.
type order struct {
	key string
	job sandbox.Job
}

// Starts implements sandbox.Starter.
func (e *Engine) Starts() sandbox.Starts {
	p := &e.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.counts
	for _, w := range p.entries {
		if w.idle() {
			n.Waiting++
		}
	}
	return n
}

// preforkHandshake is how the supervisor of a preforked interpreter hears of its session.
type preforkHandshake struct {
	ready chan struct{} // closed when the interpreter waits
	given chan struct{} // closed when it has a session
	args  []string      // what follows "-"; this and env are set before given is closed
	env   []string      // the environment that the session begins with
	asked bool          // of the process tree's turn
}

// keyOf names what an interpreter is started with that a session cannot change later, or "" where the job cannot be given
// to one that has started.
func keyOf(config supervisor.Config, job sandbox.Job) string {
	if len(job.Args) == 0 || job.Args[0] != "-" || job.Terminal != nil {
		return ""
	}
	config.Argv, config.Env, config.Hidden = nil, supervisor.Texts(atStart(job.Env)), 0
	text, err := json.Marshal(config)
	if err != nil {
		return ""
	}
	return string(text)
}

// atStart are the variables that the dynamic loader, the C library and Python read as they start. All others can wait for the
// session.
func atStart(env []string) []string {
	var out []string
	for _, entry := range env {
		for _, prefix := range []string{"HOME=", "PYTHON", "LANG", "LC_", "LOCPATH", "LD_", "MALLOC_", "GLIBC_"} {
			if strings.HasPrefix(entry, prefix) {
				out = append(out, entry)
				break
			}
		}
	}
	return out
}

// take removes an interpreter that waits and was started with key, or returns nil.
func (p *pool) take(key string) *preforked {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found *preforked
	p.entries = slices.DeleteFunc(p.entries, func(w *preforked) bool {
		switch {
		case !w.alive():
			p.filling.Add(1)
			go func() {
				defer p.filling.Done()
				w.end()
			}()
			return true
		case found == nil && w.key == key && w.idle():
			found = w
			return true
		}
		return false
	})
	if found != nil {
		p.counts.Given++
	} else {
		p.counts.Cold++
	}
	return found
}

// idle reports whether the interpreter has come to the point where it waits for its session.
func (w *preforked) idle() bool {
	select {
	case <-w.run.handshake.ready:
		return true
	default:
		return false
	}
}

// alive reports whether the interpreter is there. The kernel ends one where memory is short.
func (w *preforked) alive() bool {
	return w.run.proc.Alive()
}

// refill has interpreters for key started until there are as many as the pool holds. Those for other keys make room. The newest
// order is the one that counts: were several filled at once, each would take the others' room for ever.
func (p *pool) refill(e *Engine, key string, job sandbox.Job) {
	if p.size <= 0 || key == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	// Of the job, an interpreter that waits needs how it is started alone.
	p.wanted = &order{key, sandbox.Job{Env: atStart(job.Env), Limits: job.Limits, Host: job.Host}}
	if p.busy {
		return
	}
	p.busy = true
	p.filling.Add(1)
	go func() {
		defer p.filling.Done()
		p.fill(e)
	}()
}

// pauseBefore has what a timer would do be done soon, now that a script is through. Without a pause it is done here.
func (p *pool) pauseBefore(next *time.Timer, refill func()) {
	if p.pause > 0 {
		next.Reset(p.pause)
		return
	}
	next.Stop()
	refill()
}

// fill starts interpreters until nobody wants more.
func (p *pool) fill(e *Engine) {
	for {
		o := p.next()
		if o == nil {
			return
		}
		w, err := e.warm(o.key, o.job)
		if err != nil {
			e.options.Log.Error("start an interpreter ahead", "error", err)
			p.mu.Lock()
			p.busy = false // the next script orders anew
			p.mu.Unlock()
			return
		}
		p.add(w)
	}
}

// next is what to start one more of, or nil, and then whoever asked has done.
func (p *pool) next() *order {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := 0
	for _, w := range p.entries {
		if w.key == p.wanted.key {
			have++
		}
	}
	if p.busy = !p.closed && have < p.size; !p.busy {
		return nil
	}
	return p.wanted
}

func (p *pool) add(w *preforked) {
	p.mu.Lock()
	var surplus []*preforked
	p.counts.Ahead++
	p.entries = append(p.entries, w)
	switch over := len(p.entries) - p.size; {
	case p.closed:
		surplus, p.entries = p.entries, nil
	case over > 0:
		surplus, p.entries = p.entries[:over:over], p.entries[over:]
	}
	p.mu.Unlock()
	for _, w := range surplus {
		w.end()
	}
}

// close ends all of them.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	entries := p.entries
	p.entries = nil
	p.mu.Unlock()
	for _, w := range entries {
		w.end()
	}
	p.filling.Wait()
}

// warm starts an interpreter of job's kind that waits.
func (e *Engine) warm(key string, job sandbox.Job) (*preforked, error) {
	in, loader, err := e.prepare(context.Background())
	if err != nil {
		return nil, err
	}
	view, err := vfs.NewSession(vfs.Config{Now: e.options.Now})
	if err != nil {
		return nil, err
	}
	own := sandbox.Job{
		Session: "none yet", Args: []string{"-"}, Env: atStart(job.Env), Dir: "/", FS: view, Commands: noCommands{},
		Limits: job.Limits, Host: sandbox.Host{UID: job.Host.UID, GID: job.Host.GID},
	}
	root, err := e.root(context.Background(), own, loader)
	if err != nil {
		return nil, errors.Join(err, view.Close())
	}
	w := &preforked{run: root, key: key, view: view}
	w.run.handshake = &preforkHandshake{ready: make(chan struct{}), given: make(chan struct{})}
	if err := errors.Join(w.run.mount(in), mountLocales(view)); err != nil {
		w.discard()
		return nil, fmt.Errorf("prepare a view: %w", err)
	}
	own.Limits.CPU = laterLimit(job.Limits.CPU)
	config, err := e.configFor(own)
	if err == nil {
		config.Env = append(config.Env, []byte(warmEnv))
		err = w.run.launch(loader, config)
	}
	if err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

// locales is where the C library, which is this machine's, finds what LANG names.
const locales = "/usr/lib/locale"

// mountLocales shows a waiting interpreter this machine's locales: Python decides on its encodings as it starts.
func mountLocales(view *vfs.Session) error {
	source, err := vfs.NewDir(locales)
	if err != nil {
		return nil // then Python falls back to UTF-8 by itself, as it does on such a target
	}
	return view.Mount(vfs.Mount{Path: locales, Source: source})
}

func laterLimit(cpu time.Duration) time.Duration {
	if cpu <= 0 {
		return 0
	}
	return cpu + startAllowance
}

// discard releases what an interpreter has that does not run.
func (w *preforked) discard() {
	w.run.cancel(nil)
	w.run.release()
	_ = w.view.Close()
}

// end kills an interpreter that got no session.
func (w *preforked) end() {
	w.run.proc.Kill()
	w.run.tree.remove(w.run, w.run.proc.Reap())
	w.run.tree.end()
	w.run.stdio.Close()
	w.discard()
}

// noCommands is where commands go before there is a session: nowhere.
type noCommands struct{}

func (noCommands) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, unix.EPERM
}

// serve gives the interpreter its session and returns when that is done.
func (w *preforked) serve(ctx context.Context, e *Engine, in *installation, job sandbox.Job) (sandbox.Result, error) {
	r := w.run
	defer w.discard()
	stop := context.AfterFunc(ctx, func() { r.cancel(context.Cause(ctx)) })
	defer stop()
	if err := r.adopt(in, job); err != nil {
		r.proc.Kill()
		_, _ = r.attend(e)
		return sandbox.Result{}, fmt.Errorf("prepare the script's view: %w", err)
	}
	return r.attend(e)
}

// adopt makes the job this run's. No call is answered meanwhile; the interpreter has one thread, and that waits.
func (r *run) adopt(in *installation, job sandbox.Job) error {
	r.tree.turn.Lock()
	defer r.tree.turn.Unlock()
	r.job = job
	r.tree.begin(r)
	if err := r.mount(in); err != nil {
		return err
	}
	r.handshake.args, r.handshake.env = job.Args[1:], job.Env
	close(r.handshake.given)
	return nil
}

// begin forgets what was used before the session.
func (f *processTree) begin(r *run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spent = -procfs.CPUTime(r.proc.PID)
	if r.group != nil {
		f.before, _ = r.group.Used()
	}
	f.throttle.Reset()
}

// errUninvited is a guest's that says it waits and was not told to, or says it again.
var errNoHandshake = errors.New("no session is to be waited for")

// awaitSession answers the guest's question for its session: how many arguments stand behind "-", these, and the environment.
func (r *run) awaitSession() ([][]byte, error) {
	r.tree.turn.Lock()
	h := r.handshake
	expected := h != nil && !h.asked
	if expected {
		h.asked = true
	}
	r.tree.turn.Unlock()
	if !expected {
		return nil, errNoHandshake
	}
	close(h.ready)
	select {
	case <-r.ctx.Done():
		return nil, context.Cause(r.ctx)
	case <-h.given:
	}
	return supervisor.Texts([]string{strconv.Itoa(len(h.args))}, h.args, h.env), nil
}

// isWait reports whether a message asks for the session.
func isWait(items [][]byte) bool {
	return len(items) == 1 && bytes.Equal(items[0], []byte(frames.OpWait))
}
