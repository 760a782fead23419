//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// stageExecutable is this program, whose Init becomes the first stage.
const stageExecutable = "/proc/self/exe"

// startStage starts a first stage, which waits for its configuration on the control socket that is returned. The
// calling thread must outlive the process, since the parent-death signal is the thread's. A loader or files that are
// nil are left out.
func startStage(exe string, loader *os.File, files [3]*os.File, attr *syscall.SysProcAttr) (control int, process *os.Process, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("make socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "stage")
	process, err = os.StartProcess(exe, []string{stageName}, &os.ProcAttr{
		Dir: "/",
		// Once the stage has taken the script's limits on itself, its runtime has no memory for another thread, and wants one
		// where it takes the processor from the stage.
		Env:   []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"},
		Files: []*os.File{files[0], files[1], files[2], theirs, loader},
		Sys:   attr,
	})
	_ = theirs.Close()
	if err == nil && *attr.PidFD < 0 {
		_ = process.Kill()
		_, _ = process.Wait()
		err = errors.New("the kernel gave no pidfd; it needs Linux 5.4 or newer")
	}
	if err != nil {
		_ = unix.Close(pair[0])
		return -1, nil, fmt.Errorf("start sandbox: %w", err)
	}
	// A first stage that hangs must not hang the gateway.
	timeout := unix.Timeval{Sec: 10}
	_ = unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	_ = unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout)
	return pair[0], process, nil
}

// Bounds of execve(2) on what a new program is given, in bytes: MAX_ARG_STRLEN for one text with its NUL, and for all a
// quarter of the stack's limit, within what the kernel allows at most (bprm_stack_limits in fs/exec.c).
const (
	maxArgument  = 128 << 10
	maxArguments = 6 << 20
	minArguments = 128 << 10
)

// fits fails with E2BIG where the kernel would not take arguments and environment. The first stage could only die of it.
func (c stageConfig) fits() error {
	room := uint64(maxArguments)
	var stack unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &stack) == nil {
		room = min(room, max(stack.Cur/4, minArguments))
	}
	total := uint64(os.Getpagesize()) // the vectors' ends, the program's name and the auxiliary vector
	for _, list := range [][][]byte{c.Argv, c.Env} {
		for _, text := range list {
			if len(text) >= maxArgument {
				return unix.E2BIG
			}
			total += uint64(len(text)) + 1 + 8 // with its pointer
		}
	}
	if total > room {
		return unix.E2BIG
	}
	return nil
}

// configureStage tells a first stage what to become and returns what it says when it is ready.
func configureStage(control int, config stageConfig) ([]byte, error) {
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("configure sandbox: %w", err)
	}
	if len(text) > maxStageConfig {
		return nil, fmt.Errorf("configure sandbox: arguments and environment of %d bytes are too large", len(text))
	}
	message := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
	if err := writeFull(control, append(message, text...)); err != nil {
		return nil, fmt.Errorf("configure sandbox: %w", err)
	}
	var reply [1024]byte
	n, err := readSome(control, reply[:])
	switch {
	case err != nil:
		return nil, fmt.Errorf("wait for sandbox: %w", err)
	case n > 1 && reply[0] == stageReady:
		return reply[1:n], nil
	case n > 1 && reply[0] == stageFailed:
		return nil, fmt.Errorf("enter sandbox: %s", reply[1:n])
	}
	return nil, errors.New("enter sandbox: the first stage ended without a reason")
}
