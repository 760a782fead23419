package shell

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// A Host is an engine whose sandbox has this shell in it.
type Host interface {
	sandbox.Engine
	// HasShell reports why it has not, or nil.
	HasShell(ctx context.Context) error
}

// Engine runs shell texts behind the walls of another engine, which is also where their python3 runs.
type Engine struct{ host Host }

// EngineName is the engine's name in journals and in the configuration.
const EngineName = "shell"

// New makes the engine. The host is closed by its owner.
func New(host Host) *Engine { return &Engine{host} }

// Name implements sandbox.Engine.
func (e *Engine) Name() string { return EngineName }

// Close implements sandbox.Engine.
func (e *Engine) Close() error { return nil }

// Ready reports whether the engine can run.
func (e *Engine) Ready(ctx context.Context) error { return e.host.HasShell(ctx) }

// Run implements sandbox.Engine. The job's arguments are those of bash.
func (e *Engine) Run(ctx context.Context, job sandbox.Job) (sandbox.Result, error) {
	job.Args = append([]string{sandbox.Shell}, job.Args...)
	return e.host.Run(ctx, job)
}

// checked is what a trial run must say.
const checked = "shannot"

// Check implements sandbox.Engine: it runs a line.
func (e *Engine) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Scratch: []string{"/tmp"}})
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }()
	var out, errs strings.Builder
	result, err := e.Run(ctx, sandbox.Job{
		Session: "check", Args: []string{"-c", "x=(" + checked + "); echo ${x[0]}"}, Dir: "/", FS: view, Stdout: &out, Stderr: &errs,
		Commands: nothing{}, Limits: sandbox.Limits{Wall: 30 * time.Second, Memory: 512 << 20},
	})
	if err != nil {
		return err
	}
	if result.Cause != sandbox.Exited || result.ExitCode != 0 || out.String() != checked+"\n" {
		said, _, _ := strings.Cut(errs.String()+result.Detail, "\n")
		return fmt.Errorf("a trial run of the shell ended with status %d: %s", result.ExitCode, said)
	}
	return nil
}

// nothing starts no command.
type nothing struct{}

// Start implements sandbox.Commander.
func (nothing) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: syscall.EPERM, Reason: "a trial run starts no commands"}
}
