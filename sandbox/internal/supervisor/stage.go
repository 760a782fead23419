//go:build linux && (amd64 || arm64)

package supervisor

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/cgroup"
	"shannot-gateway/internal/linux/seccomp"
)

// The first stage is a copy of the gateway's process, in namespaces of its own, from its clone to its exec. It takes away
// everything from itself, installs the filter, and becomes the dynamic loader, which loads the interpreter through
// virtual opens. It has what the gateway has in memory and runs none of it: it makes the system calls below, which the
// gateway has prepared, one after the other. It holds nothing of the gateway's but the descriptors below, and none of
// these survives the exec.
const (
	stageCtl     = 3 // a stream socket to the supervisor
	LoaderFD     = 4 // the dynamic loader
	stageRuleset = 5 // Landlock's, where there is one
	stageFirst   = 6 // after the last of them
)

// Nobody is the user that a sandbox started by root runs as.
const Nobody = 65534

// Config is what a process does before its first exec, and what it becomes.
type Config struct {
	// Argv is the argument vector of the dynamic loader, Env the environment, KEY=VALUE.
	Argv, Env [][]byte
	// Hidden is how many of the last of Env are arguments, whose places the last of Argv keep: see arguments.go.
	Hidden int
	// Drop leaves root.
	Drop bool
	// Layers are those behind the filter. The process is in the namespaces already.
	Layers Layers
	// Probe is a process that shows itself to the supervisor instead, see runProbe.
	Probe bool
	// Filter is the filter of system calls that it has from then on.
	Filter *seccomp.Program `json:"-"`
	// Terminal says that its standard input is its controlling terminal.
	Terminal bool
	// Limits are resource limits, by resource number of getrlimit(2).
	Limits map[int]uint64
	// Group is where its memory counts from the beginning, nil for the gateway's own.
	Group *cgroup.Group `json:"-"`
}

// First byte of a message from the first stage.
const (
	stageReady  = 'R' // followed by the listener's number, four bytes, and whether calls are killable alone
	stageFailed = 'E' // followed by the step that failed and its errno, four bytes each
)

// stage is a first stage that is prepared. The memory behind its pointers is what the copy finds there.
type stage struct {
	flags   uintptr // of clone(2)
	into    *cloneInto
	pidfd   int32
	steps   steps
	filter  unix.SockFprog
	own     []*uint32 // where the filter has the process's id
	argv    []*byte
	envp    []*byte
	empty   [1]byte
	message [9]byte
}

// stepFilter stands for the filter in a message, behind the prepared steps.
const stepFilter = 1 << 16

// cloneInto is struct clone_args of clone3(2), with which a process begins in a control group.
type cloneInto struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// enter has the process begin in a control group.
func (s *stage) enter(group *cgroup.Group) {
	s.into = &cloneInto{
		flags: uint64(s.flags&^uintptr(unix.SIGCHLD)) | unix.CLONE_INTO_CGROUP, exitSignal: uint64(unix.SIGCHLD),
		pidfd: uint64(uintptr(unsafe.Pointer(&s.pidfd))), cgroup: uint64(group.FD()),
	}
}

// clone starts the process. The calling thread must outlive it, since the parent-death signal is the thread's, and must
// belong to the calling goroutine. No signal reaches the copy as long as it has the handlers of the Go runtime.
//
//go:norace
//go:nosplit
//go:noinline
func (s *stage) clone() (pid int, e unix.Errno) {
	all, old := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	var child uintptr
	if s.into != nil {
		child, _, e = unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(s.into)), unsafe.Sizeof(*s.into), 0)
	} else {
		child, _, e = unix.RawSyscall6(unix.SYS_CLONE, s.flags, 0, uintptr(unsafe.Pointer(&s.pidfd)), 0, 0, 0)
	}
	if e == 0 && child == 0 {
		s.become()
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
	return int(child), e
}

// become is all that the copy does. It makes no call but raw ones and uses no memory but what is there: the runtime's
// other threads do not exist here, and whoever of them held a lock holds it for ever.
//
//go:norace
//go:nosplit
func (s *stage) become() {
	for i := range s.steps.list {
		if e := s.steps.list[i].run(); e != 0 {
			s.fail(uint32(i), e)
		}
	}
	pid, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	for _, k := range s.own {
		*k = uint32(pid)
	}
	s.message[5] = 1
	flags := uintptr(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
	listener, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&s.filter)))
	if e == unix.EINVAL { // Linux before 5.19
		s.message[5] = 0
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
		listener, _, e = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&s.filter)))
	}
	if e != 0 {
		s.fail(stepFilter, e)
	}
	s.message[0] = stageReady
	s.number(1, uint32(listener))
	unix.RawSyscall(unix.SYS_WRITE, stageCtl, uintptr(unsafe.Pointer(&s.message[0])), readyLength)
	// The supervisor answers one byte once it has the listener; an end of file means that it gave up.
	if n, _, _ := unix.RawSyscall(unix.SYS_READ, stageCtl, uintptr(unsafe.Pointer(&s.message[0])), 1); n == 1 {
		unix.RawSyscall(unix.SYS_CLOSE, listener, 0, 0)
		unix.RawSyscall(unix.SYS_CLOSE, stageCtl, 0, 0)
		unix.RawSyscall6(unix.SYS_EXECVEAT, LoaderFD, uintptr(unsafe.Pointer(&s.empty[0])),
			uintptr(unsafe.Pointer(&s.argv[0])), uintptr(unsafe.Pointer(&s.envp[0])), unix.AT_EMPTY_PATH, 0)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, stageFailure, 0, 0)
	}
}

// readyLength is that of the message of a first stage that is ready, in bytes.
const readyLength = 6

// stageFailure is the exit status of a first stage that did not come to its exec.
const stageFailure = 125

// fail tells the supervisor what failed and ends.
//
//go:norace
//go:nosplit
func (s *stage) fail(at uint32, e unix.Errno) {
	s.message[0] = stageFailed
	s.number(1, at)
	s.number(5, uint32(e))
	unix.RawSyscall(unix.SYS_WRITE, stageCtl, uintptr(unsafe.Pointer(&s.message[0])), uintptr(len(s.message)))
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, stageFailure, 0, 0)
	}
}

// number puts four bytes into the message, little-endian.
//
//go:norace
//go:nosplit
func (s *stage) number(at int, v uint32) {
	for i := range 4 {
		s.message[at+i] = byte(v >> (8 * i))
	}
}

// listener reads a first stage's message: the number that the listener has there, and whether a call that was received is
// interrupted by nothing but the end of the process.
func (s *stage) listener(message []byte) (number int, firm bool, err error) {
	switch {
	case len(message) == readyLength && message[0] == stageReady:
		return int(binary.LittleEndian.Uint32(message[1:])), message[5] == 1, nil
	case len(message) == len(s.message) && message[0] == stageFailed:
		at, e := binary.LittleEndian.Uint32(message[1:]), unix.Errno(binary.LittleEndian.Uint32(message[5:]))
		what := "install filter"
		if int(at) < len(s.steps.list) {
			what = s.steps.list[at].what
		} else if e == unix.EBUSY {
			return 0, false, fmt.Errorf("install filter: %w: this process is already supervised by another seccomp listener, and the kernel allows one", e)
		}
		return 0, false, fmt.Errorf("%s: %w", what, e)
	}
	return 0, false, errNoReason
}
