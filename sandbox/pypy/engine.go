//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/guest"
	"shannot-gateway/sandbox/internal/selftest"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// Engine runs scripts with a pypy-sandbox executable, behind the same layers as the native engine's interpreters. The program must have
// called Init.
type Engine struct {
	options Options

	mu      sync.Mutex
	program *program
}

// program is an executable that was found and asked what it is.
type program struct {
	*linked
	place
	library *library
	missing []string // functions that it names and the driver does not know

	// Of the run that compiles the library; set when it begins, under the engine's mu.
	stopCompiling context.CancelFunc
	compiled      chan struct{} // closed when it is over
}

// Init must be the first call of main in every program that uses an engine, and of TestMain in its tests. In a process that
// probes the layers of the sandbox it does not return. One engine's Init is enough for all.
func Init() { supervisor.Init() }

// New returns an engine; nothing happens before Check or Run.
func New(o Options) *Engine { return &Engine{options: o.withDefaults()} }

// Name returns "pypy".
func (e *Engine) Name() string { return "pypy" }

// Close forgets what was found, and ends what compiles the library.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.program; p != nil && p.compiled != nil {
		p.stopCompiling()
		<-p.compiled
	}
	e.program = nil
	return nil
}

// Probe says what was found of the executable and its library. None of it is required.
func (e *Engine) Probe(ctx context.Context) []sandbox.Finding {
	p, err := e.prepare(ctx)
	if err != nil {
		return []sandbox.Finding{{Name: "pypy engine", Detail: err.Error()}}
	}
	f := sandbox.Finding{Name: "pypy engine", OK: true, Detail: fmt.Sprintf("%s, library in %s", p.executable, p.place.library)}
	if len(p.missing) > 0 {
		f.OK = false
		f.Detail += "; the driver does not know, and refuses, " + strings.Join(p.missing, " ")
	}
	return []sandbox.Finding{f}
}

// Ready reports what is missing of the executable and its library, and how to get it.
func (e *Engine) Ready(ctx context.Context) error {
	_, err := e.prepare(ctx)
	return err
}

// Check runs a line of Python.
func (e *Engine) Check(ctx context.Context) error {
	if _, err := e.prepare(ctx); err != nil {
		return err
	}
	return selftest.Run(ctx, e, selftest.Python, e.options.Now)
}

// prepare finds the executable and asks it what it is, once. A failure is tried again at the next call.
func (e *Engine) prepare(ctx context.Context) (*program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.program != nil {
		return e.program, nil
	}
	where, err := find(e.options)
	if err != nil {
		return nil, err
	}
	l, err := resolve(where.executable)
	if err != nil {
		return nil, err
	}
	p := &program{linked: l, place: where}
	if p.missing, err = p.ask(ctx, e.options); err != nil {
		return nil, fmt.Errorf("ask %s what it is: %w", where.executable, err)
	}
	if len(p.missing) > 0 {
		e.options.Log.Warn("the pypy-sandbox executable names functions that are not known; they are refused", "functions", p.missing)
	}
	disk, err := vfs.NewDir(where.library)
	if err != nil {
		return nil, err
	}
	p.library = newLibrary(disk, guest.PyPyFiles(), e.options.Now())
	e.program = p
	return p, nil
}

// dumpVariable makes an executable say what it is, and end.
const dumpVariable = "RPY_SANDBOX_DUMP=1"

// dumpTime is how long it may take, maxDump how much it may say in bytes.
const (
	dumpTime = 20 * time.Second
	maxDump  = 1 << 20
)

// ask has the executable describe itself, and returns the functions that the driver does not know.
func (p *program) ask(ctx context.Context, o Options) ([]string, error) {
	c, err := p.start([]string{"-c", "pass"}, []string{dumpVariable}, sandbox.Limits{CPU: dumpTime, Memory: 1 << 30}, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.Kill)
	defer stop()
	late := time.AfterFunc(dumpTime, c.Kill)
	defer late.Stop()
	text, err := io.ReadAll(io.LimitReader(c.Calls(), maxDump))
	c.Kill()
	c.Wait()
	if err != nil {
		return nil, err
	}
	missing, err := readDump(string(text))
	if said, _, _ := strings.Cut(strings.TrimSpace(c.Messages()), "\n"); err != nil && said != "" {
		err = fmt.Errorf("%w; it says: %q", err, said)
	}
	return missing, err
}

