//go:build linux

package streams

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/frames"
	"shannot-gateway/sandbox/internal/posix"
)

// gate starts nothing: it returns what it is told to, and keeps what it was asked for.
type gate struct {
	asked sandbox.Command
	err   error
	crash bool
	exit  chan sandbox.ExitStatus
}

func (g *gate) Start(_ context.Context, c sandbox.Command) (sandbox.Process, error) {
	if g.asked = c; g.crash {
		panic("injected")
	}
	if g.err != nil {
		return nil, g.err
	}
	return g, nil
}

func (g *gate) Wait() (sandbox.ExitStatus, error) { return <-g.exit, nil }
func (g *gate) Signal(syscall.Signal) error       { return nil }

// starting is a starter with a command's streams, whose output counts how often it was closed.
func starting(g *gate) (Starter, *Streams, *counted, *atomic.Int32) {
	out := new(counted)
	children, running := new(posix.Children), new(atomic.Int32)
	children.Init(func() {}, func(string) {})
	return Starter{Gate: g, Children: children, Running: running}, &Streams{Stdout: out, Stderr: out, Input: sandbox.NoInput}, out, running
}

func TestCommandRunsUntilItHasEnded(t *testing.T) {
	g := &gate{exit: make(chan sandbox.ExitStatus, 1)}
	p, s, out, running := starting(g)
	ended := make(chan struct{})
	q := frames.Start{Argv: []string{"a", "b"}, Executables: []string{"/bin/a"}, Env: []string{"X=1"}, InheritEnv: true, Line: 7}
	pid, err := p.Start(t.Context(), q, "/tmp", s, func() { close(ended) })
	if err != nil || pid < posix.FirstPID || running.Load() != 1 || out.closed != 0 {
		t.Fatalf("%d, %v, %d run, closed %d times", pid, err, running.Load(), out.closed)
	}
	if c := g.asked; c.Dir != "/tmp" || len(c.Argv) != 2 || c.Env != nil || c.Line != 7 || c.Stdout != out {
		t.Errorf("%+v", c)
	}
	g.exit <- sandbox.ExitStatus{Code: 3}
	<-ended
	if running.Load() != 0 || out.closed != 1 {
		t.Errorf("%d run, closed %d times", running.Load(), out.closed)
	}
}

func TestCommandThatIsNotStartedLeavesNothing(t *testing.T) {
	refusal := errors.New("no")
	for name, c := range map[string]struct {
		gate gate
		q    frames.Start
		want error
	}{
		"refused":                  {gate{err: refusal}, frames.Start{}, refusal},
		"with further descriptors": {gate{}, frames.Start{Pass: []int32{5}}, nil},
		"by a gate that panics":    {gate{crash: true}, frames.Start{}, nil},
	} {
		p, s, out, running := starting(&c.gate)
		ended := 0
		var err error
		func() {
			defer func() { _ = recover() }()
			_, err = p.Start(t.Context(), c.q, "/", s, func() { ended++ })
		}()
		var r *sandbox.Refusal
		if errors.As(err, &r) && r.Errno != unix.ENOTSUP || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if ended != 1 || running.Load() != 0 || out.closed != 1 || p.Children.Count() != 0 {
			t.Errorf("%s: ended %d times, %d run, closed %d times", name, ended, running.Load(), out.closed)
		}
	}
}

// The end of a run ends what waits for a stream, though the command goes on.
func TestStreamsEndWithTheRun(t *testing.T) {
	g := &gate{exit: make(chan sandbox.ExitStatus, 1)}
	p, s, _, _ := starting(g)
	r, w := newPipe(t)
	s.Stdin = r
	_ = w
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	if _, err := p.Start(ctx, frames.Start{}, "/", s, func() { close(ended) }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := r.Read(make([]byte, 1)); err == nil { // which nobody writes to
		t.Error("it was read")
	}
	g.exit <- sandbox.ExitStatus{}
	<-ended
}
