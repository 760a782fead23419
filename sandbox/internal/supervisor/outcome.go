//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"shannot-gateway/sandbox"
)

// Blamed is the limit whose error ended a script, by the script's own word: what it found no more of. It decides only what
// that end is called. l is what the engine allows, "objects" and the like are the engine's own business: ok is false for
// what is not known here.
func Blamed(kind string, l sandbox.Limits) (e LimitError, ok bool) {
	switch kind {
	case "memory":
		return LimitError{sandbox.Memory, fmt.Sprintf("found no memory below %d bytes", l.Memory)}, true
	case "write":
		return LimitError{sandbox.Written, "found no room for its files"}, true
	case "files":
		return LimitError{sandbox.Files, fmt.Sprintf("opened more than %d files", l.Files)}, true
	case "threads":
		return LimitError{sandbox.Threads, fmt.Sprintf("started more than %d threads", l.Threads)}, true
	case "processes":
		return LimitError{sandbox.Processes, fmt.Sprintf("started more than %d interpreters", l.Processes)}, true
	}
	return LimitError{}, false
}

// Ended is what an engine knows of a run that is over.
type Ended struct {
	// Code and Signal are how the interpreter ended. Code is 128 and the signal's number where there is one.
	Code   int
	Signal syscall.Signal
	// Cause is why the engine ended the run, nil where it did not.
	Cause error
	// Killed says that a Cause which is no limit has ended the interpreter, and did not come after its end.
	Killed bool
	// Uncaught is the limit whose error ended the script, see Blamed; nil for none.
	Uncaught *LimitError
	// Starved is the limit of memory where the interpreter was ended by it, nil for not.
	Starved *LimitError
	// CPU is the processor time that the interpreter used.
	CPU time.Duration
}

// Result says how the run ended.
func (e Ended) Result(l sandbox.Limits) sandbox.Result {
	res := sandbox.Result{Cause: sandbox.Exited, ExitCode: e.Code, Signal: e.Signal}
	var limit *LimitError
	switch {
	case errors.As(e.Cause, &limit):
	case e.Cause != nil && e.Killed:
		res.Cause, res.Detail = sandbox.Stopped, e.Cause.Error()
	case e.Starved != nil:
		limit = e.Starved
	case e.Uncaught != nil && e.Signal == 0 && e.Code != 0:
		limit = e.Uncaught
	case e.outOfCPU(l):
		limit = TooMuchCPU(l)
	}
	if limit != nil {
		res.Cause, res.Detail = limit.Cause, limit.Detail
	}
	return res
}

// outOfCPU reports whether the kernel's RLIMIT_CPU ended the interpreter.
func (e Ended) outOfCPU(l sandbox.Limits) bool {
	if l.CPU <= 0 || e.Signal != syscall.SIGKILL && e.Signal != syscall.SIGXCPU {
		return false
	}
	// For its limit the kernel counts in ticks, which may be more than the time that was measured.
	return e.CPU >= l.CPU/2
}
