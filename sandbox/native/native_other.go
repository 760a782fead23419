//go:build !linux || (!amd64 && !arm64)

package native

import (
	"context"

	"shannot-gateway/sandbox"
)

// Init does nothing here.
func Init() {}

// Engine is the native engine, which needs Linux on amd64 or arm64.
type Engine struct{}

// New returns an engine whose Check and Run fail.
func New(Options) *Engine { return &Engine{} }

// Name returns "native".
func (*Engine) Name() string { return "native" }

// Check returns sandbox.ErrUnsupported.
func (*Engine) Check(context.Context) error { return sandbox.ErrUnsupported }

// Run returns sandbox.ErrUnsupported.
func (*Engine) Run(context.Context, sandbox.Job) (sandbox.Result, error) {
	return sandbox.Result{}, sandbox.ErrUnsupported
}

// Close does nothing.
func (*Engine) Close() error { return nil }

// Probe says that the engine does not run here.
func Probe(context.Context) []sandbox.Finding {
	return []sandbox.Finding{{Name: "native engine", Required: true, Detail: sandbox.ErrUnsupported.Error()}}
}

// HasShell returns sandbox.ErrUnsupported.
func (*Engine) HasShell(context.Context) error { return sandbox.ErrUnsupported }
