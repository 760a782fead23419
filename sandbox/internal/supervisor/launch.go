//go:build linux && (amd64 || arm64)

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
)

var errNoReason = errors.New("the first stage ended without a reason")

// started is a first stage that runs, and waits for its go.
type started struct {
	stage   *stage
	control int // the supervisor's end of its socket
	pid     int
	pidfd   int
	process *os.Process
}

// startStage starts a first stage with these standard streams; a nil one is closed. The calling goroutine must own its thread, which must outlive the process.
func startStage(loader *os.File, config Config, files [3]*os.File) (*started, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make socket pair: %w", err)
	}
	s := &started{control: pair[0]}
	given := &givenFiles{own: []int{pair[1]}}
	defer given.close()
	if s.stage, err = prepareStage(loader, config, files, pair[1], given); err == nil {
		err = s.clone(config.Layers)
	}
	runtime.KeepAlive(files)
	runtime.KeepAlive(loader)
	runtime.KeepAlive(config.Group)
	if err != nil {
		_ = unix.Close(pair[0])
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	boundWaits(pair[0])
	return s, nil
}

// boundWaits bounds the waits for a first stage, or a probe process: what hangs must not hang the gateway.
func boundWaits(control int) {
	timeout := unix.Timeval{Sec: 10}
	_ = unix.SetsockoptTimeval(control, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
	_ = unix.SetsockoptTimeval(control, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout)
}

// givenFiles are the descriptors that a first stage finds, at numbers beyond those that it gives them.
type givenFiles struct{ own []int }

func (g *givenFiles) close() {
	for _, fd := range g.own {
		_ = unix.Close(fd)
	}
}

// beyond returns fd, or a copy of it that is in nobody's way.
func (g *givenFiles) beyond(fd int) (int, error) {
	if fd >= stageFirst {
		return fd, nil
	}
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, stageFirst)
	if err == nil {
		g.own = append(g.own, fd)
	}
	return fd, err
}

// prepareStage writes down all that a first stage does.
func prepareStage(loader *os.File, config Config, files [3]*os.File, control int, given *givenFiles) (*stage, error) {
	s := &stage{flags: config.Layers.Namespaces | unix.CLONE_PIDFD | uintptr(unix.SIGCHLD)}
	s.steps.list = make([]step, 0, 192) // a few more than there are
	if config.Group != nil {
		s.enter(config.Group)
	}
	// The process is a copy of this one with all of its memory, and its memory must reach no disk.
	if core, ok := config.Limits[unix.RLIMIT_CORE]; ok {
		s.steps.limit(unix.RLIMIT_CORE, core)
	}
	s.steps.forgetSignals()
	ruleset, err := s.place(loader, files, control, given)
	if err != nil {
		return nil, err
	}
	s.steps.add("wait for the supervisor", unix.SYS_READ, stageCtl, at(&s.steps, &s.message[0]), 1).whole = 1
	s.steps.add("make a session", unix.SYS_SETSID)
	if config.Terminal {
		s.steps.add("take the terminal", unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
	s.steps.add("leave the gateway's directory", unix.SYS_CHDIR, s.steps.text("/"))
	for resource, value := range config.Limits {
		if resource != unix.RLIMIT_CORE {
			s.steps.limit(resource, value)
		}
	}
	s.steps.drop(config, ruleset)
	f := config.Filter
	if f == nil {
		return nil, errNoFilter
	}
	s.filter, s.own = unix.SockFprog{Len: uint16(len(f.Code)), Filter: &f.Code[0]}, f.Self // #nosec G115 -- at most BPF_MAXINSNS
	if s.argv, err = pointers(config.Argv); err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	if s.envp, err = pointers(config.Env); err != nil {
		return nil, fmt.Errorf("environment: %w", err)
	}
	return s, nil
}

// place adds the steps that give the descriptors their numbers and close every other.
func (s *stage) place(loader *os.File, files [3]*os.File, control int, given *givenFiles) (ruleset int, err error) {
	fds := []int{closed, closed, closed}
	for number, f := range files {
		if f != nil {
			fds[number] = int(f.Fd())
		}
	}
	// The process keeps nothing of the real file system but executing the loader, where the kernel has Landlock. It is a
	// second layer: the filter lets no path through.
	ruleset, err = landlock.Ruleset(landlock.Rights{},
		landlock.Rule{FD: int(loader.Fd()), Rights: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE})
	if err != nil {
		return -1, fmt.Errorf("landlock: %w", err)
	}
	fds = append(fds, control, int(loader.Fd()))
	if ruleset >= 0 {
		given.own = append(given.own, ruleset)
		fds, ruleset = append(fds, ruleset), stageRuleset
	}
	for number, fd := range fds {
		if fd == closed {
			s.steps.add("close a stream", unix.SYS_CLOSE, uintptr(number)).moot = [2]unix.Errno{unix.EBADF}
			continue
		}
		if fd, err = given.beyond(fd); err != nil {
			return -1, err
		}
		flags := uintptr(unix.O_CLOEXEC)
		if number <= 2 {
			flags = 0
		}
		s.steps.add("place a descriptor", unix.SYS_DUP3, uintptr(fd), uintptr(number), flags)
	}
	if closesRanges() {
		s.steps.add("close descriptors", unix.SYS_CLOSE_RANGE, uintptr(len(fds)), uintptr(^uint32(0)), 0)
		return ruleset, nil
	}
	// The exec closes them: all that this program opens are marked, and now what it was started with.
	return ruleset, markDescriptors(stageCtl)
}

// errNoFilter keeps a program from running without a filter.
var errNoFilter = errors.New("there is no filter of system calls for the program")

// closed stands for a descriptor that a first stage does not have.
const closed = -1

// closesRanges reports whether there is close_range(2), which not every container knows.
var closesRanges = sync.OnceValue(func() bool {
	return unix.CloseRange(^uint(0)>>33, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC) == nil
})

// signals is how many the kernel has.
const signals = 64

// forgetSignals takes away the Go runtime's handlers and then lets signals through. Two cannot have a handler.
func (s *steps) forgetSignals() {
	var nothing struct{ handler, flags, restorer, mask uintptr } // struct sigaction of the kernel, SIG_DFL
	action := at(s, &nothing)
	for number := uintptr(1); number <= signals; number++ {
		s.add("reset a signal", unix.SYS_RT_SIGACTION, number, action, 0, 8).moot = [2]unix.Errno{unix.EINVAL}
	}
	s.add("let signals through", unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, at(s, new(uint64)), 0, 8)
}

func (s *steps) limit(resource int, value uint64) {
	name, known := limitNames[resource]
	if !known {
		name = fmt.Sprintf("set limit %d", resource)
	}
	s.add(name, unix.SYS_PRLIMIT64, 0, uintptr(resource), at(s, &unix.Rlimit{Cur: value, Max: value}), 0)
}

// pointers makes the vector of an exec.
func pointers(list [][]byte) ([]*byte, error) {
	texts := make([]string, len(list))
	for i, b := range list {
		texts[i] = string(b)
	}
	return syscall.SlicePtrFromStrings(texts)
}

// clone starts the process and tells it who its users are.
func (s *started) clone(l Layers) error {
	pid, e := s.stage.clone()
	if e != 0 {
		return e
	}
	s.pid, s.pidfd = pid, int(s.stage.pidfd)
	var err error
	if s.process, err = os.FindProcess(pid); err == nil {
		if err = l.mapUsers(pid); err == nil {
			raiseOOMScore(pid)
			return nil
		}
		_ = s.process.Kill()
		_, _ = s.process.Wait()
	}
	_ = unix.Close(s.pidfd)
	return err
}

// raiseOOMScore makes a process the first that the kernel kills where the machine has no memory left: a session, and not
// the gateway. See oom_score_adj in proc(5). Where that cannot be said, the kernel chooses the largest.
func raiseOOMScore(pid int) {
	_ = writeProc(pid, "oom_score_adj", "1000")
}

// writeProc writes to a file of a process in /proc, which takes a text at once.
func writeProc(pid int, name, text string) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", pid, name), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, []byte(text))
	return err
}

// usersInside is which users, or groups, a user namespace has whose maker has the number outside.
func usersInside(outside int) []syscall.SysProcIDMap {
	// The first stage's exec, and /proc of an undumpable process, need the inner 0 to be the gateway's own user.
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: outside, Size: 1}}
	if os.Geteuid() == 0 {
		ids = append(ids, syscall.SysProcIDMap{ContainerID: Nobody, HostID: Nobody, Size: 1})
	}
	return ids
}

