//go:build linux && (amd64 || arm64)

package native

import (
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
	"shannot-gateway/sandbox/internal/supervisor"
)

// Who ends a run may come when it is over, and its descriptor's number leads to another process.
func TestRunThatIsOverSignalsNobody(t *testing.T) {
	open := func() (*exec.Cmd, int) {
		pidfd := -1
		cmd := exec.Command("sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
		return cmd, pidfd
	}
	_, first := open()
	r := newRun(t.Context(), engine(t), sandbox.Job{})
	r.proc = supervisor.Attach(supervisor.State{PIDFD: first})
	r.close()
	victim, second := open()
	if second != first {
		if err := unix.Dup3(second, first, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(first) }()
	}
	defer func() { _ = unix.Close(second) }()
	r.proc.Kill()
	r.childEnded()
	end := []unix.PollFd{{Fd: int32(second), Events: unix.POLLIN}} // #nosec G115 -- a descriptor
	if n, err := unix.Poll(end, 100); err != nil || n != 0 {
		t.Errorf("another process was signalled: %v, %v", victim.ProcessState, err)
	}
}
