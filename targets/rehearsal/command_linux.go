//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
	"shannot-gateway/targets"
	"shannot-gateway/targets/jail"
)

// A report of a command's first stage is one byte, and what it is about: see the jail's.
const (
	reportListener = 'L'
	reportExec     = 'X'
	reportFault    = 'E'
)

// maxFiles is how many descriptors each process of the world may have.
const maxFiles = 512

// command runs one command to its end, and ends all that it has left.
func (s *stage) command(c *targets.RehearsedCommand) (*targets.Effect, error) {
	e := &targets.Effect{}
	if c.NoProgram {
		e.Exit.Code = 127
		return e, nil
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "stage"), os.NewFile(uintptr(fds[1]), "stage")
	defer func() { _ = ours.Close() }()
	cmd := s.prepare(c, theirs)
	stdout, stderr := &capture{limit: s.order.Limits.Output}, &capture{limit: s.order.Limits.Output}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 300 * time.Millisecond // what it has left may hold its streams
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	if !s.place.unprivileged {
		if err := s.place.seal(false); err != nil { // the numbers of its user namespace are written there
			return nil, err
		}
	}
	err = cmd.Start()
	_ = theirs.Close()
	if sealed := s.place.seal(true); sealed != nil {
		return nil, sealed
	}
	if err != nil {
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOTDIR) {
			e.Exit.Code, e.Stopped = 126, "its directory is not there, or not to be entered"
			return e, nil
		}
		return nil, fmt.Errorf("start the command's first stage: %w", err)
	}
	a := newAnswers(s, e)
	stopped := s.limit(cmd.Process.Pid, a)
	enteredErr := enter(cmd.Process.Pid, ours, a)
	waited := cmd.Wait()
	e.Left = left()
	empty()
	e.Stopped = stopped()
	a.end()
	e.Stdout, e.Stderr, e.OutputCut = stdout.kept.Bytes(), stderr.kept.Bytes(), stdout.cut || stderr.cut
	var refused syscall.Errno
	switch {
	case errors.As(enteredErr, &refused):
		e.Exit.Code = 126
		if refused == syscall.ENOENT {
			e.Exit.Code = 127
		}
		return e, nil
	case enteredErr != nil && e.Stopped == "":
		return nil, enteredErr
	}
	e.Exit = exitOf(cmd.ProcessState, waited)
	return e, nil
}

func exitOf(state *os.ProcessState, _ error) targets.Exit {
	ws, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case !ok:
		return targets.Exit{Code: 126}
	case ws.Signaled():
		return targets.Exit{Signal: ws.Signal()}
	}
	return targets.Exit{Code: ws.ExitStatus()}
}

// prepare makes the first stage of a command.
func (s *stage) prepare(c *targets.RehearsedCommand, theirs *os.File) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	limits := []string{strconv.FormatInt(s.order.Limits.Memory, 10), strconv.FormatInt(s.order.Limits.Disk, 10), strconv.FormatInt(int64(time.Until(s.deadline)/time.Second)+1, 10), strconv.FormatBool(s.watch.lookups)}
	cmd.Args = append(append([]string{commandStage}, append(limits, c.Path)...), c.Argv...)
	cmd.Env, cmd.Dir, cmd.ExtraFiles = c.Env, c.Dir, []*os.File{theirs}
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	attr := &syscall.SysProcAttr{Setsid: true}
	if !s.place.unprivileged {
		// Root there is root over files, by numbers that are the same as here, and over nothing else.
		attr.Cloneflags = unix.CLONE_NEWUSER
		attr.UidMappings, attr.GidMappings, attr.GidMappingsEnableSetgroups = numbers("uid_map"), numbers("gid_map"), true
		if a := s.order.Account; a != nil {
			attr.Credential = &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}
		}
	}
	cmd.SysProcAttr = attr
	return cmd
}

// numbers maps each user or group of this process's namespace to itself.
func numbers(file string) (maps []syscall.SysProcIDMap) {
	text, _ := os.ReadFile("/proc/self/" + file) // #nosec G304 -- one of two names
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		first, err := strconv.Atoi(fields[0])
		size, err2 := strconv.Atoi(fields[2])
		if err == nil && err2 == nil {
			maps = append(maps, syscall.SysProcIDMap{ContainerID: first, HostID: first, Size: size})
		}
	}
	return maps
}

