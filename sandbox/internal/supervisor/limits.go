//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/sandbox"
)

// LimitError is why an engine itself ended a run.
type LimitError struct {
	Cause  sandbox.Cause
	Detail string // one line for the operator and the agent
}

// Error is the detail.
func (e *LimitError) Error() string { return e.Detail }

// TooMuchMemory says that a run used more memory than it may.
func TooMuchMemory(l sandbox.Limits) *LimitError {
	return &LimitError{sandbox.Memory, fmt.Sprintf("used more than %d bytes of memory", l.Memory)}
}

// TooMuchCPU says that a run used more processor time than it may.
func TooMuchCPU(l sandbox.Limits) *LimitError {
	return &LimitError{sandbox.CPUTime, fmt.Sprintf("used more than %v of processor time", l.CPU)}
}

// ProtocolError says that a script sent what no guest sends.
func ProtocolError() *LimitError {
	return &LimitError{sandbox.Protocol, "sent the gateway what no guest sends"}
}

// Usage is what a run has used.
type Usage struct {
	Elapsed, CPU time.Duration
	// Memory is resident memory, Held what its view holds, in bytes.
	Memory, Held int64
}

// Over is the limit that a run is over, nil where it is below all of them.
func (u Usage) Over(l sandbox.Limits) *LimitError {
	switch {
	case l.Wall > 0 && u.Elapsed >= l.Wall:
		return &LimitError{sandbox.WallTime, fmt.Sprintf("ran for longer than %v", l.Wall)}
	case l.CPU > 0 && u.CPU >= l.CPU:
		return TooMuchCPU(l)
	case l.Memory > 0 && u.Memory > l.Memory:
		return TooMuchMemory(l)
	case l.Write > 0 && u.Held > 2*l.Write:
		return &LimitError{sandbox.Written, fmt.Sprintf("files of the session hold more than %d bytes", 2*l.Write)}
	}
	return nil
}

// Tick is how often the limits that the kernel does not keep are looked at.
const Tick = 100 * time.Millisecond

// Throttle slows a run down that makes more calls than sandbox.Limits.Calls. Its methods may be called from several
// goroutines.
type Throttle struct {
	calls atomic.Int64 // answered in this tick, or in one before and too many for it
	told  sync.Once
}

// share is a limit of calls a second as calls in one tick.
func share(limit int) int64 {
	return max(1, int64(limit)*int64(Tick)/int64(time.Second))
}

// Take counts a call. It reports false, and counts nothing, where the run has made all the calls of this tick.
func (t *Throttle) Take(limit int) bool {
	if limit > 0 {
		if t.calls.Load() >= share(limit) {
			return false
		}
		t.calls.Add(1)
	}
	return true
}

// Tell says once that the run is slowed down. tell is nil where nobody hears it.
func (t *Throttle) Tell(limit int, tell func(line string)) {
	t.told.Do(func() {
		if tell != nil {
			tell(fmt.Sprintf("the script makes more than %d system calls a second and is slowed down (limits.calls)", limit))
		}
	})
}

// Spend counts what is as dear as so many calls, without waiting for it.
func (t *Throttle) Spend(calls int) { t.calls.Add(int64(calls)) }

// stepsOfACall is how many components of a path count as one call, where it has more than a path usually has.
const stepsOfACall = 8

// Walked counts what a long walk costs.
func (t *Throttle) Walked(components int) { t.Spend(components / stepsOfACall) }

// NextTick begins a tick with the calls that were too many for the last one: one call can cost as much as many.
func (t *Throttle) NextTick(limit int) {
	if limit <= 0 || t.calls.Add(-share(limit)) < 0 {
		t.calls.Store(0)
	}
}

// Reset forgets the calls that were made.
func (t *Throttle) Reset() { t.calls.Store(0) }
