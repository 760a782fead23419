package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/config"
	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/shell"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// runner runs sessions: a script in the engine, or one shell command. The gate comes before everything that they start. A
// session belongs to no connection: it goes on when its client leaves.
type runner struct {
	*shared
	Settings
	policies map[string]*vfs.Policy // by the target's name
	options  Options                // but for what the settings say
	log      *slog.Logger
}

func newRunner(o Options, set Settings, all *shared) (*runner, error) {
	policies := map[string]*vfs.Policy{}
	for _, t := range set.Targets {
		files := set.Config.Files
		if r, ok := set.Config.Remotes[t.Name()]; ok {
			files = r.Files
		}
		p, err := vfs.NewPolicy(files.Read, files.Hide)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name(), err)
		}
		policies[t.Name()] = p
	}
	return &runner{shared: all, Settings: set, policies: policies, options: o, log: o.Log}, nil
}

// engine finds an engine by its name, nil for none. A session of old has none.
func (r *runner) engine(name string) sandbox.Engine {
	if name == "" {
		return r.options.Engine
	}
	for _, e := range append([]sandbox.Engine{r.options.Engine}, r.options.Engines...) {
		if e.Name() == name {
			return e
		}
	}
	return nil
}

// finder is an engine that may lack what it runs.
type finder interface {
	// Ready fails with what is missing and how to get it.
	Ready(ctx context.Context) error
}

// ready reports whether an engine is there and can run.
func (r *runner) ready(ctx context.Context, name string) error {
	e := r.engine(name)
	if e == nil {
		return command.ErrNoEngine
	}
	if f, ok := e.(finder); ok {
		return f.Ready(ctx)
	}
	return nil
}

// starts are what the default engine has started, nil where it starts nothing ahead.
func (r *runner) starts() *sandbox.Starts {
	s, ok := r.options.Engine.(sandbox.Starter)
	if !ok {
		return nil
	}
	n := s.Starts()
	return &n
}

// wait returns when every session has ended, or with ctx.
func (s *shared) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { defer close(done); s.running.Wait() }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Start implements command.Runner.
func (r *runner) Start(ctx context.Context, request approvals.Request, stdin io.Reader) (string, func(), error) {
	return r.begin(ctx, request, "dumb", nil, stdin)
}

// Interact implements command.Runner.
func (r *runner) Interact(ctx context.Context, request approvals.Request, t *command.Terminal, stdin io.Reader) (string, func(), error) {
	return r.begin(ctx, request, t.Type, t, stdin)
}

// begin records a session and runs it. The terminal is nil for most.
func (r *runner) begin(ctx context.Context, request approvals.Request, term string, t *command.Terminal, stdin io.Reader) (id string, leave func(), err error) {
	r, err = r.latest(request.Identity, request.Target.Name())
	if err != nil {
		return "", nil, err
	}
	request.Env = request.Target.Account().Env(term)
	live, err := r.sessions.Begin(ctx, request)
	if err != nil {
		return "", nil, err
	}
	leave = r.sessions.Attend(ctx, live.ID())
	request.Target = live.Target()
	s := &session{runner: r, live: live, request: request, stdin: stdin, terminal: t}
	r.running.Go(s.run)
	return live.ID(), leave, nil
}

// target finds a target by its name, nil for none.
func (r *runner) target(name string) targets.Target {
	for _, t := range r.Targets {
		if t.Name() == name {
			return t
		}
	}
	return nil
}

// restart says how a parked session would start again now. It has lost what it read from its client, unless that was the
// script itself. With patient it waits a while for a target that cannot be reached.
func (r *runner) restart(ctx context.Context, parked journal.Session, patient bool) (lifecycle.Rerun, error) {
	target, err := r.restartable(ctx, parked)
	if err == nil {
		err = r.reach(ctx, target, parked.Identity, patient)
	}
	if err != nil {
		return lifecycle.Rerun{}, err
	}
	return lifecycle.Rerun{Target: target, Start: func(live *gate.Live) {
		s := &session{runner: r, live: live, again: parked.Operations, sentNothing: parked.NothingSent, request: approvals.Request{
			Target: live.Target(), Engine: parked.Engine, Args: parked.Args, Script: parked.Script, Shell: parked.Shell, Env: parked.Env,
		}}
		if len(parked.Args) > 0 && parked.Args[0] == "-" {
			s.stdin = strings.NewReader(parked.Script)
		}
		r.running.Go(s.run)
	}}, nil
}