// enter sees the command's first stage through to its exec. An error of execve(2) is a syscall.Errno.
func enter(pid int, ours *os.File, a *answers) error {
	text := make([]byte, 4<<10)
	for {
		n, err := unix.Read(int(ours.Fd()), text)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("enter the world: %w", err)
		case n == 0:
			return nil // it is closed by the exec
		}
		switch text[0] {
		case reportListener:
			listener, err := take(pid, int(binary.LittleEndian.Uint32(append(text[1:n], 0, 0, 0, 0))))
			if err != nil {
				return fmt.Errorf("take the filter's descriptor: %w", err)
			}
			a.begin(listener)
			if _, err := unix.Write(int(ours.Fd()), []byte{1}); err != nil {
				return err
			}
		case reportExec:
			return syscall.Errno(binary.LittleEndian.Uint32(append(text[1:n], 0, 0, 0, 0)))
		default:
			return fmt.Errorf("enter the world: %s", text[1:n])
		}
	}
}

// take copies a descriptor of a process (pidfd_getfd(2)).
func take(pid, number int) (int, error) {
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(process) }()
	fd, err := unix.PidfdGetfd(process, number, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}

// become is the first stage of a command: it takes rights from itself and becomes the command.
func become() {
	const fixed = 6 // its own name, four limits, the path
	runtime.LockOSThread()
	message := []byte{reportExec, 0, 0, 0, 0}
	if len(os.Args) <= fixed {
		message = append([]byte{reportFault}, "no command"...)
	} else if err := confine(os.Args[1:fixed]); err != nil {
		message = append([]byte{reportFault}, err.Error()...)
	} else {
		var errno syscall.Errno
		errors.As(syscall.Exec(os.Args[fixed-1], os.Args[fixed:], os.Environ()), &errno) // #nosec G702 -- the command that was decided upon
		binary.LittleEndian.PutUint32(message[1:], uint32(errno))
	}
	_, _ = unix.Write(socket, message)
}

func confine(limits []string) error {
	if err := unix.CloseRange(socket, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("seal descriptors: %w", err)
	}
	memory, err1 := strconv.ParseUint(limits[0], 10, 64)
	disk, err2 := strconv.ParseUint(limits[1], 10, 64)
	seconds, err3 := strconv.ParseUint(limits[2], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	for resource, limit := range map[int]uint64{
		unix.RLIMIT_DATA: memory, unix.RLIMIT_FSIZE: disk, unix.RLIMIT_CPU: seconds, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_CORE: 0,
		unix.RLIMIT_MEMLOCK: 64 << 10, unix.RLIMIT_MSGQUEUE: 0,
	} {
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err == nil {
			limit = min(limit, now.Max)
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("limit resource %d: %w", resource, err)
		}
	}
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if err := restrictFiles(); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	program, err := policy(limits[3] == "true").Compile()
	if err != nil {
		return err
	}
	listener, err := program.Install(true)
	if err != nil {
		return err
	}
	// The filter holds sendmsg(2) already, so the world takes the descriptor by its number.
	if _, err := unix.Write(socket, binary.LittleEndian.AppendUint32([]byte{reportListener}, uint32(listener))); err != nil { // #nosec G115 -- a descriptor
		return err
	}
	var ready [1]byte
	if n, err := unix.Read(socket, ready[:]); n != 1 {
		return fmt.Errorf("wait for the world: %w", err)
	}
	return nil
}

// kept are the capabilities that a root's command has in the world: those over files, and over its own processes.
const kept = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID | 1<<unix.CAP_KILL |
	1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP

// dropCapabilities keeps those of a root's command, and none of another's.
func dropCapabilities() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if kept&(1<<c) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL && err != unix.EPERM {
			return err // EPERM: it has none that could come back
		}
	}
	keep := uint64(kept)
	if os.Geteuid() != 0 {
		keep = 0
	}
	return jail.LimitCapabilities(keep)
}

// restrictFiles takes what mounts do not: devices made or commanded, TCP, abstract sockets, and signals to the world's first
// process. Under Landlock no process changes mounts, or looks into one outside.
func restrictFiles() error {
	const files = 1<<13 - 1 | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(root) }()
	keep := landlock.Rights{Files: files &^ (unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK)}
	if landlock.ABI() < 2 {
		return landlock.Restrict(keep)
	}
	return landlock.Restrict(keep, landlock.Rule{FD: root, Rights: unix.LANDLOCK_ACCESS_FS_REFER})
}

// capture keeps the beginning of a stream.
type capture struct {
	kept  bytes.Buffer
	limit int64
	cut   bool
}

func (c *capture) Write(p []byte) (int, error) {
	keep := p[:min(int64(len(p)), c.limit-int64(c.kept.Len()))]
	c.cut = c.cut || len(keep) < len(p)
	_, _ = c.kept.Write(keep)
	return len(p), nil
}

var _ io.Writer = (*capture)(nil)
