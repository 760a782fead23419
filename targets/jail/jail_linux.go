//go:build linux && (amd64 || arm64)

package jail

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
)

// This executable enters the jail, started again in the command's place. It takes rights away from itself and then
// becomes the command.
const (
	stageName = "shannot-jail"
	report    = 3 // a socket; closed by the exec, so that its end is the good news
)

// A report is one byte, and what it is about: the descriptor at which the gateway is asked, which travels with it; or
// what failed, an errno of four bytes or a text.
const (
	reportListener = 'L'
	reportExec     = 'X'
	reportFault    = 'E'
	maxReport      = 4 << 10
)

// How a command's files are opened: the second word of the stage.
const (
	howOpen = "open"
	howHeld = "held"
)

// maxData is the most memory of one process's own, in bytes: more than readers need, and less than a host has.
const maxData = 2 << 30

// maxFile is the largest temporary file, in bytes.
const maxFile = 1 << 30

// Check reports why this machine has no jail, or nil.
func Check() error {
	if landlock.ABI() < 1 {
		return fmt.Errorf("%w: it has none, or it is switched off", ErrUnsupported)
	}
	return nil
}

// Detail says in one line what the jail of this machine holds back, and what this kernel cannot.
func Detail() string {
	abi := landlock.ABI()
	missing := []string{}
	if abi < 4 {
		missing = append(missing, "TCP (Linux 6.7)")
	}
	if abi < 6 {
		missing = append(missing, "abstract sockets (Linux 6.12)")
	}
	text := fmt.Sprintf("Landlock %d and a filter of system calls: no writes, no signals, no changes of the system", abi)
	if len(missing) > 0 {
		text += "; this kernel cannot hold back " + strings.Join(missing, ", ")
	}
	return text
}

// Started is a jail that is being entered by a started command.
type Started struct {
	ours, theirs *os.File
	dir          string                 // around the command's temporary directory
	held         *os.File               // dir, locked while this process has it
	hidden       func(name string) bool // nil where nothing is
}

// Prepare changes a command that was not started so that it starts in the jail. Its environment but for TMPDIR, its
// directory, streams and credentials stay; it must have no ExtraFiles. After Start comes Entered, or else Abandon. The
// program must have called Init. hidden names the files that the command may not open for reading, nil for none.
func Prepare(cmd *exec.Cmd, hidden func(name string) bool) (*Started, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	if len(cmd.ExtraFiles) > 0 {
		return nil, errors.New("a command in the jail has no further descriptors")
	}
	s := &Started{hidden: hidden}
	temporary, err := s.makeTemporary(cmd)
	if err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.Abandon()
		return nil, err
	}
	s.ours, s.theirs = os.NewFile(uintptr(fds[0]), "jail"), os.NewFile(uintptr(fds[1]), "jail")
	how := howOpen
	if hidden != nil {
		how = howHeld
	}
	cmd.Args = append([]string{stageName, how, temporary, cmd.Path}, cmd.Args...)
	cmd.Path = "/proc/self/exe"
	cmd.ExtraFiles = []*os.File{s.theirs}
	return s, nil
}

// makeTemporary makes the directory that the command may fill, as tac(1) does with what a pipe brings. It lies in a
// directory of the gateway's, so that the command's user cannot put something else in its place before it is removed.
func (s *Started) makeTemporary(cmd *exec.Cmd) (string, error) {
	var err error
	if s.dir, err = os.MkdirTemp("", temporaryName); err != nil {
		return "", err
	}
	if s.held, err = hold(s.dir); err != nil {
		s.Abandon()
		return "", fmt.Errorf("make a temporary directory for the jail: %w", err)
	}
	temporary := filepath.Join(s.dir, "tmp")
	err = errors.Join(os.Chmod(s.dir, 0o711), // #nosec G302 -- the command's user passes through
		os.Mkdir(temporary, 0o700))
	if err == nil && cmd.SysProcAttr != nil && cmd.SysProcAttr.Credential != nil {
		err = os.Lchown(temporary, int(cmd.SysProcAttr.Credential.Uid), int(cmd.SysProcAttr.Credential.Gid))
	}
	if err != nil {
		s.Abandon()
		return "", fmt.Errorf("make a temporary directory for the jail: %w", err)
	}
	return temporary, nil
}