// restartable is the target of a parked session that has all it needs to start again.
func (r *runner) restartable(ctx context.Context, parked journal.Session) (targets.Target, error) {
	target := r.target(parked.Target)
	if target == nil {
		return nil, fmt.Errorf("the target %s is not in the configuration any more, or does not work", render.Line(parked.Target))
	}
	if parked.Shell {
		return target, shellAgain(parked.Operations, parked.NothingSent)
	}
	if err := r.ready(ctx, parked.Engine); err != nil {
		return nil, fmt.Errorf("its engine: %w", err)
	}
	return target, nil
}

// Variables that tell a script where it is. Commands do not get them, so that they are no change of environment.
const (
	sandboxVariable = "SHANNOT_SANDBOX="
	sessionVariable = "SHANNOT_SESSION="
	historyVariable = "PYTHON_HISTORY=" // where an interactive interpreter keeps what was typed
)

// unwritten is what a script and its agent are told where an operation cannot be recorded.
const unwritten = "the gateway cannot write its journal or its audit log; nothing was run"

// session is one session's run.
type session struct {
	runner  *runner
	live    *gate.Live
	request approvals.Request
	stdin   io.Reader
	again   []journal.Operation // of its earlier run, for a session that was parked
	// sentNothing says of one that was parked that its client had sent no input by then
	sentNothing bool
	view        *vfs.Session // nil for a shell command
	remote      targets.View // nil where the target is the gateway's own host
	// terminal is what the script's own terminal is shown at, nil for a session without one
	terminal *command.Terminal
	// unwritten says that something did not run because it could not be recorded. Then the session has failed, whatever
	// the script makes of that, and not by its own doing.
	unwritten atomic.Bool
	told      atomic.Bool // the agent was told that its changes stay here
}

// run brings the session to its end, whatever happens in it.
func (s *session) run() { s.end(s.work) }

// end does a session's work and ends the session, even where that panics or does not end.
func (s *session) end(work func() gate.Outcome) { s.live.End(s.finished(work)) }

// limits are those that the session began with.
func (s *session) limits() config.Limits { return s.runner.Config.Limits }

// work is a session of a script or of a shell command.
func (s *session) work() (outcome gate.Outcome) {
	if r, ok := s.request.Target.(targets.Remote); ok {
		s.remote = r.View(targets.ViewOptions{
			Policy: s.runner.policies[r.Name()],
			Tell:   func(line string) { s.live.Notice("%s", render.Line(line)) },
		})
		defer func() { _ = s.remote.Close() }()
		// A script that waits for a target that hangs ends with its session, not with the target's patience.
		defer context.AfterFunc(s.live.Context(), func() { _ = s.remote.Close() })()
	}
	if s.request.Shell {
		outcome = s.shell()
	} else {
		outcome = s.script()
	}
	if s.unwritten.Load() && (outcome.Status == journal.StatusDone || outcome.Status == journal.StatusFailed) {
		outcome = gate.Outcome{Status: journal.StatusFailed, ExitCode: command.ExitFault, Reason: unwritten}
	}
	return outcome
}

// files is the target's file tree.
func (s *session) files() vfs.Source {
	if s.remote != nil {
		return s.remote
	}
	return s.request.Target.Files()
}

// forget drops what is remembered of the target's files: a command may have changed them.
func (s *session) forget() {
	if s.remote != nil {
		s.remote.Forget()
	}
}

// home is where the session begins: the account's home directory where it is there to be seen, else the root.
func (s *session) home(isDir func(string) bool) string {
	if home := s.request.Target.Account().Home; strings.HasPrefix(home, "/") && isDir(home) {
		return home
	}
	return "/"
}

