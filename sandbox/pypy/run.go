//go:build linux && (amd64 || arm64)

package pypy

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
)

// child is an interpreter that was started: the two pipes of its conversation, and what can be done to it.
type child interface {
	process
	// Calls gives what the child asks, Answers takes what it is answered.
	Calls() io.Reader
	Answers() io.Writer
	// Settle is called when the child has made its first call: it is loaded.
	Settle()
	// Kill ends the child. It may be called at any time, from any goroutine.
	Kill()
	// Wait returns how the child ended, once it has.
	Wait() syscall.WaitStatus
	// Messages is the end of what the child said on its standard error, which only its fatal errors do.
	Messages() string
}

// lastWords is how long a child that asks nothing more may take to end.
const lastWords = 2 * time.Second

// converse answers a child's calls until it has ended, and says how the run ended.
func converse(ctx context.Context, job sandbox.Job, c child, now func() time.Time, log func(string, ...any)) (sandbox.Result, error) {
	d, err := newDriver(ctx, job, c, c.Calls(), c.Answers(), now, log)
	if err != nil {
		c.Kill()
		c.Wait()
		return sandbox.Result{}, err
	}
	defer d.cancel(nil)
	stopKilling := context.AfterFunc(d.ctx, c.Kill)
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() { defer close(watched); d.watch(stop) }()

	d.settle = c.Settle
	err = d.serveSafely()
	var broken *subverted
	switch {
	case errors.Is(err, errEnd):
		c.Kill()
	case errors.Is(err, io.EOF):
	case errors.As(err, &broken):
		d.cancel(&supervisor.LimitError{Cause: sandbox.Protocol, Detail: broken.Error()})
	default:
		d.cancel(err)
	}
	last := time.AfterFunc(lastWords, c.Kill)
	state := c.Wait()
	last.Stop()
	if text := c.Messages(); text != "" && job.Stderr != nil {
		d.state.outputs.mu.Lock()
		_, _ = io.WriteString(job.Stderr, text)
		d.state.outputs.mu.Unlock()
	}
	d.release()
	// Commands that the script left running keep its streams, as they would a login's.
	d.state.children.WaitAll()
	close(stop)
	<-watched
	stopKilling()
	return d.result(state, c.Messages()), nil
}

// serveSafely is serve on a thread of its own, where a panic ends this run alone.
func (d *driver) serveSafely() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer d.dialogue.pair.Unpin()
	err = supervisor.ErrPanic
	defer d.panics.Recover("answering a call")
	return d.serve()
}

// result says how the run ended.
func (d *driver) result(state syscall.WaitStatus, messages string) sandbox.Result {
	e := supervisor.Ended{Code: state.ExitStatus(), Cause: context.Cause(d.ctx), Killed: true, Uncaught: d.uncaught}
	e.CPU, _ = d.child.Used()
	var limit *supervisor.LimitError
	switch end := d.calls.children.end; {
	case errors.As(e.Cause, &limit):
		e.Signal, e.Code = syscall.SIGKILL, 128+int(syscall.SIGKILL)
	case end.asked:
		e.Code = end.code
	case state.Signaled():
		e.Signal, e.Code = state.Signal(), 128+int(state.Signal())
	}
	if e.Signal == syscall.SIGABRT && strings.Contains(messages, outOfMemory) {
		none, _ := supervisor.Blamed("memory", d.job.Limits)
		e.Starved = &none
	}
	return e.Result(d.job.Limits)
}

// outOfMemory is what the interpreter says before it aborts for want of memory.
const outOfMemory = "out of memory"