// Abandon releases what Prepare made, where Start failed.
func (s *Started) Abandon() {
	if s.ours != nil {
		_, _ = s.theirs.Close(), s.ours.Close()
	}
	s.Ended()
}

// Ended removes the command's temporary directory, once the command has ended.
func (s *Started) Ended() {
	_ = os.RemoveAll(s.dir)
	if s.held != nil {
		_ = s.held.Close()
	}
}

// Entered waits until the command has become what it is to be. An error of execve(2) is a syscall.Errno; after any
// error the process ends, and is still to be waited for. After its end comes Ended.
func (s *Started) Entered() error {
	_ = s.theirs.Close()
	defer func() { _ = s.ours.Close() }()
	for {
		text, listener, err := s.next()
		switch {
		case listener >= 0:
			go answerOpens(listener, s.hidden)
		case err != nil:
			return fmt.Errorf("enter the jail: %w", err)
		case len(text) == 0:
			return nil
		case text[0] == reportExec && len(text) == 5:
			return syscall.Errno(binary.LittleEndian.Uint32(text[1:]))
		default:
			return fmt.Errorf("enter the jail: %s", text[1:])
		}
	}
}

// next receives a report, none at the end, and the descriptor that came with it or -1.
func (s *Started) next() ([]byte, int, error) {
	text, rights := make([]byte, maxReport), make([]byte, unix.CmsgSpace(4))
	for {
		n, control, _, _, err := unix.Recvmsg(int(s.ours.Fd()), text, rights, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, -1, err
		case n == 0 || text[0] != reportListener:
			return text[:n], -1, nil
		}
		messages, err := unix.ParseSocketControlMessage(rights[:control])
		if err != nil || len(messages) != 1 {
			return nil, -1, errors.Join(errors.New("no descriptor came"), err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return nil, -1, errors.Join(errors.New("no descriptor came"), err)
		}
		return nil, fds[0], nil
	}
}

// Init must be called first of all in main by every program that uses Prepare, and by TestMain in its tests. In the
// jail it does not return.
func Init() {
	if len(os.Args) < 5 || os.Args[0] != stageName {
		return
	}
	temporary, argv := os.Args[2], os.Args[4:]
	k := kindOf(argv)
	if os.Args[1] == howHeld {
		k |= held
	}
	runtime.LockOSThread() // rights are a thread's, and an exec keeps the calling one's
	message := []byte{reportExec, 0, 0, 0, 0}
	if err := confine(k, temporary, os.Args[3], argv); err != nil {
		message = append([]byte{reportFault}, err.Error()...)
	} else {
		var errno syscall.Errno
		errors.As(syscall.Exec(os.Args[3], argv, environment(temporary)), &errno) // #nosec G702 -- the command that was decided upon
		binary.LittleEndian.PutUint32(message[1:], uint32(errno))
	}
	_, _ = unix.Write(report, message)
	os.Exit(126)
}

// environment is this process's own with the temporary directory in it.
func environment(temporary string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TMPDIR=") })
	return append(env, "TMPDIR="+temporary)
}

// confine takes the rights from this thread.
func confine(k kind, temporary, executable string, argv []string) error {
	if err := unix.CloseRange(report, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(report) // an old kernel; the gateway's own descriptors are sealed already
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if k.base() != tester {
		if err := keepCapabilities(k.base()); err != nil {
			return fmt.Errorf("capabilities: %w", err)
		}
	}
	if b := k.base(); b != observer && b != tester {
		if err := readOnlyFiles(b, temporary, executable, argv); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
	}
	// The last wall of the temporary directory; a file of more than that is no reader's.
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: maxFile, Max: maxFile}); err != nil {
		return fmt.Errorf("limit the size of files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: maxData, Max: maxData}); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	listener, err := filterCalls(policy(k, landlock.ABI()))
	if err != nil || listener < 0 {
		return err
	}
	return unix.Sendmsg(report, []byte{reportListener}, unix.UnixRights(listener), nil, 0)
}

// kept are the capabilities for reading that a root's command keeps: files and directories of others, processes of
// others, the kernel's log. With no new privileges set, an exec gives none back (capabilities(7)).
const kept = 1<<unix.CAP_DAC_READ_SEARCH | 1<<unix.CAP_SYS_PTRACE | 1<<(unix.CAP_SYSLOG%32)<<32

// managing are those that a manager keeps as well: the kernel shows rules of its firewall, volumes and what disks say of
// themselves to nobody else.
const managing = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_SYS_RAWIO

func keepCapabilities(k kind) error {
	kept := uint64(kept)
	if k == manager {
		kept |= managing
	}
	return LimitCapabilities(kept)
}

// LimitCapabilities takes from this thread all capabilities but those in a mask, of which it has those that it had, and all ambient
// ones. None of them is inherited, see capabilities(7).
func LimitCapabilities(kept uint64) error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && err != unix.EINVAL {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var now [2]unix.CapUserData
	if _, _, e := unix.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now[0])), 0); e != 0 {
		return e
	}
	for i, mask := range []uint32{uint32(kept & 0xffffffff), uint32(kept >> 32)} {
		now[i] = unix.CapUserData{Permitted: now[i].Permitted & mask, Effective: now[i].Permitted & mask}
	}
	_, _, e := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now[0])), 0)
	if e != 0 {
		return e
	}
	return nil
}

