//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets into struct seccomp_data (linux/seccomp.h), loaded 32 bits at a time, little-endian.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// rule refuses one system call, always or by what its arguments are.
type rule struct {
	call  uint32
	errno unix.Errno
	asks  bool                                                   // instead of refusing, the gateway is asked
	when  func(refuse, tail []bpf.Instruction) []bpf.Instruction // nil for always
}

func loadArg(n int) bpf.Instruction { return bpf.LoadAbsolute{Off: uint32(offArgs + 8*n), Size: 4} }

// bits refuses where an argument has one of the bits.
func bits(n int, mask uint32) func(refuse, tail []bpf.Instruction) []bpf.Instruction {
	return func(refuse, tail []bpf.Instruction) []bpf.Instruction {
		out := []bpf.Instruction{loadArg(n), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: mask, SkipFalse: uint8(len(refuse))}}
		return append(append(out, refuse...), tail...)
	}
}

// among refuses where an argument is one of the values.
func among(n int, values ...uint32) func(refuse, tail []bpf.Instruction) []bpf.Instruction {
	return func(refuse, tail []bpf.Instruction) []bpf.Instruction {
		out := []bpf.Instruction{loadArg(n)}
		for i, v := range values {
			jump := bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - 1 - i)}
			if i == len(values)-1 {
				jump = bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipFalse: uint8(len(refuse))}
			}
			out = append(out, jump)
		}
		return append(append(out, refuse...), tail...)
	}
}

// but refuses where an argument is none of the values.
func but(n int, values ...uint32) func(refuse, tail []bpf.Instruction) []bpf.Instruction {
	return func(refuse, tail []bpf.Instruction) []bpf.Instruction {
		out := []bpf.Instruction{loadArg(n)}
		for i, v := range values {
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(values) - 1 - i + len(refuse))})
		}
		return append(append(out, refuse...), tail...)
	}
}

// settingOther refuses prlimit64(2) that sets, not only reads, the limits of another process.
func settingOther(refuse, tail []bpf.Instruction) []bpf.Instruction {
	n := uint8(len(refuse))
	out := []bpf.Instruction{
		loadArg(0), bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 4 + n},
		loadArg(2), bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2}, // the halves of a pointer
		bpf.LoadAbsolute{Off: offArgs + 2*8 + 4, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: n},
	}
	return append(append(out, refuse...), tail...)
}

// namespaces are the flags of clone(2) that make one.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// writing are the flags of open(2) that could change a file, or make one.
const writing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// Commands of ioctl(2) that change more than the caller: files' flags, terminals' input, and with the capability that
// was dropped anyway, network interfaces (linux/fs.h, asm-generic/ioctls.h, linux/sockios.h).
var changing = []uint32{
	unix.FS_IOC_SETFLAGS, 0x401c5820, // FS_IOC_FSSETXATTR
	unix.TIOCSTI, unix.TIOCLINUX, unix.TIOCCONS,
	0x890b, 0x890c, // SIOCADDRT, SIOCDELRT
	0x8914, 0x8916, 0x8918, 0x891a, 0x891c, 0x891e, 0x8922, 0x8923, 0x8924, // SIOCSIFFLAGS to SIOCSIFHWADDR
	0x8953, 0x8955, // SIOCDARP, SIOCSARP
	0x89a0, 0x89a1, 0x89a2, 0x89a3, // bridges
}

// never are the calls that a command which only looks has no use for.
var never = []uint32{
	// Mounts and roots.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE,
	unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_UNSHARE,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_ACCT, unix.SYS_OPEN_BY_HANDLE_AT,
	// The kernel and its clock.
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_FANOTIFY_INIT, unix.SYS_VHANGUP,
	// Other processes, keys, shared memory.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_GETFD, unix.SYS_PROCESS_MADVISE,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_SHMGET, unix.SYS_SEMGET, unix.SYS_MSGGET, unix.SYS_SHMAT, unix.SYS_SEMOP, unix.SYS_SEMTIMEDOP, unix.SYS_MSGSND, unix.SYS_MSGRCV,
	unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
}

// attributes are the calls that change what is not a file's content or name, which Landlock does not cover.
var attributes = []uint32{
	unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT, unix.SYS_TRUNCATE,
	unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	setxattrat, removexattrat, fileSetattr,
}

// Numbers that are the same on every architecture, and newer than the constants of x/sys/unix for some.
const (
	setxattrat    = 463
	removexattrat = 466
	fileSetattr   = 469
)

// signals are the calls that reach other processes by signal. Landlock bounds them to the jail from Linux 6.12 on.
var signals = []uint32{
	unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_TGKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL,
}

// names are the calls that make, rename or remove names of files, and that open without saying how in a register.
var names = []uint32{
	unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2, unix.SYS_LINKAT, unix.SYS_SYMLINKAT,
}

