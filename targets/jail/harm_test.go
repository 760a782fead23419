//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/landlock"
)

// Attempts are made by this test binary, started again: its arguments are a word that chooses the kind of jail, and
// where the scene is.
const attemptName = "attempt"

func TestMain(m *testing.M) {
	Init()
	if os.Args[0] == attemptName {
		attempt()
		return
	}
	os.Exit(m.Run())
}

// scene is what the attempts have to work on. Everything in it is the test's own.
type scene struct {
	dir      string // has a folder for each attempt, with "file", "other" and "empty/", all the user's
	pid      int    // a process of the same user, outside the jail
	address  string // listens on loopback
	abstract string // listens, an abstract socket
}

// attempt tries every harm in turn and prints what came of it, a line each.
func attempt() {
	pid, _ := strconv.Atoi(os.Args[3])
	for i, h := range harms {
		if os.Args[1] == "" && !h.outside {
			continue
		}
		err := h.try(scene{dir: filepath.Join(os.Args[2], strconv.Itoa(i)), pid: pid, address: os.Args[4], abstract: os.Args[5]})
		var e syscall.Errno
		switch {
		case err == nil:
			fmt.Println("done")
		case errors.As(err, &e):
			fmt.Println(unix.ErrnoName(e))
		default:
			fmt.Printf("%q\n", err)
		}
	}
}

// harm is something that a command which only looks must not do. Those that would change the machine itself are tried
// with arguments that the kernel refuses with something else than EPERM, so that a hole is seen and does nothing.
type harm struct {
	name string
	try  func(s scene) error
	// outside says that the attempt succeeds without the jail, so that the test is sure to try what it means to.
	outside bool
	abi     int  // of Landlock, from which on it is held back
	calls   bool // a caller may do it
}

func (s scene) file() string { return filepath.Join(s.dir, "file") }

// numbered makes a harm of a bare system call.
func numbered(call uintptr, args ...uintptr) func(scene) error {
	return func(scene) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, e := unix.RawSyscall6(call, a[0], a[1], a[2], a[3], a[4], a[5]); e != 0 {
			return e
		}
		return nil
	}
}

func opened(flags int, use func(fd int) error) func(scene) error {
	return func(s scene) error {
		fd, err := unix.Open(s.file(), flags, 0o600)
		if err != nil {
			return err
		}
		return use(fd)
	}
}

func nothing(int) error { return nil }

const bad = ^uintptr(0) // no pointer, no descriptor