// mapUsers gives a process in a new user namespace its users.
func (l Layers) mapUsers(pid int) error {
	if !l.Has(unix.CLONE_NEWUSER) {
		return nil
	}
	text := func(outside int) (lines string) {
		for _, m := range usersInside(outside) {
			lines += fmt.Sprintf("%d %d %d\n", m.ContainerID, m.HostID, m.Size)
		}
		return lines
	}
	if err := writeProc(pid, "uid_map", text(os.Geteuid())); err != nil {
		return fmt.Errorf("map users: %w", err)
	}
	if os.Geteuid() != 0 {
		if err := writeProc(pid, "setgroups", "deny"); err != nil && err != unix.ENOENT {
			return fmt.Errorf("deny changing groups: %w", err)
		}
	}
	if err := writeProc(pid, "gid_map", text(os.Getegid())); err != nil {
		return fmt.Errorf("map groups: %w", err)
	}
	return nil
}

// proceed tells a first stage that it may go on, and returns its filter's listener once it waits to become the loader. firm
// says that nothing but the end of the process interrupts a call that was received.
func (s *started) proceed() (listener int, firm bool, err error) {
	if err := writeFull(s.control, []byte{1}); err != nil {
		return -1, false, fmt.Errorf("configure sandbox: %w", err)
	}
	var reply [64]byte
	n, err := readSome(s.control, reply[:])
	if err != nil {
		return -1, false, fmt.Errorf("wait for sandbox: %w", err)
	}
	number, firm, err := s.stage.listener(reply[:n])
	if err != nil {
		return -1, false, fmt.Errorf("enter sandbox: %w", err)
	}
	if listener, err = unix.PidfdGetfd(s.pidfd, number, 0); err != nil {
		return -1, false, fmt.Errorf("take over the filter's listener: %w (pidfd_getfd needs ptrace rights over the gateway's own children)", err)
	}
	return listener, firm, nil
}

// Bounds of execve(2) on what a new program is given, in bytes: MAX_ARG_STRLEN for one text with its NUL, and for all a
// quarter of the stack's limit, within what the kernel allows at most (bprm_stack_limits in fs/exec.c).
const (
	maxArgument  = 128 << 10
	maxArguments = 6 << 20
	minArguments = 128 << 10
)

// Fits fails with E2BIG where the kernel would not take arguments and environment. The first stage could only die of it.
func (c Config) Fits() error {
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

// Texts are the texts of several lists as Config has them.
func Texts(lists ...[]string) [][]byte {
	var out [][]byte
	for _, s := range slices.Concat(lists...) {
		out = append(out, []byte(s))
	}
	return out
}

func writeFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func readSome(fd int, p []byte) (int, error) {
	for {
		n, err := unix.Read(fd, p)
		if err == unix.EINTR {
			continue
		}
		return n, err
	}
}