// rules are what the filter of a command refuses, in the order in which they are tried. Landlock of a sufficient ABI
// holds signals back by itself, those to the outside only.
func rules(k kind, abi int) []rule {
	var out []rule
	refuse := func(calls []uint32) {
		for _, c := range calls {
			out = append(out, rule{call: c, errno: unix.EPERM})
		}
	}
	refuse(never)
	refuse(neverHere)
	if k != tester {
		refuse(attributes)
		refuse(attributesHere)
	}
	if k == observer || k == tester || abi < 6 {
		refuse(signals)
	}
	out = append(out,
		rule{call: unix.SYS_CLONE3, errno: unix.ENOSYS}, // the C library goes on with clone
		rule{call: unix.SYS_CLONE, errno: unix.EPERM, when: bits(0, namespaces)},
		rule{call: unix.SYS_IO_URING_SETUP, errno: unix.ENOSYS},
		rule{call: unix.SYS_IO_URING_ENTER, errno: unix.ENOSYS},
		rule{call: unix.SYS_IO_URING_REGISTER, errno: unix.ENOSYS},
		rule{call: unix.SYS_IOCTL, errno: unix.EPERM, when: among(1, changing...)},
		// Ways around Landlock's rule for TCP: another protocol that speaks it, data in the opening packet, and listening
		// at the port that the kernel picks.
		rule{call: unix.SYS_SOCKET, errno: unix.EPROTONOSUPPORT, when: among(2, unix.IPPROTO_MPTCP, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP)},
		rule{call: unix.SYS_SENDTO, errno: unix.EPERM, when: bits(3, unix.MSG_FASTOPEN)},
		rule{call: unix.SYS_SENDMSG, errno: unix.EPERM, when: bits(2, unix.MSG_FASTOPEN)},
		rule{call: unix.SYS_SENDMMSG, errno: unix.EPERM, when: bits(3, unix.MSG_FASTOPEN)},
		rule{call: unix.SYS_SYSLOG, errno: unix.EPERM, when: but(0, 0, 1, 2, 3, 9, 10)}, // reading, syslog(2)
		rule{call: unix.SYS_SHMCTL, errno: unix.EPERM, when: among(1, 0, 1)},            // IPC_RMID, IPC_SET
		rule{call: unix.SYS_SEMCTL, errno: unix.EPERM, when: among(2, 0, 1, 16, 17)},    // and SETVAL, SETALL
		rule{call: unix.SYS_MSGCTL, errno: unix.EPERM, when: among(1, 0, 1)},            //
		rule{call: unix.SYS_SETPRIORITY, errno: unix.EPERM, when: but(0, 0)},            // a process,
		rule{call: unix.SYS_SETPRIORITY, errno: unix.EPERM, when: but(1, 0)},            // and itself
		rule{call: unix.SYS_IOPRIO_SET, errno: unix.EPERM, when: but(1, 0)},             //
		rule{call: unix.SYS_SCHED_SETAFFINITY, errno: unix.EPERM, when: but(0, 0)},      //
		rule{call: unix.SYS_SCHED_SETSCHEDULER, errno: unix.EPERM, when: but(0, 0)},     //
		rule{call: unix.SYS_SCHED_SETATTR, errno: unix.EPERM, when: but(0, 0)},          //
		rule{call: unix.SYS_SCHED_SETPARAM, errno: unix.EPERM, when: but(0, 0)},         //
		rule{call: unix.SYS_PRLIMIT64, errno: unix.EPERM, when: settingOther},           //
		rule{call: unix.SYS_ADJTIMEX, errno: unix.EPERM},                                // reading it is rare
		rule{call: unix.SYS_CLOCK_ADJTIME, errno: unix.EPERM},                           //
	)
	if k != tester {
		out = append(out, rule{call: unix.SYS_LISTEN, errno: unix.EPERM},
			rule{call: unix.SYS_SOCKET, errno: unix.EACCES, when: but(0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)})
	}
	if k == observer {
		for _, c := range append(names, namesHere...) {
			out = append(out, rule{call: c, errno: unix.EACCES})
		}
		out = append(out, rule{call: unix.SYS_OPENAT, asks: true, when: bits(2, writing)},
			rule{call: unix.SYS_OPENAT2, errno: unix.ENOSYS},
			rule{call: unix.SYS_SOCKET, errno: unix.EACCES, when: but(0, unix.AF_NETLINK)})
		out = append(out, openHere...)
	}
	return out
}

// program compiles rules into a filter: what no rule refuses passes. Calls through another architecture's entry do
// not exist.
func program(rules []rule) []bpf.Instruction {
	back := []bpf.Instruction{bpf.LoadAbsolute{Off: offNumber, Size: 4}}
	none := bpf.RetConstant{Val: returns(unix.ENOSYS)}
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4}, bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1}, none, back[0],
	}
	if x32Bit != 0 {
		out = append(out, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: x32Bit, SkipFalse: 1}, none)
	}
	for _, r := range rules {
		body := []bpf.Instruction{bpf.RetConstant{Val: returns(r.errno)}}
		if r.asks {
			body[0] = bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
		}
		if r.when != nil {
			body = r.when(body, back)
		}
		out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.call, SkipFalse: uint8(len(body))})
		out = append(out, body...)
	}
	return append(out, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

func returns(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e)&unix.SECCOMP_RET_DATA }

// filterCalls installs the filter on this thread, seccomp(2), and returns where the gateway is asked, a descriptor.
func filterCalls(rules []rule) (listener int, err error) {
	raw, err := bpf.Assemble(program(rules))
	if err != nil {
		return -1, fmt.Errorf("assemble the filter: %w", err)
	}
	flags := uintptr(0)
	if slices.ContainsFunc(rules, func(r rule) bool { return r.asks }) {
		flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	prog := unix.SockFprog{Len: uint16(len(raw)), Filter: (*unix.SockFilter)(unsafe.Pointer(&raw[0]))} // the same layout
	fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	switch {
	case e != 0:
		return -1, fmt.Errorf("install the filter: %w", e)
	case flags == 0:
		return -1, nil
	}
	return int(fd), nil
}