// mayPass is X_OK of access(2).
const mayPass = 1

// script runs a script in the engine.
func (s *session) script() gate.Outcome {
	o, conf := s.runner.options, s.runner.Config
	limits := conf.Limits
	account, uname := s.request.Target.Account(), s.request.Target.Uname()
	view, err := vfs.NewSession(vfs.Config{
		Base: s.live.Source(s.files()), Policy: s.runner.policies[s.request.Target.Name()], Scratch: conf.Files.Scratch,
		MaxBytes: limits.Write, MaxFile: limits.Write, MaxNodes: limits.Nodes, UID: account.UID, GID: account.GID, Now: o.Now,
		Opened: s.live.Opened,
	})
	if err != nil {
		return s.fault("prepare the script's view of the files", err)
	}
	defer func() { _ = view.Close() }()
	s.view = view
	if s.writable() {
		shown := s.runner.policies[s.request.Target.Name()]
		s.live.SetFiles(view, func(path string) bool { return shown.Decide(path) != vfs.Visible })
	}
	ctx, cancel := context.WithCancelCause(s.live.Context())
	defer cancel(nil)
	stdin, letGo := s.input()
	defer letGo()
	job := sandbox.Job{
		Session: s.live.ID(),
		Args:    s.request.Args,
		Script:  s.request.Script,
		Env:     append(slices.Clone(s.request.Env), sandboxVariable+"1", sessionVariable+s.live.ID()),
		Dir: s.home(func(name string) bool {
			if shown := s.runner.policies[s.request.Target.Name()]; shown.Decide(name) == vfs.Hidden {
				return false // and not looked for, which the agent would be told of
			}
			info, err := view.Stat(name)
			return err == nil && info.IsDir() && view.Access(name, mayPass) == nil
		}),
		FS:     view,
		Stdin:  stdin,
		Stdout: limitedWriter{s.live.Stdout(), cancel}, Stderr: limitedWriter{s.live.Stderr(), cancel},
		Commands: s, Held: s.live.Held,
		Limits: sandbox.Limits{
			Wall: limits.Wall, CPU: limits.CPU, Memory: limits.Memory, Write: limits.Write,
			Processes: limits.Processes, Threads: limits.Threads, Files: limits.Files, Calls: limits.Calls,
		},
		Notice: func(line string) { s.live.Notice("%s", line) },
		Host: sandbox.Host{
			Sysname: uname.Sysname, Nodename: uname.Nodename, Release: uname.Release, Version: uname.Version,
			Machine: uname.Machine, UID: account.UID, GID: account.GID,
		},
	}
	if s.terminal != nil {
		job.Terminal = terminalOf(ctx, s.terminal)
		job.Env = append(job.Env, historyVariable+historyFile(conf.Files.Scratch))
	}
	engine := s.runner.engine(s.request.Engine)
	if engine == nil {
		return s.fault("run the script", fmt.Errorf("there is no engine %q", s.request.Engine))
	}
	result, err := engine.Run(ctx, job)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, journal.ErrOutputLimit):
		return s.outputLimit()
	case errors.Is(cause, journal.ErrStore):
		return s.fault("keep what the script says", cause)
	}
	if err != nil {
		if s.live.Context().Err() != nil {
			return s.stopped()
		}
		return s.fault("run the script", err)
	}
	s.tellChanges()
	outcome := s.outcome(result)
	switch {
	case result.Cause != sandbox.Exited:
	case s.live.Context().Err() != nil: // what the script has left running was ended
		outcome = s.stopped()
	default:
		return s.finish(ctx, outcome)
	}
	s.tellLeft()
	return outcome
}

// tellLeft says that changes of a script that did not end by itself are not made: they may be half of what it meant.
func (s *session) tellLeft() {
	if n := len(s.view.Changes()); n > 0 && s.writable() {
		s.live.Notice("what the script has left changed in files (%d) is not made: it did not end by itself", n)
	}
}