var harms = []harm{
	{name: "open for writing", outside: true, try: opened(unix.O_WRONLY, nothing)},
	{name: "open for both", outside: true, try: opened(unix.O_RDWR, nothing)},
	{name: "append", outside: true, try: opened(unix.O_WRONLY|unix.O_APPEND, nothing)},
	{name: "open and truncate", outside: true, try: opened(unix.O_WRONLY|unix.O_TRUNC, nothing)},
	{name: "open for reading and truncate", outside: true, try: opened(unix.O_RDONLY|unix.O_TRUNC, nothing)},
	{name: "truncate", outside: true, try: func(s scene) error { return unix.Truncate(s.file(), 0) }},
	{name: "create", outside: true, try: func(s scene) error { return os.WriteFile(filepath.Join(s.dir, "new"), nil, 0o600) }},
	{name: "nameless file", outside: true, try: func(s scene) error {
		_, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
		return err
	}},
	{name: "open through how", outside: true, try: func(s scene) error {
		_, err := unix.Openat2(unix.AT_FDCWD, s.file(), &unix.OpenHow{Flags: unix.O_WRONLY})
		return err
	}},
	{name: "unlink", outside: true, try: func(s scene) error { return unix.Unlink(filepath.Join(s.dir, "other")) }},
	{name: "rmdir", outside: true, try: func(s scene) error { return unix.Rmdir(filepath.Join(s.dir, "empty")) }},
	{name: "rename", outside: true, try: func(s scene) error { return unix.Rename(s.file(), filepath.Join(s.dir, "renamed")) }},
	{name: "exchange", outside: true, try: func(s scene) error {
		return unix.Renameat2(unix.AT_FDCWD, s.file(), unix.AT_FDCWD, filepath.Join(s.dir, "other"), unix.RENAME_EXCHANGE)
	}},
	{name: "link", outside: true, try: func(s scene) error { return unix.Link(s.file(), filepath.Join(s.dir, "linked")) }},
	{name: "symlink", outside: true, try: func(s scene) error { return unix.Symlink("/", filepath.Join(s.dir, "symlink")) }},
	{name: "mkdir", outside: true, try: func(s scene) error { return unix.Mkdir(filepath.Join(s.dir, "made"), 0o700) }},
	{name: "fifo", outside: true, try: func(s scene) error { return unix.Mkfifo(filepath.Join(s.dir, "fifo"), 0o600) }},
	{name: "socket with a name", outside: true, try: func(s scene) error {
		_, err := net.Listen("unix", filepath.Join(s.dir, "socket"))
		return err
	}},
	{name: "chmod", outside: true, try: func(s scene) error { return unix.Chmod(s.file(), 0o644) }},
	{name: "fchmod", outside: true, try: opened(unix.O_RDONLY, func(fd int) error { return unix.Fchmod(fd, 0o644) })},
	{name: "fchmodat2", try: func(s scene) error {
		return unix.Fchmodat(unix.AT_FDCWD, s.file(), 0o644, unix.AT_SYMLINK_NOFOLLOW)
	}},
	{name: "chown", outside: true, try: func(s scene) error { return unix.Lchown(s.file(), os.Getuid(), -1) }},
	{name: "fchown", outside: true, try: opened(unix.O_RDONLY, func(fd int) error { return unix.Fchown(fd, os.Getuid(), -1) })},
	{name: "times", outside: true, try: func(s scene) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, s.file(), make([]unix.Timespec, 2), 0)
	}},
	{name: "futimens", outside: true, try: opened(unix.O_RDONLY, func(fd int) error {
		return numbered(unix.SYS_UTIMENSAT, uintptr(fd))(scene{})
	})},
	{name: "attribute", try: func(s scene) error { return unix.Setxattr(s.file(), "user.shannot", []byte("x"), 0) }},
	{name: "attribute of a descriptor", try: opened(unix.O_RDONLY, func(fd int) error { return unix.Fsetxattr(fd, "user.shannot", []byte("x"), 0) })},
	{name: "remove an attribute", try: func(s scene) error { return unix.Removexattr(s.file(), "user.shannot") }},
	{name: "flags of a file", try: opened(unix.O_RDONLY, func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, 0) })},
	{name: "file by handle", try: numbered(unix.SYS_OPEN_BY_HANDLE_AT, bad, bad, unix.O_WRONLY)},
	{name: "type into a terminal", try: numbered(unix.SYS_IOCTL, 0, unix.TIOCSTI, bad)},

	{name: "signal", outside: true, try: func(s scene) error { return unix.Kill(s.pid, unix.SIGCONT) }},
	{name: "signal to a thread", outside: true, try: func(s scene) error { return unix.Tgkill(s.pid, s.pid, unix.SIGCONT) }},
	{name: "signal through a descriptor", outside: true, try: func(s scene) error {
		fd, err := unix.PidfdOpen(s.pid, 0)
		if err != nil {
			return err
		}
		return unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0)
	}},
	{name: "priority of another", outside: true, try: func(s scene) error { return unix.Setpriority(unix.PRIO_PROCESS, s.pid, 19) }},
	{name: "processors of another", outside: true, try: func(s scene) error {
		var set unix.CPUSet
		if err := unix.SchedGetaffinity(s.pid, &set); err != nil {
			return err
		}
		return unix.SchedSetaffinity(s.pid, &set)
	}},
	{name: "limits of another", outside: true, try: func(s scene) error {
		var l unix.Rlimit
		if err := unix.Prlimit(s.pid, unix.RLIMIT_CORE, nil, &l); err != nil {
			return err
		}
		return unix.Prlimit(s.pid, unix.RLIMIT_CORE, &l, nil)
	}},
	{name: "trace", try: func(s scene) error { return numbered(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(s.pid))(s) }},
	{name: "memory of another", try: func(s scene) error {
		_, err := unix.ProcessVMReadv(s.pid, []unix.Iovec{{}}, []unix.RemoteIovec{{}}, 0)
		return err
	}},
	{name: "memory of another by its file", try: func(s scene) error {
		_, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", s.pid), os.O_RDWR, 0)
		return err
	}},
	{name: "descriptor of another", try: numbered(unix.SYS_PIDFD_GETFD, bad, 0, 0)},

	{name: "connect", outside: true, abi: 4, calls: true, try: func(s scene) error {
		_, err := net.Dial("tcp", s.address)
		return err
	}},
	{name: "bind", outside: true, abi: 4, try: func(scene) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}},
	{name: "bind with another protocol", outside: true, try: func(scene) error {
		_, err := net.Listen("tcp", "127.0.0.1:0") // Go asks for Multipath TCP
		return err
	}},
	{name: "listen without bind", outside: true, try: func(scene) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return unix.Listen(fd, 1)
	}},
	{name: "connect with the first data", try: func(s scene) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		to, err := netip.ParseAddrPort(s.address)
		if err != nil {
			return err
		}
		return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}},
	{name: "raw packets", try: numbered(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0)},
	{name: "sockets of a hypervisor", try: numbered(unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
	{name: "abstract socket", outside: true, abi: 6, try: func(s scene) error {
		_, err := net.Dial("unix", s.abstract)
		return err
	}},

	{name: "mount", try: numbered(unix.SYS_MOUNT, bad, bad, bad, 0, 0)},
	{name: "umount", try: numbered(unix.SYS_UMOUNT2, bad, bad)},
	{name: "pivot_root", try: numbered(unix.SYS_PIVOT_ROOT, bad, bad)},
	{name: "chroot", try: numbered(unix.SYS_CHROOT, bad)},
	{name: "namespace", try: numbered(unix.SYS_UNSHARE, unix.CLONE_NEWUSER|unix.CLONE_SIGHAND)},
	{name: "namespace of another", try: numbered(unix.SYS_SETNS, bad, 0)},
	{name: "namespace by clone", try: numbered(unix.SYS_CLONE, unix.CLONE_NEWNS|unix.CLONE_FS)},
	{name: "clone with more", try: numbered(unix.SYS_CLONE3, bad, 0)},
	{name: "module", try: numbered(unix.SYS_FINIT_MODULE, bad, bad, bad)},
	{name: "remove a module", try: numbered(unix.SYS_DELETE_MODULE, bad, 0)},
	{name: "another kernel", try: numbered(unix.SYS_KEXEC_LOAD, 0, 0, 0, bad)},
	{name: "reboot", try: numbered(unix.SYS_REBOOT, 0, 0, 0, 0)},
	{name: "clock", try: numbered(unix.SYS_CLOCK_SETTIME, bad, bad)},
	{name: "time of day", try: numbered(unix.SYS_SETTIMEOFDAY, bad, bad)},
	{name: "name of the host", try: numbered(unix.SYS_SETHOSTNAME, bad, 65)},
	{name: "clear the kernel's log", try: numbered(unix.SYS_SYSLOG, 8, 0, 99)},
	{name: "bpf", try: numbered(unix.SYS_BPF, bad, bad, 0)},
	{name: "performance events", try: numbered(unix.SYS_PERF_EVENT_OPEN, bad, 0, bad, bad, bad)},
	{name: "keys", try: numbered(unix.SYS_KEYCTL, bad)},
	{name: "a key", try: numbered(unix.SYS_ADD_KEY, bad, bad, bad, 0, 0)},
	{name: "shared memory", try: numbered(unix.SYS_SHMGET, 0, 0, 0)},
	{name: "semaphores", try: numbered(unix.SYS_SEMGET, 0, bad, 0)},
	{name: "message queue", try: numbered(unix.SYS_MQ_OPEN, bad, 0, 0, 0)},
	{name: "swap", try: numbered(unix.SYS_SWAPON, bad, 0)},
	{name: "accounting", try: numbered(unix.SYS_ACCT, bad)},
	{name: "quota", try: numbered(unix.SYS_QUOTACTL, bad, bad, 0, bad)},
	{name: "calls behind the filter's back", try: numbered(unix.SYS_IO_URING_SETUP, 0, uintptr(unsafe.Pointer(&[1]byte{})))},
}

// setting makes a scene for a user, with nothing in it that is not the test's.
func setting(t *testing.T, credential *syscall.Credential) scene {
	t.Helper()
	s := scene{dir: t.TempDir()}
	s.abstract = "@shannot-jail-" + strings.ReplaceAll(s.dir, "/", "-")
	for dir := s.dir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755)
	}
	uid := os.Getuid()
	if credential != nil {
		uid = int(credential.Uid)
	}
	for i := range harms {
		dir := filepath.Join(s.dir, strconv.Itoa(i))
		file, other, empty := filepath.Join(dir, "file"), filepath.Join(dir, "other"), filepath.Join(dir, "empty")
		err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(file, []byte("content"), 0o600), os.WriteFile(other, nil, 0o600), os.Mkdir(empty, 0o700))
		for _, name := range []string{dir, file, other, empty} {
			err = errors.Join(err, os.Lchown(name, uid, -1))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	other := exec.Command("/bin/sleep", "600")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	s.pid = other.Process.Pid
	for _, network := range []struct{ kind, address string }{{"tcp", "127.0.0.1:0"}, {"unix", s.abstract}} {
		l, err := net.Listen(network.kind, network.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		if network.kind == "tcp" {
			s.address = l.Addr().String()
		}
	}
	return s
}

// try makes the attempts in a jail of the kind that word chooses, or those that succeed without one for "".
func (s scene) try(t *testing.T, word string, credential *syscall.Credential) map[string]string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{attemptName, word, s.dir, strconv.Itoa(s.pid), s.address, s.abstract, "-exec", word}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.Env = []string{}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	end, err := begin(cmd, word != "")
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	lines, results := strings.Split(out.String(), "\n"), map[string]string{}
	for _, h := range harms {
		if word == "" && !h.outside {
			continue
		}
		results[h.name], lines = lines[0], lines[1:]
	}
	return results
}