// readOnlyFiles leaves reading everywhere, executing of the programs that a command names, and writing to /dev/null and in the
// temporary directory alone.
func readOnlyFiles(k kind, temporary, executable string, argv []string) error {
	keep := landlock.Rights{Files: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR}
	if k == caller {
		keep.Network = unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	null, err := openNull(unix.O_PATH)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(null) }()
	dir, err := unix.Open(temporary, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("open the temporary directory: %w", err)
	}
	defer func() { _ = unix.Close(dir) }()
	const write = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	const names = unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	rules := []landlock.Rule{{FD: null, Rights: write}, {FD: dir, Rights: write | names}}
	if files, bounded := executables(executable, argv); bounded {
		keep.Files &^= unix.LANDLOCK_ACCESS_FS_EXECUTE
		programs := executing(files)
		defer func() {
			for _, p := range programs {
				_ = unix.Close(p.FD)
			}
		}()
		rules = append(rules, programs...)
	}
	if asksDevices(k, argv) {
		devices, err := unix.Open("/dev", unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0)
		if err != nil {
			return fmt.Errorf("open /dev: %w", err)
		}
		defer func() { _ = unix.Close(devices) }()
		rules = append(rules, landlock.Rule{FD: devices, Rights: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV})
	}
	if k == manager {
		for _, name := range []string{"/dev/mapper/control", "/dev/zfs"} { // all questions to these are asked of a descriptor that could write
			if fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err == nil {
				defer func() { _ = unix.Close(fd) }()
				rules = append(rules, landlock.Rule{FD: fd, Rights: unix.LANDLOCK_ACCESS_FS_WRITE_FILE})
			}
		}
	}
	return landlock.Restrict(keep, rules...)
}

// openNull opens the null device, and nothing that somebody put in its place.
func openNull(flags int) (int, error) {
	fd, err := unix.Open("/dev/null", flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/null: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		_ = unix.Close(fd)
		return -1, errors.Join(errors.New("/dev/null is not the null device"), err)
	}
	return fd, nil
}
