package shell

import (
	"context"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/selftest"
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

// Check implements sandbox.Engine: it runs a line.
func (e *Engine) Check(ctx context.Context) error {
	return selftest.Run(ctx, e, selftest.Shell, time.Now)
}