// finish asks about the changes that the script has left, and makes them.
func (s *session) finish(ctx context.Context, outcome gate.Outcome) gate.Outcome {
	err := s.live.Finish(ctx, outcome.ExitCode)
	var denial *journal.DenialError
	switch {
	case err == nil:
		return outcome
	case s.live.Context().Err() != nil:
		return s.stopped()
	case errors.As(err, &denial):
		return gate.Outcome{Status: journal.StatusRejected, ExitCode: command.ExitNotPermitted, Reason: err.Error()}
	}
	switch {
	case errors.Is(err, syscall.EHOSTUNREACH):
		return unreachable(err)
	case errors.Is(err, journal.ErrTooMany):
		return busy(err)
	}
	return s.fault("make the script's changes of files", err)
}

// writable reports whether the target's files can be changed.
func (s *session) writable() bool {
	_, ok := s.request.Target.(targets.FileTarget)
	return ok && s.runner.options.Blobs != nil
}

// historyFile is in scratch, where it is nobody's change. Without scratch there is no history.
func historyFile(scratch []string) string {
	if len(scratch) == 0 {
		return "/dev/null"
	}
	return scratch[0] + "/.python_history"
}

// terminalOf is the client's terminal as the engine knows it, until ctx ends.
func terminalOf(ctx context.Context, t *command.Terminal) *sandbox.Terminal {
	sizes := make(chan sandbox.Size)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-t.Resize:
				select {
				case sizes <- terminalSize(s.Width, s.Height):
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return &sandbox.Terminal{Size: terminalSize(t.Width, t.Height), Resize: sizes}
}

// terminalSize bounds what a client says of its window; 0 is "unknown", and programs then take their own defaults.
func terminalSize(columns, rows int) sandbox.Size {
	const most = 4096
	bound := func(n int) uint16 { return uint16(min(max(n, 0), most)) } // #nosec G115 -- at most most
	return sandbox.Size{Rows: bound(rows), Columns: bound(columns)}
}

// input is what a script reads; nil for one of the shell that is given nothing. A command of such a text inherits it: so what has
// ended by now is known to have.
func (s *session) input() (in io.Reader, stop func()) {
	stop = func() {}
	switch {
	case s.request.Engine != shell.EngineName && s.stdin == nil:
		return strings.NewReader(""), stop
	case s.stdin == nil:
		return nil, stop
	case s.request.Engine != shell.EngineName:
		return s.stdin, stop
	}
	ahead := newIntake(s.stdin)
	switch now := ahead.input(); now.kind {
	case string(sandbox.NoInput):
		ahead.close()
		return nil, stop
	case string(sandbox.DataInput):
		ahead.close()
		return bytes.NewReader(now.content), stop
	default:
		return now.reader, ahead.close
	}
}

// limitedWriter ends a run at the first write that the recorder refuses.
type limitedWriter struct {
	to   io.Writer
	stop context.CancelCauseFunc
}

// Write implements io.Writer.
func (l limitedWriter) Write(p []byte) (int, error) {
	n, err := l.to.Write(p)
	if err != nil {
		l.stop(err)
	}
	return n, err
}

// outcome maps how a run ended to the session's status and the client's exit status.
func (s *session) outcome(r sandbox.Result) gate.Outcome {
	limits := s.runner.Config.Limits
	switch r.Cause {
	case sandbox.Exited:
		return exited(r.ExitCode)
	case sandbox.Stopped:
		return s.stopped()
	case sandbox.WallTime:
		return outOfTime("the script ran longer than %s (limits.wall)", limits.Wall)
	case sandbox.CPUTime:
		return outOfTime("the script used more than %s of processor time (limits.cpu)", limits.CPU)
	case sandbox.Memory:
		return overLimit("the script used more than %d bytes of memory (limits.memory)", limits.Memory)
	case sandbox.Written:
		return overLimit("the script's files are over %d bytes (limits.write) or %d files (limits.nodes)", limits.Write, limits.Nodes)
	case sandbox.Files:
		return overLimit("the script opened more than %d files at once (limits.files)", limits.Files)
	case sandbox.Objects:
		return overLimit("the script %s", r.Detail)
	case sandbox.Threads:
		return overLimit("the script had more than %d threads at once (limits.threads)", limits.Threads)
	case sandbox.Processes:
		return overLimit("the script had more than %d interpreters at once (limits.processes)", limits.Processes)
	case sandbox.Protocol:
		s.runner.log.Warn("a script broke the sandbox's protocol", "session", s.live.ID(), "detail", r.Detail)
		return overLimit("the script broke the rules of its sandbox: %s", r.Detail)
	}
	return s.fault("run the script", fmt.Errorf("it ended for a reason that is not known: %s", r.Cause))
}

func exited(code int) gate.Outcome {
	if code == 0 {
		return gate.Outcome{Status: journal.StatusDone}
	}
	return gate.Outcome{Status: journal.StatusFailed, ExitCode: code}
}

func outOfTime(format string, args ...any) gate.Outcome {
	return gate.Outcome{Status: journal.StatusTimedOut, ExitCode: command.ExitTime, Reason: fmt.Sprintf(format, args...)}
}

func overLimit(format string, args ...any) gate.Outcome {
	return gate.Outcome{Status: journal.StatusFailed, ExitCode: command.ExitLimit, Reason: fmt.Sprintf(format, args...)}
}

func (s *session) outputLimit() gate.Outcome {
	return overLimit("the output is larger than %d bytes (limits.output)", s.runner.Config.Limits.Output)
}

// fault is an end that is not the agent's doing. The log has the whole of it.
func (s *session) fault(doing string, err error) gate.Outcome {
	s.runner.log.Error("session failed", "session", s.live.ID(), "doing", doing, "error", err)
	return gate.Outcome{
		Status: journal.StatusFailed, ExitCode: command.ExitFault, Reason: fmt.Sprintf("the gateway could not %s: %v", doing, err),
	}
}

// stopped is the end of a session whose context ended; the context says why.
func (s *session) stopped() gate.Outcome {
	cause := context.Cause(s.live.Context())
	switch {
	case errors.Is(cause, errLifetime):
		return s.outOfLifetime()
	case errors.Is(cause, journal.ErrCancelled):
		return gate.Outcome{Status: journal.StatusCancelled, ExitCode: command.ExitNotPermitted, Reason: cause.Error()}
	case errors.Is(cause, journal.ErrShutdown):
		return gate.Outcome{Status: journal.StatusFailed, ExitCode: command.ExitFault, Reason: cause.Error()}
	}
	reason := "stopped"
	if cause != nil {
		reason = cause.Error()
	}
	return gate.Outcome{Status: journal.StatusExpired, ExitCode: command.ExitNotPermitted, Reason: reason}
}

// tellChanges tells the agent once, where the target's files cannot be changed, that what the script changed outside of
// scratch is not on the target.
func (s *session) tellChanges() {
	if s.view == nil || s.writable() {
		return
	}
	if n := len(s.view.Changes()); n > 0 && s.told.CompareAndSwap(false, true) {
		s.live.Notice("%d file change(s) outside of scratch stay in the sandbox: they were not made on %s, and commands do not see them",
			n, s.request.Target.Name())
	}
}

// Start implements sandbox.Commander: what a script wants to run goes through the gate.
func (s *session) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	s.tellChanges()
	start := gate.Start{
		Argv: c.Argv, Executables: c.Executables, Dir: c.Dir, Env: commandEnv(c.Env), Input: string(c.Input),
		Content: c.Content, Line: c.Line,
		Stdout: c.Stdout, Stderr: c.Stderr,
	}
	if c.Stdin != nil {
		start.Stdin = c.Stdin
	}
	p, err := s.live.Start(ctx, start)
	s.forget() // changes of files may have been made before it
	if err != nil {
		return nil, s.refusal(err)
	}
	return process{p, s}, nil
}

