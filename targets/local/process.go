//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
)

// afterKill is how long a killed command may take to end, and to give its streams back, which what it left behind may hold.
const afterKill = time.Second

// process is a started command.
type process struct {
	cmd     *exec.Cmd
	ended   chan struct{}
	exit    targets.Exit // once ended
	err     error
	cleanup func() // what is left to do after the end, nil for nothing
	hidden  func(name string) bool
	jailed  bool
	gone    func() // called when it is no process any more

	mu     sync.Mutex
	reaped bool
}

func (p *process) start() error { return p.cmd.Start() }

// startJailed starts the command in the jail.
func (p *process) startJailed() error {
	entry, err := jail.Prepare(p.cmd, p.hidden)
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		entry.Abandon()
		return err
	}
	if err := entry.Entered(); err != nil {
		_ = p.cmd.Wait() // its streams had nothing to carry
		entry.Ended()
		return err
	}
	p.cleanup, p.jailed = entry.Ended, true
	return nil
}

// attend waits for the command and for its output. The end of ctx kills it. attend gives up on a command that cannot be
// killed, and on whoever holds its streams afterwards.
func (p *process) attend(ctx context.Context, w *wires) {
	defer close(p.ended)
	exited := make(chan error, 1)
	go func() { exited <- p.reap() }()
	killed, copied := ctx.Done(), w.copied()
	var late <-chan time.Time
	var refused error // of the kill
	for reaped := false; !reaped || copied != nil; {
		select {
		case p.err = <-exited:
			reaped, exited = true, nil
			w.exited()
		case <-copied:
			copied = nil
		case <-killed:
			killed, refused, late = nil, p.Signal(syscall.SIGKILL), time.After(afterKill)
		case <-late:
			w.cut()
			if !reaped {
				p.err = fmt.Errorf("the command does not end when it is killed, and %w", errors.Join(targets.ErrLost, refused))
				return
			}
			copied = nil
		}
	}
	p.exit, p.err = exitOf(p.cmd.ProcessState, p.err)
}

// reap takes the command's end, without a thread that waits for it.
func (p *process) reap() error {
	awaitExit(p.cmd.Process.Pid)
	if p.jailed {
		endSession(p.cmd.Process.Pid) // the number is the command's until it is waited for
	}
	err := p.cmd.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	p.gone()
	if p.cleanup != nil {
		p.cleanup()
	}
	return err
}

// Wait returns when the command has ended and its output was copied. It may be called more than once. The error wraps
// targets.ErrLost where the command was killed and did not end.
func (p *process) Wait() (targets.Exit, error) {
	<-p.ended
	return p.exit, p.err
}

func exitOf(state interface{ Sys() any }, err error) (targets.Exit, error) {
	ws, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case !ok:
		return targets.Exit{}, err
	case ws.Signaled():
		return targets.Exit{Signal: ws.Signal()}, nil
	}
	return targets.Exit{Code: ws.ExitStatus()}, nil
}

// Signal signals the process group. A command that has ended takes it silently, as a zombie would.
func (p *process) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	err := syscall.Kill(-p.cmd.Process.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
