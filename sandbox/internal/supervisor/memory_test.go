//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"shannot-gateway/internal/linux/procfs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// As long as a call may be answered, the interpreter's id stays its own.
func TestIdIsGivenBackAfterTheLastAnswer(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := New(func(msg string, args ...any) { t.Error(msg, args) })
	p.process, p.PID, p.supervised = cmd.Process, cmd.Process.Pid, make(chan struct{})
	var err error
	if p.pidfd, err = unix.PidfdOpen(p.PID, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(p.pidfd) }()
	state := make(chan *os.ProcessState)
	go func() { state <- p.Reap() }()
	if err := p.AwaitExit(); err != nil {
		t.Fatal(err)
	}
	for !p.exited.Load() { // Reap has seen it too
	}
	if text := string(procfs.Small(fmt.Sprintf("/proc/%d/stat", p.PID))); !strings.Contains(text, ") Z ") {
		t.Errorf("the ended process is %q", text)
	}
	close(p.supervised)
	if s := <-state; s == nil || !s.Success() {
		t.Errorf("%v", s)
	}
}