// commandEnv takes the sandbox's own variables out of a command's environment.
func commandEnv(env []string) []string {
	if env == nil {
		return nil
	}
	out := make([]string, 0, len(env))
	for _, kv := range env {
		if !strings.HasPrefix(kv, sandboxVariable) && !strings.HasPrefix(kv, sessionVariable) && !strings.HasPrefix(kv, historyVariable) {
			out = append(out, kv)
		}
	}
	return out
}

// refusal turns an error of the gate into what the script sees.
func (s *session) refusal(err error) error {
	var denial *journal.DenialError
	var conflict *journal.ConflictError
	var errno syscall.Errno
	switch {
	case errors.As(err, &denial):
		return &sandbox.Refusal{Errno: syscall.EACCES, Reason: err.Error()}
	case errors.As(err, &conflict):
		return &sandbox.Refusal{Errno: syscall.ESTALE, Reason: conflict.Error()}
	case errors.Is(err, journal.ErrStore):
		s.runner.log.Error("journal", "session", s.live.ID(), "error", err)
		if s.unwritten.CompareAndSwap(false, true) {
			s.live.Notice("%s", unwritten)
		}
		return &sandbox.Refusal{Errno: syscall.EIO, Reason: unwritten}
	case errors.Is(err, journal.ErrTooMany):
		return &sandbox.Refusal{Errno: syscall.EAGAIN, Reason: render.Line(err.Error()).String()}
	case errors.As(err, &errno):
		if err.Error() == errno.Error() {
			return &sandbox.Refusal{Errno: errno} // in the words of the script's own library
		}
		return &sandbox.Refusal{Errno: errno, Reason: render.Line(err.Error()).String()}
	}
	return &sandbox.Refusal{Errno: syscall.EPERM, Reason: err.Error()}
}

