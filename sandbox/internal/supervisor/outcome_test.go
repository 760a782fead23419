//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/sandbox"
)

func TestResultNamesWhatEndedTheRun(t *testing.T) {
	limits := sandbox.Limits{CPU: 2 * time.Second, Memory: 100}
	wall, blamed := &LimitError{sandbox.WallTime, "late"}, &LimitError{sandbox.Files, "many"}
	const killed = 128 + int(syscall.SIGKILL)
	for _, c := range []struct {
		name string
		is   Ended
		want sandbox.Result
	}{
		{"by itself", Ended{Code: 3}, sandbox.Result{Cause: sandbox.Exited, ExitCode: 3}},
		{"a limit", Ended{Code: killed, Signal: syscall.SIGKILL, Cause: wall, Killed: true, CPU: time.Hour},
			sandbox.Result{Cause: sandbox.WallTime, Detail: "late", ExitCode: killed, Signal: syscall.SIGKILL}},
		{"stopped", Ended{Code: killed, Signal: syscall.SIGKILL, Cause: errors.New("parked"), Killed: true},
			sandbox.Result{Cause: sandbox.Stopped, Detail: "parked", ExitCode: killed, Signal: syscall.SIGKILL}},
		{"stopped after its end", Ended{Cause: errors.New("parked")}, sandbox.Result{Cause: sandbox.Exited}},
		{"memory", Ended{Code: killed, Signal: syscall.SIGKILL, Starved: TooMuchMemory(limits), CPU: time.Hour},
			sandbox.Result{Cause: sandbox.Memory, Detail: "used more than 100 bytes of memory", ExitCode: killed, Signal: syscall.SIGKILL}},
		{"an error that nobody caught", Ended{Code: 1, Uncaught: blamed}, sandbox.Result{Cause: sandbox.Files, Detail: "many", ExitCode: 1}},
		{"one that somebody caught", Ended{Uncaught: blamed}, sandbox.Result{Cause: sandbox.Exited}},
		{"processor time", Ended{Code: killed, Signal: syscall.SIGKILL, CPU: time.Second},
			sandbox.Result{Cause: sandbox.CPUTime, Detail: "used more than 2s of processor time", ExitCode: killed, Signal: syscall.SIGKILL}},
		{"a signal with time left", Ended{Code: killed, Signal: syscall.SIGKILL, CPU: time.Second - 1},
			sandbox.Result{Cause: sandbox.Exited, ExitCode: killed, Signal: syscall.SIGKILL}},
		{"an end by itself after much time", Ended{CPU: time.Hour}, sandbox.Result{Cause: sandbox.Exited}},
	} {
		if got := c.is.Result(limits); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestBlamedNamesTheLimit(t *testing.T) {
	l := sandbox.Limits{Memory: 11, Files: 12, Threads: 13, Processes: 14}
	for kind, want := range map[string]string{"memory": "11", "files": "12", "threads": "13", "processes": "14", "write": "room"} {
		if e, ok := Blamed(kind, l); !ok || e.Cause == "" || !strings.Contains(e.Detail, want) {
			t.Errorf("%s: %+v", kind, e)
		}
	}
	if e, ok := Blamed("patience", l); ok {
		t.Errorf("what is unknown: %+v", e)
	}
}

func TestGuardEndsTheSessionOfAPanic(t *testing.T) {
	var ended error
	var told string
	g := Guard{Log: func(message string, _ ...any) { told = message }, End: func(err error) { ended = err }}
	func() {
		defer g.Recover("testing")
	}()
	if ended != nil || told != "" {
		t.Errorf("without a panic: %v, %q", ended, told)
	}
	func() {
		defer g.Recover("testing")
		panic("injected")
	}()
	if !errors.Is(ended, ErrPanic) || told == "" {
		t.Errorf("after a panic: %v, %q", ended, told)
	}
}
