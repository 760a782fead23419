//go:build linux && (amd64 || arm64)

package native

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/internal/linux/seccomp/seccomptest"
)

const testPID = 4242

// runFilter interprets a filter as the kernel does.
func runFilter(t *testing.T, program []unix.SockFilter, arch, number uint32, args ...uint64) seccomp.Action {
	t.Helper()
	action, _ := seccomptest.Run(t, program, arch, number, args...)
	return seccomp.Action(action)
}

// filterFor is the filter of a policy, for a process with testPID.
func filterFor(tb testing.TB, p seccomp.Policy) []unix.SockFilter {
	tb.Helper()
	program, err := p.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return program.For(testPID)
}

func TestFilterTreatsCallsAsTheTableSays(t *testing.T) {
	program := filterFor(t, enginePolicy)
	const null = 0
	pointer := uint64(0x7f00_0000_1000)
	cases := []struct {
		name string
		call string
		args []uint64
		want seccomp.Action
	}{
		{"read is allowed", "read", nil, seccomp.ActionAllow},
		{"openat is notified", "openat", nil, seccomp.ActionNotify},
		{"socket is refused", "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, seccomp.Errno(unix.EPERM)},
		{"ptrace is refused", "ptrace", nil, seccomp.Errno(unix.EPERM)},
		{"a stream pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, seccomp.ActionNotify},
		{"a datagram pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, seccomp.Errno(unix.EPERM)},
		{"a seqpacket pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, seccomp.Errno(unix.EPERM)},
		{"a netlink pair", "socketpair", []uint64{unix.AF_NETLINK, unix.SOCK_STREAM}, seccomp.Errno(unix.EPERM)},
		{"a pipe is counted", "pipe2", []uint64{pointer, unix.O_CLOEXEC}, seccomp.ActionNotify},
		{"a pipe of notifications", "pipe2", []uint64{pointer, unix.O_EXCL}, seccomp.Errno(unix.EINVAL)},
		{"a smaller pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 4096}, seccomp.ActionAllow},
		{"a pipe of the usual size", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 65536}, seccomp.ActionAllow},
		{"a larger pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 65537}, seccomp.Errno(unix.EPERM)},
		{"a much larger pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 1 << 20}, seccomp.Errno(unix.EPERM)},
		{"a registration is counted", "epoll_ctl", []uint64{3, unix.EPOLL_CTL_ADD, 4, pointer}, seccomp.ActionNotify},
		{"a registration with high bits", "epoll_ctl", []uint64{3, 1<<32 | unix.EPOLL_CTL_ADD, 4, pointer}, seccomp.ActionNotify},
		{"a registration taken back", "epoll_ctl", []uint64{3, unix.EPOLL_CTL_DEL, 4, null}, seccomp.ActionAllow},
		{"an epoll instance is made outside", "epoll_create1", []uint64{unix.EPOLL_CLOEXEC}, seccomp.ActionNotify},
		{"a send without address", "sendto", []uint64{3, pointer, 1, 0, null, 0}, seccomp.ActionAllow},
		{"a send with an address", "sendto", []uint64{3, pointer, 1, 0, pointer, 16}, seccomp.Errno(unix.EPERM)},
		{"an address in the high half only", "sendto", []uint64{3, pointer, 1, 0, 1 << 32, 16}, seccomp.Errno(unix.EPERM)},
		{"a thread", "clone", []uint64{threadFlags}, seccomp.ActionNotify},
		{"a fork by clone", "clone", []uint64{uint64(unix.SIGCHLD)}, seccomp.Errno(unix.EPERM)},
		{"a thread with a new user namespace", "clone", []uint64{threadFlags | unix.CLONE_NEWUSER}, seccomp.Errno(unix.EPERM)},
		{"a thread with high flag bits", "clone", []uint64{threadFlags | 1<<33}, seccomp.Errno(unix.EPERM)},
		{"kill of itself", "kill", []uint64{testPID, 15}, seccomp.ActionAllow},
		{"kill of its group", "kill", []uint64{0, 15}, seccomp.ActionAllow},
		{"kill of init", "kill", []uint64{1, 9}, seccomp.ActionNotify},
		{"kill of everything", "kill", []uint64{^uint64(0), 9}, seccomp.ActionNotify},
		{"tgkill of itself", "tgkill", []uint64{testPID, testPID, 10}, seccomp.ActionAllow},
		{"tgkill of another", "tgkill", []uint64{1, 1, 9}, seccomp.Errno(unix.EPERM)},
		{"reading a limit", "prlimit64", []uint64{0, unix.RLIMIT_AS, null, pointer}, seccomp.ActionAllow},
		{"reading its own limit by number", "prlimit64", []uint64{testPID, unix.RLIMIT_AS, null, pointer}, seccomp.ActionAllow},
		{"raising a limit", "prlimit64", []uint64{0, unix.RLIMIT_AS, pointer, null}, seccomp.Errno(unix.EPERM)},
		{"another's limit", "prlimit64", []uint64{1, unix.RLIMIT_AS, null, pointer}, seccomp.Errno(unix.EPERM)},
		{"duplicating a descriptor", "fcntl", []uint64{1, unix.F_DUPFD_CLOEXEC}, seccomp.ActionAllow},
		{"taking a lock is answered", "fcntl", []uint64{1, unix.F_SETLK, pointer}, seccomp.ActionNotify},
		{"asking for a lock is answered", "fcntl", []uint64{1, unix.F_GETLK, pointer}, seccomp.ActionNotify},
		{"setting an owner", "fcntl", []uint64{1, unix.F_SETOWN, 1}, seccomp.Errno(unix.EINVAL)},
		{"adding a seal", "fcntl", []uint64{1, unix.F_ADD_SEALS, 1}, seccomp.Errno(unix.EINVAL)},
		{"a terminal question", "ioctl", []uint64{0, unix.TCGETS}, seccomp.ActionAllow},
		{"typing into a terminal", "ioctl", []uint64{0, unix.TIOCSTI}, seccomp.Errno(unix.ENOTTY)},
		{"naming a thread", "prctl", []uint64{unix.PR_SET_NAME}, seccomp.ActionAllow},
		{"becoming dumpable again", "prctl", []uint64{unix.PR_SET_DUMPABLE, 1}, seccomp.Errno(unix.EPERM)},
		{"a lock file is answered", "flock", nil, seccomp.ActionNotify},
		{"the foreground of a terminal is answered", "ioctl", []uint64{0, unix.TIOCSPGRP, pointer}, seccomp.ActionNotify},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := runFilter(t, program, seccomp.AuditArch, seccomptest.CallNumber(t, c.call), c.args...); got != c.want {
				t.Errorf("%s%v: filter returns %#x, want %#x", c.call, c.args, got, c.want)
			}
		})
	}
}

func TestFilterRefusesWhatTheTableDoesNotName(t *testing.T) {
	program := filterFor(t, enginePolicy)
	for _, unnamed := range []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_MEMFD_CREATE, 999, 1 << 20} {
		if got := runFilter(t, program, seccomp.AuditArch, unnamed); got != seccomp.Errno(unix.ENOSYS) {
			t.Errorf("call %d: filter returns %#x, want ENOSYS", unnamed, got)
		}
	}
}

func TestFilterKillsForeignEntries(t *testing.T) {
	program := filterFor(t, enginePolicy)
	if got := runFilter(t, program, unix.AUDIT_ARCH_I386, 1); got != seccomp.ActionKill {
		t.Errorf("int 0x80: filter returns %#x, want kill", got)
	}
	if seccomp.X32Bit != 0 {
		if got := runFilter(t, program, seccomp.AuditArch, seccomp.X32Bit|seccomptest.CallNumber(t, "read")); got != seccomp.ActionKill {
			t.Errorf("x32: filter returns %#x, want kill", got)
		}
	}
}

func TestEveryHandlerHasARowAndEveryRowAHandler(t *testing.T) {
	used := map[string]bool{}
	for _, r := range table {
		if key := r.Key(); key != "" {
			used[key] = true
			if _, ok := handlers[key]; !ok {
				t.Errorf("nothing handles %s, which is %q", r.Call, key)
			}
		}
	}
	for key := range handlers {
		if !used[key] {
			t.Errorf("no row leads to the handler %q", key)
		}
	}
}

func TestEveryRowIsReached(t *testing.T) { seccomptest.EveryRowIsReached(t, enginePolicy) }

// However many calls the tables have, an answer is a few steps away.
func TestFilterSearchesByNumber(t *testing.T) {
	program := filterFor(t, enginePolicy)
	const most = 40
	for _, r := range table {
		if number, here := seccomp.Number(r.Call); here && len(r.When) == 0 {
			if _, steps := seccomptest.Run(t, program, seccomp.AuditArch, number); steps > most {
				t.Errorf("%s takes %d steps", r.Call, steps)
			}
		}
	}
	for number := range uint32(1000) { // more than there are
		got, steps := seccomptest.Run(t, program, seccomp.AuditArch, number, make([]uint64, 6)...)
		if want := seccomptest.Decide(enginePolicy, testPID, seccomp.AuditArch, number, [6]uint64{}); seccomp.Action(got) != want {
			t.Errorf("call %d: the filter returns %#x, the table says %#x", number, got, want)
		}
		unknown := !slices.ContainsFunc(table, func(r row) bool { n, here := seccomp.Number(r.Call); return here && n == number })
		if unknown && steps > most {
			t.Errorf("unknown call %d takes %d steps", number, steps)
		}
	}
}