// process is a target's process as the engine knows it.
type process struct {
	targets.Process
	session *session
}

// Wait implements sandbox.Process.
func (p process) Wait() (sandbox.ExitStatus, error) {
	exit, err := p.Process.Wait()
	p.session.forget()
	if errors.Is(err, targets.ErrLost) {
		p.session.live.Notice("%s", render.Line(err.Error()))
	}
	return sandbox.ExitStatus{Code: exit.Code, Signal: exit.Signal}, err
}

// errWall ends a shell command at limits.wall.
var errWall = errors.New("out of time")

// shell runs one shell command. There is no sandbox: it runs on the target, or not at all.
func (s *session) shell() gate.Outcome {
	ctx, cancel := context.WithCancelCause(s.live.Context())
	defer cancel(nil)
	files := s.files()
	start := gate.Start{
		Argv: []string{"sh", "-c", s.request.Script}, Shell: true, Executables: []string{"sh"},
		Dir: s.home(func(name string) bool {
			info, err := files.Lstat(name)
			a, asks := files.(interface{ Access(string, uint32) error })
			return err == nil && info.IsDir() && (!asks || a.Access(name, mayPass) == nil)
		}),
		Stdout: limitedWriter{s.live.Stdout(), cancel}, Stderr: limitedWriter{s.live.Stderr(), cancel},
	}
	stdin, stop, err := s.shellInput()
	if err != nil {
		return s.fault("read the command's input", err)
	}
	defer stop()
	start.Input, start.Content, start.Stdin = stdin.kind, stdin.content, stdin.reader
	defer s.withinWall(ctx, cancel)()
	p, err := s.live.Start(ctx, start)
	if err != nil {
		if errors.Is(context.Cause(ctx), errWall) && s.live.Context().Err() == nil {
			return s.outOfWall()
		}
		return s.notStarted(err)
	}
	exit, err := p.Wait()
	switch cause := context.Cause(ctx); {
	case s.live.Context().Err() != nil:
		return s.stopped()
	case errors.Is(cause, journal.ErrOutputLimit):
		return s.outputLimit()
	case errors.Is(cause, journal.ErrStore):
		return s.fault("keep what the command says", cause)
	case errors.Is(cause, errWall):
		return s.outOfWall()
	case errors.Is(err, targets.ErrLost):
		return unreachable(err)
	case err != nil:
		return s.fault("run the command", err)
	}
	return exited(exit.Status())
}

