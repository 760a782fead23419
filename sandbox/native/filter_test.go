//go:build linux && (amd64 || arm64)

package native

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

const testPID = 4242

// runFilter interprets a filter as the kernel does.
func runFilter(t *testing.T, program []unix.SockFilter, arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	action, _ := walkFilter(t, program, arch, number, args...)
	return action
}

// walkFilter is runFilter, and counts the instructions.
func walkFilter(t *testing.T, program []unix.SockFilter, arch, number uint32, args ...uint64) (action uint32, steps int) {
	t.Helper()
	data := make([]uint32, 16)
	data[0], data[1] = number, arch
	for i, a := range args {
		data[4+2*i], data[5+2*i] = uint32(a), uint32(a>>32)
	}
	var acc uint32
	for pc := 0; pc < len(program); pc++ {
		in := program[pc]
		steps++
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = data[in.K/4]
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JEQ:
			if acc == in.K {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JGE:
			if acc >= in.K {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_JMP | unix.BPF_K | unix.BPF_JSET:
			if acc&in.K != 0 {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_RET | unix.BPF_K:
			return in.K, steps
		default:
			t.Fatalf("instruction %d has an unknown code %#x", pc, in.Code)
		}
	}
	t.Fatal("the filter runs past its end")
	return 0, steps
}

func TestFilterTreatsCallsAsTheTableSays(t *testing.T) {
	program, err := buildFilter(testPID)
	if err != nil {
		t.Fatal(err)
	}
	const null = 0
	pointer := uint64(0x7f00_0000_1000)
	cases := []struct {
		name string
		call string
		args []uint64
		want uint32
	}{
		{"read is allowed", "read", nil, retAllow},
		{"openat is notified", "openat", nil, retNotify},
		{"socket is refused", "socket", []uint64{unix.AF_INET, unix.SOCK_STREAM}, retErrno(unix.EPERM)},
		{"ptrace is refused", "ptrace", nil, retErrno(unix.EPERM)},
		{"a stream pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, retNotify},
		{"a datagram pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, retErrno(unix.EPERM)},
		{"a seqpacket pair", "socketpair", []uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET}, retErrno(unix.EPERM)},
		{"a netlink pair", "socketpair", []uint64{unix.AF_NETLINK, unix.SOCK_STREAM}, retErrno(unix.EPERM)},
		{"a pipe is counted", "pipe2", []uint64{pointer, unix.O_CLOEXEC}, retNotify},
		{"a pipe of notifications", "pipe2", []uint64{pointer, unix.O_EXCL}, retErrno(unix.EINVAL)},
		{"a smaller pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 4096}, retAllow},
		{"a pipe of the usual size", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 65536}, retAllow},
		{"a larger pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 65537}, retErrno(unix.EPERM)},
		{"a much larger pipe", "fcntl", []uint64{1, unix.F_SETPIPE_SZ, 1 << 20}, retErrno(unix.EPERM)},
		{"a registration is counted", "epoll_ctl", []uint64{3, unix.EPOLL_CTL_ADD, 4, pointer}, retNotify},
		{"a registration with high bits", "epoll_ctl", []uint64{3, 1<<32 | unix.EPOLL_CTL_ADD, 4, pointer}, retNotify},
		{"a registration taken back", "epoll_ctl", []uint64{3, unix.EPOLL_CTL_DEL, 4, null}, retAllow},
		{"an epoll instance is made outside", "epoll_create1", []uint64{unix.EPOLL_CLOEXEC}, retNotify},
		{"a send without address", "sendto", []uint64{3, pointer, 1, 0, null, 0}, retAllow},
		{"a send with an address", "sendto", []uint64{3, pointer, 1, 0, pointer, 16}, retErrno(unix.EPERM)},
		{"an address in the high half only", "sendto", []uint64{3, pointer, 1, 0, 1 << 32, 16}, retErrno(unix.EPERM)},
		{"a thread", "clone", []uint64{threadFlags}, retNotify},
		{"a fork by clone", "clone", []uint64{uint64(unix.SIGCHLD)}, retErrno(unix.EPERM)},
		{"a thread with a new user namespace", "clone", []uint64{threadFlags | unix.CLONE_NEWUSER}, retErrno(unix.EPERM)},
		{"a thread with high flag bits", "clone", []uint64{threadFlags | 1<<33}, retErrno(unix.EPERM)},
		{"kill of itself", "kill", []uint64{testPID, 15}, retAllow},
		{"kill of its group", "kill", []uint64{0, 15}, retAllow},
		{"kill of init", "kill", []uint64{1, 9}, retNotify},
		{"kill of everything", "kill", []uint64{^uint64(0), 9}, retNotify},
		{"tgkill of itself", "tgkill", []uint64{testPID, testPID, 10}, retAllow},
		{"tgkill of another", "tgkill", []uint64{1, 1, 9}, retErrno(unix.EPERM)},
		{"reading a limit", "prlimit64", []uint64{0, unix.RLIMIT_AS, null, pointer}, retAllow},
		{"reading its own limit by number", "prlimit64", []uint64{testPID, unix.RLIMIT_AS, null, pointer}, retAllow},
		{"raising a limit", "prlimit64", []uint64{0, unix.RLIMIT_AS, pointer, null}, retErrno(unix.EPERM)},
		{"another's limit", "prlimit64", []uint64{1, unix.RLIMIT_AS, null, pointer}, retErrno(unix.EPERM)},
		{"duplicating a descriptor", "fcntl", []uint64{1, unix.F_DUPFD_CLOEXEC}, retAllow},
		{"taking a lock is answered", "fcntl", []uint64{1, unix.F_SETLK, pointer}, retNotify},
		{"asking for a lock is answered", "fcntl", []uint64{1, unix.F_GETLK, pointer}, retNotify},
		{"setting an owner", "fcntl", []uint64{1, unix.F_SETOWN, 1}, retErrno(unix.EINVAL)},
		{"adding a seal", "fcntl", []uint64{1, unix.F_ADD_SEALS, 1}, retErrno(unix.EINVAL)},
		{"a terminal question", "ioctl", []uint64{0, unix.TCGETS}, retAllow},
		{"typing into a terminal", "ioctl", []uint64{0, unix.TIOCSTI}, retErrno(unix.ENOTTY)},
		{"naming a thread", "prctl", []uint64{unix.PR_SET_NAME}, retAllow},
		{"becoming dumpable again", "prctl", []uint64{unix.PR_SET_DUMPABLE, 1}, retErrno(unix.EPERM)},
		{"a lock file is answered", "flock", nil, retNotify},
		{"the foreground of a terminal is answered", "ioctl", []uint64{0, unix.TIOCSPGRP, pointer}, retNotify},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := runFilter(t, program, auditArch, numbers[c.call], c.args...); got != c.want {
				t.Errorf("%s%v: filter returns %#x, want %#x", c.call, c.args, got, c.want)
			}
		})
	}
}

func TestFilterRefusesWhatTheTableDoesNotName(t *testing.T) {
	program, err := buildFilter(testPID)
	if err != nil {
		t.Fatal(err)
	}
	for _, number := range []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_CLONE3, unix.SYS_OPENAT2, unix.SYS_MEMFD_CREATE, 999, 1 << 20} {
		if got := runFilter(t, program, auditArch, number); got != retErrno(unix.ENOSYS) {
			t.Errorf("call %d: filter returns %#x, want ENOSYS", number, got)
		}
	}
}

func TestFilterKillsForeignEntries(t *testing.T) {
	program, err := buildFilter(testPID)
	if err != nil {
		t.Fatal(err)
	}
	if got := runFilter(t, program, unix.AUDIT_ARCH_I386, 1); got != retKill {
		t.Errorf("int 0x80: filter returns %#x, want kill", got)
	}
	if x32Bit != 0 {
		if got := runFilter(t, program, auditArch, x32Bit|numbers["read"]); got != retKill {
			t.Errorf("x32: filter returns %#x, want kill", got)
		}
	}
}

func TestEveryRowHasAReasonAndAHandler(t *testing.T) {
	last := map[string]bool{} // calls of which a row decides every case
	for _, rows := range [][]row{table, archTable} {
		for _, r := range rows {
			if r.why == "" {
				t.Errorf("%s has no reason", r.call)
			}
			if r.do == notify {
				if _, ok := handlers[r.call]; !ok {
					t.Errorf("%s is notified but nothing handles it", r.call)
				}
			}
			if last[r.call] {
				t.Errorf("%s has a row that nothing reaches", r.call)
			}
			last[r.call] = len(r.when) == 0 || r.otherwise != 0
		}
	}
}

// However many calls the tables have, an answer is a few steps away.
func TestFilterSearchesByNumber(t *testing.T) {
	program, err := buildFilter(testPID)
	if err != nil {
		t.Fatal(err)
	}
	const most = 40
	for _, r := range slices.Concat(table, archTable) {
		number, here := numbers[r.call]
		if _, steps := walkFilter(t, program, auditArch, number); here && len(r.when) == 0 && steps > most {
			t.Errorf("%s takes %d steps", r.call, steps)
		}
	}
	for number := range uint32(1000) { // more than there are
		args := make([]uint64, 6)
		got, steps := walkFilter(t, program, auditArch, number, args...)
		if want := plainly(auditArch, number, args); got != want {
			t.Errorf("call %d: the filter returns %#x, the table says %#x", number, got, want)
		}
		if _, known := callNames[int32(number)]; !known && steps > most {
			t.Errorf("unknown call %d takes %d steps", number, steps)
		}
	}
}
