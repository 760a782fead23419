//go:build unix

package conformance

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"shannot-gateway/sandbox"
)

// Exec is a sandbox.Commander that runs what it is asked for on this machine, which a gate would not.
type Exec struct{}

type execProcess struct {
	cmd  *exec.Cmd
	once sync.Once
	exit sandbox.ExitStatus
}

// Start implements sandbox.Commander.
func (Exec) Start(ctx context.Context, c sandbox.Command) (sandbox.Process, error) {
	var path string
	for _, candidate := range c.Executables {
		if st, err := os.Stat(candidate); err == nil && !st.IsDir() {
			path = candidate
			break
		}
	}
	if path == "" {
		return nil, &sandbox.Refusal{Errno: syscall.ENOENT, Reason: ""}
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Dir, cmd.Env = c.Argv, c.Dir, c.Env
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	if err := input(cmd, c.Stdin); err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &execProcess{cmd: cmd}, nil
}

// input gives a command what it reads. Where that is copied, the command's end does not wait for who might write more.
func input(cmd *exec.Cmd, from io.ReadCloser) error {
	if from == nil {
		return nil
	}
	if in, ok := from.(interface{ Inherit() (*os.File, error) }); ok {
		file, err := in.Inherit()
		cmd.Stdin = file
		return err
	}
	to, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	return nil
}

// Wait implements sandbox.Process.
func (p *execProcess) Wait() (sandbox.ExitStatus, error) {
	p.once.Do(func() {
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			ws := exit.Sys().(syscall.WaitStatus)
			if ws.Signaled() {
				p.exit.Signal = ws.Signal()
			} else {
				p.exit.Code = ws.ExitStatus()
			}
		}
	})
	return p.exit, nil
}

// Signal implements sandbox.Process.
func (p *execProcess) Signal(sig syscall.Signal) error { return syscall.Kill(-p.cmd.Process.Pid, sig) }

// Refuse is a sandbox.Commander that starts nothing.
type Refuse struct{}

// Start implements sandbox.Commander.
func (Refuse) Start(context.Context, sandbox.Command) (sandbox.Process, error) {
	return nil, &sandbox.Refusal{Errno: syscall.EACCES, Reason: "not today"}
}