func needJail(t *testing.T) {
	t.Helper()
	if err := Check(); err != nil {
		t.Skip(err)
	}
}

// users are those that the tests run as: the one that runs them and, for root, one without rights.
func users() map[string]*syscall.Credential {
	all := map[string]*syscall.Credential{"own user": nil}
	if os.Getuid() == 0 {
		all["nobody"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	return all
}

func TestHarmIsRefusedInTheJail(t *testing.T) {
	needJail(t)
	abi := landlock.ABI()
	for user, credential := range users() {
		t.Run(user, func(t *testing.T) {
			s := setting(t, credential)
			for word, k := range map[string]kind{"look": plain, "ss": observer, "kubectl": caller, "ip": inspector} {
				got := s.try(t, word, credential)
				for _, h := range harms {
					if h.abi > abi && k != observer || k == caller && h.calls {
						continue
					}
					switch got[h.name] {
					case "EACCES", "EPERM", "ENOSYS", "EPROTONOSUPPORT":
					default:
						t.Errorf("%s in the jail with %q: %s", h.name, word, got[h.name])
					}
				}
				if k == caller && got["connect"] != "done" {
					t.Errorf("connect by a caller: %s", got["connect"])
				}
			}
			for i := range harms {
				dir := filepath.Join(s.dir, strconv.Itoa(i))
				if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != "content" {
					t.Errorf("%s: the file holds %q, %v", harms[i].name, text, err)
				}
				if names, err := os.ReadDir(dir); err != nil || len(names) != 3 {
					t.Errorf("%s: %v, %v", harms[i].name, names, err)
				}
			}
			for name, got := range s.try(t, "", credential) {
				if got != "done" {
					t.Errorf("%s without the jail: %s, so that the attempt proves nothing", name, got)
				}
			}
		})
	}
}