// readDump reads what an executable says of itself.
func readDump(text string) (missing []string, err error) {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			values[key] = value
		}
	}
	version, err := strconv.Atoi(values["Version"])
	switch {
	case err != nil:
		return nil, errors.New("it is no pypy-sandbox: it does not say the version of its protocol")
	case version != Version:
		return nil, fmt.Errorf("it speaks version %d of the protocol, and this engine version %d", version, Version)
	case !strings.HasPrefix(values["Platform"], "linux"):
		return nil, fmt.Errorf("it is for %q", values["Platform"])
	}
	for _, signature := range strings.Fields(values["Funcs"]) {
		if functions[signature] == nil {
			missing = append(missing, signature)
		}
	}
	return missing, nil
}

// Run runs one script. See sandbox.Engine.
func (e *Engine) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	switch {
	case job.FS == nil || job.Commands == nil || job.Stdout == nil || job.Stderr == nil:
		return sandbox.Result{}, errors.New("sandbox: the job lacks a file system, a commander or a stream")
	case job.Terminal != nil:
		return sandbox.Result{}, errors.New("an interpreter to type into needs the native engine")
	}
	p, err := e.prepare(ctx)
	if err != nil {
		return sandbox.Result{}, err
	}
	e.compile(p)
	return e.runIn(ctx, p, job)
}

// runIn runs a job with an executable.
func (e *Engine) runIn(ctx context.Context, p *program, job sandbox.Job) (sandbox.Result, error) {
	if err := mount(job, p.library, e.options.Now()); err != nil {
		return sandbox.Result{}, fmt.Errorf("prepare the script's view: %w", err)
	}
	// Byte code is not written: there is no place for it, and asking for one costs as much as the import.
	args := append([]string{"-B"}, asciiCode(job.Args)...)
	c, err := p.start(args, []string{"TZ=" + childZone(job)}, job.Limits, e.options)
	if err != nil {
		return sandbox.Result{}, err
	}
	defer c.close()
	return converse(ctx, job, c, e.options.Now, func(msg string, args ...any) {
		e.options.Log.Error(msg, append(args, "session", job.Session)...)
	})
}

// asciiCode gives code on the command line to an interpreter that takes its arguments for ASCII, and refuses others there.
func asciiCode(args []string) []string {
	if len(args) < 2 || args[0] != "-c" || !strings.ContainsFunc(args[1], func(r rune) bool { return r >= utf8.RuneSelf }) {
		return args
	}
	var b strings.Builder
	b.WriteString("exec(compile(b'")
	for _, c := range []byte(args[1]) {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteString("', '<string>', 'exec', 0, True))")
	return append([]string{"-c", b.String()}, args[2:]...)
}

// childZone is the target's time zone for the child's own C library, which does some of the arithmetic itself and can
// open no file: as a rule, or UTC.
func childZone(job sandbox.Job) string {
	var e environment
	e.set(job.Env)
	name := zoneFile
	if tz := e.get("TZ"); tz != "" {
		name = zonePath(tz)
	}
	data := readFile(job.FS, name, maxZone)
	if rule := zoneRule(data); rule != "" {
		return rule
	}
	return "UTC0"
}

// confinedChild is an executable that runs behind the layers.
type confinedChild struct {
	*supervisor.Confined
	drained  chan struct{}
	messages tail
}

// start starts the executable with the interpreter's own arguments.
func (p *program) start(args, env []string, limits sandbox.Limits, o Options) (*confinedChild, error) {
	confined, err := supervisor.Confine(supervisor.Confinement{
		Loader: p.loader, Files: p.files, Args: p.args, Hidden: args, Env: env, Limits: limits, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []*os.File{confined.Stdin, confined.Stdout} {
		if _, err := onPipe(f, func(fd int) (int, error) { return 0, unix.SetNonblock(fd, false) }); err != nil {
			confined.Kill()
			confined.Wait()
			_ = confined.Close()
			return nil, err
		}
	}
	c := &confinedChild{Confined: confined, drained: make(chan struct{})}
	go func() {
		defer close(c.drained)
		_, _ = io.Copy(&c.messages, confined.Stderr)
	}()
	return c, nil
}

// Calls gives what the child asks.
func (c *confinedChild) Calls() io.Reader { return turns{c.Stdout} }

// Answers takes what it is answered.
func (c *confinedChild) Answers() io.Writer { return turns{c.Stdin} }

// Wait returns how the child ended, when its messages are there too.
func (c *confinedChild) Wait() syscall.WaitStatus {
	status := c.Confined.Wait()
	<-c.drained
	return status
}

// Messages is the end of what it said on its standard error.
func (c *confinedChild) Messages() string { return c.messages.String() }

func (c *confinedChild) close() {
	c.Kill()
	c.Wait()
	_ = c.Confined.Close()
}

// maxMessages is how much of a child's standard error is kept, in bytes.
const maxMessages = 16 << 10

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
	most int // bytes; 0 means maxMessages
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	most := t.most
	if most == 0 {
		most = maxMessages
	}
	if over := len(t.text) - most; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String is what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