// notStarted is the end of a shell command that did not start.
func (s *session) notStarted(err error) gate.Outcome {
	var denial *journal.DenialError
	var missing *gate.MissingError
	switch {
	case errors.As(err, &denial):
		return gate.Outcome{Status: journal.StatusRejected, ExitCode: command.ExitNotPermitted, Reason: err.Error()}
	case s.live.Context().Err() != nil:
		return s.stopped()
	case errors.As(err, &missing):
		return gate.Outcome{Status: journal.StatusFailed, ExitCode: exitNotFound, Reason: missing.Error()}
	case errors.Is(err, journal.ErrTooMany):
		return busy(err)
	case errors.Is(err, targets.ErrLost), errors.Is(err, syscall.EHOSTUNREACH):
		return unreachable(err)
	case errors.Is(err, syscall.ENOENT):
		return gate.Outcome{Status: journal.StatusFailed, ExitCode: exitNotFound, Reason: fmt.Sprintf("the target %s has no sh, or no directory to start it in: it may be for files only", s.request.Target.Name())}
	case errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.E2BIG): // it is too much for the target, or for its shell
		return gate.Outcome{Status: journal.StatusFailed, ExitCode: exitCannotRun, Reason: render.Line(err.Error()).String()}
	}
	return s.fault("run the command", err)
}

// What a shell gives for a program that it cannot run, and for one that it does not find.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// busy is the end of a session whose identity may add nothing to what is kept now.
func busy(err error) gate.Outcome {
	return gate.Outcome{Status: journal.StatusFailed, ExitCode: command.ExitBusy, Reason: render.Line(err.Error()).String()}
}

// unreachable is the end of a session whose target cannot be used, or was lost.
func unreachable(err error) gate.Outcome {
	return gate.Outcome{Status: journal.StatusFailed, ExitCode: command.ExitUnreachable, Reason: render.Line(err.Error()).String()}
}

// shellInput is what a shell command reads: what its client sends, or for one that was parked, what was recorded.
func (s *session) shellInput() (in input, stop func(), err error) {
	stop = func() {}
	switch {
	case len(s.again) > 0 && s.again[0].Command != nil:
		c := s.again[0].Command
		if err := shellAgain(s.again, s.sentNothing); err != nil {
			return in, stop, err
		}
		if c.Input == string(sandbox.PipeInput) {
			return input{kind: c.Input, reader: strings.NewReader("")}, stop, nil
		}
		return known(c.Input, c.InputData), stop, nil
	case s.stdin == nil:
		return known(string(sandbox.NoInput), nil), stop, nil
	}
	ahead := newIntake(s.stdin)
	in = ahead.input()
	if in.kind != string(sandbox.PipeInput) {
		ahead.close()
		return in, stop, nil
	}
	s.live.SetSent(ahead.came.Load)
	file, closeFile, err := pipe(in.reader)
	if err != nil {
		ahead.close()
		return in, stop, err
	}
	in.reader = file
	return in, func() { closeFile(); ahead.close() }, nil
}

// shellAgain says why a parked shell command cannot run any more, nil where it can. A stream whose client had sent
// nothing yet has lost nothing.
func shellAgain(ops []journal.Operation, sentNothing bool) error {
	if len(ops) == 0 || ops[0].Command == nil {
		return nil
	}
	in := ops[0].Command.Input
	if in != string(sandbox.NoInput) && in != string(sandbox.DataInput) && (in != string(sandbox.PipeInput) || !sentNothing) {
		return errors.New("the client that was sending its input is gone: it has to be asked for again")
	}
	return nil
}

// pipe gives a command a real pipe to read. So nobody waits for a client that sends nothing once the command has ended.
func pipe(from io.Reader) (read *os.File, stop func(), err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		defer func() { _ = write.Close() }()
		_, _ = io.Copy(write, from) // ends with the client's EOF, its channel, or the command
	}()
	return read, func() { _ = read.Close() }, nil
}
