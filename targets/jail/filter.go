//go:build linux && (amd64 || arm64)

package jail

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// The words of the tables below.
type (
	row       = seccomp.Row
	condition = seccomp.Condition
)

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
var never = append(append(append(
	refuse(unix.EPERM, "mounts, roots and swap", `
		mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr setns unshare
		swapon swapoff quotactl quotactl_fd acct open_by_handle_at`),
	refuse(unix.EPERM, "the kernel, its clock and hardware", `
		init_module finit_module delete_module kexec_load kexec_file_load reboot settimeofday clock_settime sethostname
		setdomainname bpf perf_event_open userfaultfd fanotify_init vhangup iopl ioperm uselib modify_ldt`)...),
	refuse(unix.EPERM, "other processes and keys", `
		ptrace process_vm_readv process_vm_writev pidfd_getfd process_madvise migrate_pages move_pages
		keyctl add_key request_key`)...),
	refuse(unix.EPERM, "shared memory, semaphores and queues", `
		shmget semget msgget shmat semop semtimedop msgsnd msgrcv mq_open mq_unlink`)...)

// Never are the calls that fail in every jail, each with its reason.
func Never() []seccomp.Row { return slices.Clone(never) }

// Background are the calls that work past any filter, which fail in every jail.
func Background() []seccomp.Row {
	return slices.DeleteFunc(slices.Clone(arguments), func(r row) bool { return !strings.HasPrefix(r.Call, "io_uring_") })
}

// attributes are the calls that change what is not a file's content or name, which Landlock does not cover.
var attributes = refuse(unix.EPERM, "attributes of files", `
	fchmod fchmodat fchmodat2 fchown fchownat utimensat truncate setxattr lsetxattr fsetxattr removexattr lremovexattr
	fremovexattr setxattrat removexattrat file_setattr chmod chown lchown utime utimes futimesat`)

// signals are the calls that reach other processes by signal. Landlock bounds them to the jail from Linux 6.12 on.
var signals = refuse(unix.EPERM, "signals to other processes", `
	kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal`)

// names are the calls that make, rename or remove names of files.
var names = refuse(unix.EACCES, "names of files", `
	mkdirat mknodat unlinkat renameat renameat2 linkat symlinkat creat mkdir mknod unlink rmdir rename link symlink`)

// arguments are the calls that are refused by what their arguments are, and those that callers do without.
var arguments = []row{
	{Call: "clone3", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "its flags are in memory; the C library goes on with clone"},
	{Call: "clone", Do: seccomp.Fail, Errno: unix.EPERM, When: has(0, namespaces), Why: "namespaces"},
	{Call: "io_uring_setup", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "work in the background, past the filter"},
	{Call: "io_uring_enter", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "work in the background, past the filter"},
	{Call: "io_uring_register", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "work in the background, past the filter"},
	{Call: "memfd_create", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "a program in memory has no name that Landlock could judge"},
	{Call: "ioctl", Do: seccomp.Fail, Errno: unix.EPERM, When: is(1, changing...), Why: "changes more than the caller"},
	{Call: "socket", Do: seccomp.Fail, Errno: unix.EPROTONOSUPPORT, When: is(2, unix.IPPROTO_MPTCP, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP),
		Why: "protocols that reach a TCP port past Landlock's rule for TCP"},
	{Call: "sendto", Do: seccomp.Fail, Errno: unix.EPERM, When: has(3, unix.MSG_FASTOPEN), Why: "connects with data, past Landlock's rule for TCP"},
	{Call: "sendmsg", Do: seccomp.Fail, Errno: unix.EPERM, When: has(2, unix.MSG_FASTOPEN), Why: "connects with data, past Landlock's rule for TCP"},
	{Call: "sendmmsg", Do: seccomp.Fail, Errno: unix.EPERM, When: has(3, unix.MSG_FASTOPEN), Why: "connects with data, past Landlock's rule for TCP"},
	{Call: "syslog", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, 0, 1, 2, 3, 9, 10), Why: "more than reading, syslog(2)"},
	{Call: "shmctl", Do: seccomp.Fail, Errno: unix.EPERM, When: is(1, 0, 1), Why: "IPC_RMID and IPC_SET"},
	{Call: "semctl", Do: seccomp.Fail, Errno: unix.EPERM, When: is(2, 0, 1, 16, 17), Why: "IPC_RMID, IPC_SET, SETVAL and SETALL"},
	{Call: "msgctl", Do: seccomp.Fail, Errno: unix.EPERM, When: is(1, 0, 1), Why: "IPC_RMID and IPC_SET"},
	{Call: "setpriority", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, unix.PRIO_PROCESS), Why: "a group's or a user's"},
	{Call: "setpriority", Do: seccomp.Fail, Errno: unix.EPERM, When: not(1, 0), Why: "another process's"},
	{Call: "ioprio_set", Do: seccomp.Fail, Errno: unix.EPERM, When: not(1, 0), Why: "another process's"},
	{Call: "sched_setaffinity", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, 0), Why: "another process's"},
	{Call: "sched_setscheduler", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, 0), Why: "another process's"},
	{Call: "sched_setattr", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, 0), Why: "another process's"},
	{Call: "sched_setparam", Do: seccomp.Fail, Errno: unix.EPERM, When: not(0, 0), Why: "another process's"},
	{Call: "prlimit64", Do: seccomp.Fail, Errno: unix.EPERM, Why: "sets, not only reads, the limits of another process",
		When: []condition{{Arg: 0, Values: []uint32{0}, Not: true}, {Arg: 2, Wide: true, Values: []uint32{0}, Not: true}}},
	{Call: "adjtimex", Do: seccomp.Fail, Errno: unix.EPERM, Why: "the clock; reading it so is rare"},
	{Call: "clock_adjtime", Do: seccomp.Fail, Errno: unix.EPERM, Why: "the clock; reading it so is rare"},
}

