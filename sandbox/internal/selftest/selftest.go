// Package selftest runs a line of code in an engine. That shows whether everything that the engine needs works together on
// this machine. It knows the contract of engines, and no engine. doctor and serve use it.
package selftest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/vfs"
)

// mark is what a trial run must say.
const mark = "shannot"

// Lines that say it.
const (
	Python = "print('" + mark + "')"
	Shell  = "x=(" + mark + "); echo ${x[0]}"
)

// Run runs a line that says the mark. It fails with what the engine could not do, or with the first line of what the interpreter
// said.
func Run(ctx context.Context, e sandbox.Engine, line string, now func() time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	view, err := vfs.NewSession(vfs.Config{Base: vfs.NewHost(), Policy: nil, Scratch: []string{"/tmp"}, Now: now})
	if err != nil {
		return err
	}
	defer func() { _ = view.Close() }()
	var out, errs strings.Builder
	result, err := e.Run(ctx, sandbox.Job{
		Session: "check", Args: []string{"-c", line}, Dir: "/", FS: view,
		Stdout: &out, Stderr: &errs, Commands: RefuseAll{},
		Limits: sandbox.Limits{Wall: 30 * time.Second, Memory: 512 << 20},
	})
	if err != nil {
		return err
	}
	if result.Cause != sandbox.Exited || result.ExitCode != 0 || out.String() != mark+"\n" {
		said, _, _ := strings.Cut(errs.String()+result.Detail, "\n")
		return fmt.Errorf("a trial run of engine %s ended with status %d: %s", e.Name(), result.ExitCode, said)
	}
	return nil
}

// RefuseAll is a gate that nothing passes.
type RefuseAll struct{}

// Start implements sandbox.Commander. It refuses.
func (RefuseAll) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: syscall.EPERM, Reason: "a trial run starts no commands"}
}
