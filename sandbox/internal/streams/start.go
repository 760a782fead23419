//go:build linux

package streams

import (
	"context"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
)

// Starter starts the commands of a script.
type Starter struct {
	Gate     sandbox.Commander
	Children *posix.Children
	Running  *atomic.Int32 // how many run
}

// Start passes a command to the gate and returns its virtual process id once it runs, however long a human takes. The
// streams are the command's from then on. ctx ends the waiting and the command. ended is called when the command has ended,
// or was not started.
func (p Starter) Start(ctx context.Context, q frames.Start, dir string, s *Streams, ended func()) (pid int, err error) {
	handed := false
	defer func() {
		if !handed { // or the gate has panicked
			s.Close() // the script's outputs, whose end is waited for
			ended()
		}
	}()
	process, err := p.start(ctx, q, dir, s)
	if err != nil {
		return 0, err
	}
	handed = true
	p.Running.Add(1)
	// The streams go first when the run ends: what waits for a reader or a writer that is the gateway itself ends with them.
	unlink := context.AfterFunc(ctx, s.Close)
	return p.Children.Add(0, process, func() {
		p.Running.Add(-1)
		unlink()
		s.Close()
		ended()
	}).PID, nil
}

func (p Starter) start(ctx context.Context, q frames.Start, dir string, s *Streams) (sandbox.Process, error) {
	if len(q.Pass) > 0 {
		return nil, &sandbox.Refusal{Errno: unix.ENOTSUP, Reason: "a command runs on the target and gets stdin, stdout and stderr alone"}
	}
	c := sandbox.Command{
		Argv: q.Argv, Executables: q.Executables, Env: q.Env, Line: int(q.Line), Dir: dir,
		Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Input: s.Input, Content: s.Content,
	}
	if q.InheritEnv {
		c.Env = nil
	}
	return p.Gate.Start(ctx, c)
}