// opening are the opens for reading that the gateway looks at. What opens a directory alone shows names. What writes is
// Landlock's, or an observer's.
var opening = []row{
	{Call: "openat", Do: seccomp.Notify, When: none(2, writing|unix.O_DIRECTORY), Why: "a hidden file must not be read"},
	{Call: "open", Do: seccomp.Notify, Handler: "openat", When: none(1, writing|unix.O_DIRECTORY), Why: "a hidden file must not be read"},
	{Call: "openat2", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "how it opens is in memory, where no filter sees it"},
}

// leaving are the calls by which a process would leave the command's session, and so outlive the command.
var leaving = refuse(unix.EPERM, "leaves the session", "setsid")

// untested are refused to every command but a configuration test.
var untested = []row{
	{Call: "listen", Do: seccomp.Fail, Errno: unix.EPERM, Why: "the kernel picks a port, past Landlock's rule for TCP"},
	{Call: "socket", Do: seccomp.Fail, Errno: unix.EACCES, When: not(0, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK),
		Why: "families that no reader needs"},
}

// unconnected are refused to a command that has no use for the network, so that no question to a name server leaves either.
var unconnected = []row{
	{Call: "socket", Do: seccomp.Fail, Errno: unix.EACCES, When: is(0, unix.AF_INET, unix.AF_INET6), Why: "the network"},
}

// inspecting are refused to a command that has an internet socket to ask about interfaces.
var inspecting = []row{
	{Call: "connect", Do: seccomp.Fail, Errno: unix.EACCES, Why: "its sockets ask the kernel, and nobody else"},
	{Call: "bind", Do: seccomp.Fail, Errno: unix.EACCES, When: not(2, unix.SizeofSockaddrNetlink), Why: "its sockets ask the kernel, and nobody else"},
}

// observing keeps a command from writing where Landlock does not hold it.
var observing = append(names[:len(names):len(names)],
	row{Call: "openat", Do: seccomp.Notify, When: has(2, writing), Why: "opens for writing: /dev/null alone"},
	row{Call: "open", Do: seccomp.Notify, Handler: "openat", When: has(1, writing), Why: "opens for writing: /dev/null alone"},
	row{Call: "openat2", Do: seccomp.Fail, Errno: unix.ENOSYS, Why: "how it opens is in memory, where no filter sees it"},
	row{Call: "socket", Do: seccomp.Fail, Errno: unix.EACCES, When: not(0, unix.AF_NETLINK), Why: "looks at sockets by netlink, and needs none"})

// refuse makes rows for calls that always fail. Names are separated by spaces.
func refuse(errno unix.Errno, why, calls string) []row {
	var rows []row
	for _, call := range strings.Fields(calls) {
		rows = append(rows, row{Call: call, Do: seccomp.Fail, Errno: errno, Why: why})
	}
	return rows
}

// has holds where an argument has one of the bits.
func has(arg int, bits uint32) []condition {
	return []condition{{Arg: arg, Mask: bits, Values: []uint32{0}, Not: true}}
}

// is holds where an argument is one of the values.
func is(arg int, values ...uint32) []condition { return []condition{{Arg: arg, Values: values}} }

// none holds where an argument has none of the bits.
func none(arg int, bits uint32) []condition {
	return []condition{{Arg: arg, Mask: bits, Values: []uint32{0}}}
}

// not holds where an argument is none of the values.
func not(arg int, values ...uint32) []condition {
	return []condition{{Arg: arg, Values: values, Not: true}}
}

// policy is what the filter of a command does. Landlock of a sufficient ABI holds signals back by itself, those to the
// outside only. Calls through another architecture's entry do not exist.
func policy(k kind, abi int) seccomp.Policy {
	looks := k != k.base()
	k = k.base()
	rows := append(never[:len(never):len(never)], arguments...)
	if k != tester {
		rows = append(append(rows, attributes...), untested...)
	}
	if k == observer || k == tester || abi < 6 {
		rows = append(rows, signals...)
	}
	if k == observer {
		rows = append(rows, observing...)
	}
	if k != tester {
		rows = append(rows, leaving...)
	}
	switch k {
	case plain:
		rows = append(rows, unconnected...)
	case inspector, manager:
		rows = append(rows, inspecting...)
	case observer, caller, tester, held:
	}
	if looks && k != tester {
		rows = append(rows, opening...)
		if k == observer { // which has the last of them already
			rows = rows[:len(rows)-1]
		}
	}
	return seccomp.Policy{Rows: rows, Rest: seccomp.ActionAllow, Foreign: seccomp.Errno(unix.ENOSYS)}
}

// filterCalls installs the filter on this thread and returns where the gateway is asked, a descriptor, or -1.
func filterCalls(p seccomp.Policy) (listener int, err error) {
	program, err := p.Compile()
	if err != nil {
		return -1, err
	}
	return program.Install(len(p.Handlers()) > 0)
}
