//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// The words of the tables below.
type (
	row       = seccomp.Row
	condition = seccomp.Condition
)

const (
	allow  = seccomp.Allow
	fail   = seccomp.Fail
	notify = seccomp.Notify
	self   = seccomp.Self
)

// threadFlags are the flags with which glibc's pthread_create calls clone(2), exactly: a thread of this process and
// nothing else.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD |
	unix.CLONE_SYSVSEM | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID

// usualPipe is the size of a pipe that nobody has changed, in bytes, see pipe(7).
const usualPipe = 64 << 10

// table is the whole policy of the filter. A call without a row is answered ENOSYS, which glibc and CPython take as
// "an old kernel" and work around. Of several rows for a call the first whose conditions hold decides.
var table = []row{
	// Bytes through descriptors that the supervisor made.
	{Call: "read", Do: notify, When: onStream(0), Why: "a stream's bytes come from the supervisor"},
	{Call: "read", Do: allow, Why: "descriptors come from the supervisor"},
	{Call: "write", Do: allow, Why: "descriptors come from the supervisor"},
	{Call: "close", Do: allow, Why: "own descriptors"},
	{Call: "lseek", Do: allow, Why: "own descriptors"},
	{Call: "futex", Do: allow, Why: "own memory"},
	{Call: "mmap", Do: notify, Why: "a stream has no pages", When: append(onStream(4),
		condition{Arg: 3, Mask: unix.MAP_HUGETLB | unix.MAP_ANONYMOUS, Values: []uint32{0}})},
	{Call: "mmap", Do: notify, Why: "a shared mapping is an open file, or keeps one, and is counted", When: []condition{
		{Arg: 3, Mask: unix.MAP_TYPE | unix.MAP_HUGETLB, Values: []uint32{unix.MAP_SHARED, unix.MAP_SHARED_VALIDATE}},
	}},
	{Call: "mmap", Do: allow, Otherwise: unix.ENOMEM, Why: "own memory; a descriptor's access mode bounds it; not the pages that the host reserved for others",
		When: []condition{{Arg: 3, Mask: unix.MAP_HUGETLB, Values: []uint32{0}}}},
	{Call: "munmap", Do: allow, Why: "own memory"},
	{Call: "mprotect", Do: allow, Why: "own memory"},
	{Call: "brk", Do: allow, Why: "own memory"},
	{Call: "rt_sigaction", Do: allow, Why: "own signals"},
	{Call: "rt_sigprocmask", Do: allow, Why: "own signals"},
	{Call: "rt_sigreturn", Do: allow, Why: "own signals"},
	{Call: "newfstatat", Do: notify, Why: "names a path"},
	{Call: "openat", Do: notify, Why: "names a path, makes a descriptor"},
	{Call: "fstat", Do: notify, Why: "directories and files are virtual"},
	{Call: "getdents64", Do: notify, Why: "directories are virtual"},
	{Call: "readlinkat", Do: notify, Why: "names a path"},
	{Call: "readv", Do: notify, When: []condition{{Arg: 0, Values: []uint32{bulkNumber}}}, Why: "the guest's questions about directories; no descriptor has the number"},
	{Call: "readv", Do: notify, When: onStream(0), Why: "as read"},
	{Call: "readv", Do: allow, Why: "as read"},
	{Call: "writev", Do: allow, Why: "as write"},
	{Call: "pread64", Do: notify, Handler: "read", When: onStream(0), Why: "as read"},
	{Call: "pread64", Do: allow, Why: "as read"},
	{Call: "pwrite64", Do: allow, Why: "as write"},
	{Call: "preadv", Do: notify, Handler: "read", When: onStream(0), Why: "as read"},
	{Call: "preadv", Do: allow, Why: "as read"},
	{Call: "pwritev", Do: allow, Why: "as write"},
	{Call: "preadv2", Do: notify, Handler: "read", When: onStream(0), Why: "as read"},
	{Call: "preadv2", Do: allow, Why: "as read"},
	{Call: "pwritev2", Do: allow, Why: "as write"},
	{Call: "close_range", Do: allow, Otherwise: unix.EINVAL, Why: "own descriptors; not the flag that gives a thread a table of its own, into which the supervisor does not see",
		When: []condition{{Arg: 2, Values: []uint32{0, unix.CLOSE_RANGE_CLOEXEC}}}},
	{Call: "sendfile", Do: notify, When: onStream(1), Why: "as read"},
	{Call: "sendfile", Do: allow, Why: "between own descriptors"},
	{Call: "ftruncate", Do: allow, Why: "a descriptor's access mode bounds it"},
	{Call: "dup", Do: notify, When: onStream(0), Why: "a stream's number says that it is one"},
	{Call: "dup", Do: allow, Why: "own descriptors"},
	{Call: "dup3", Do: notify, When: onStream(0), Why: "a stream's number says that it is one"},
	{Call: "dup3", Do: allow, Why: "own descriptors"},
	{Call: "pipe2", Do: notify, Otherwise: unix.EINVAL, Why: "an anonymous pipe leads nowhere, and is counted; not one of the kernel's notifications",
		When: []condition{{Arg: 1, Mask: ^uint32(unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_DIRECT), Values: []uint32{0}}}},

	// Memory.
	{Call: "mremap", Do: allow, Why: "own memory"},
	{Call: "madvise", Do: allow, Why: "own memory"},
	{Call: "msync", Do: allow, Why: "own memory and private content"},
	{Call: "mincore", Do: allow, Why: "own memory"},

	// Signals and timers of its own.
	{Call: "rt_sigpending", Do: allow, Why: "own signals"},
	{Call: "rt_sigsuspend", Do: allow, Why: "own signals"},
	{Call: "rt_sigtimedwait", Do: allow, Why: "own signals"},
	{Call: "sigaltstack", Do: allow, Why: "own signals"},
	{Call: "getitimer", Do: allow, Why: "own timers"},
	{Call: "setitimer", Do: allow, Why: "own timers"},
	{Call: "timerfd_create", Do: allow, Why: "own timers"},
	{Call: "timerfd_settime", Do: allow, Why: "own timers"},
	{Call: "timerfd_gettime", Do: allow, Why: "own timers"},
	{Call: "nanosleep", Do: allow, Why: "time"},
	{Call: "clock_nanosleep", Do: allow, Why: "time"},
	{Call: "clock_gettime", Do: allow, Why: "time"},
	{Call: "clock_getres", Do: allow, Why: "time"},
	{Call: "gettimeofday", Do: allow, Why: "time"},
	{Call: "times", Do: allow, Why: "own times"},
	{Call: "getrusage", Do: allow, Why: "own usage"},

	// Waiting for descriptors.
	{Call: "pselect6", Do: allow, Why: "own descriptors"},
	{Call: "ppoll", Do: allow, Why: "own descriptors"},
	{Call: "epoll_create1", Do: notify, Why: "the supervisor makes it, to know it again: registrations are counted for the user"},
	{Call: "epoll_ctl", Do: notify, Why: "a registration outlives its descriptor, and is counted",
		When: []condition{{Arg: 1, Values: []uint32{unix.EPOLL_CTL_ADD}}}},
	{Call: "epoll_ctl", Do: allow, Why: "own descriptors"},
	{Call: "epoll_pwait", Do: allow, Why: "own descriptors"},
	{Call: "epoll_pwait2", Do: allow, Why: "own descriptors"},
	{Call: "eventfd2", Do: allow, Why: "own counter"},

	// What it may know of itself.
	{Call: "getpid", Do: allow, Why: "own number"},
	{Call: "getppid", Do: notify, Why: "the first interpreter's parent is the gateway"},
	{Call: "gettid", Do: allow, Why: "own number"},
	{Call: "getpgid", Do: notify, Why: "commands have virtual process ids"},
	{Call: "getsid", Do: notify, Handler: "getpgid", Why: "commands have virtual process ids"},
	{Call: "getcpu", Do: allow, Why: "a number"},
	{Call: "sched_yield", Do: allow, Why: "own scheduling"},
	{Call: "sched_getaffinity", Do: notify, Why: "a mask; the supervisor keeps a thread at its processor for moments, and then lets the kernel answer"},
	{Call: "sched_getparam", Do: allow, Why: "a number"},
	{Call: "sched_getscheduler", Do: allow, Why: "a number"},
	{Call: "sched_get_priority_max", Do: allow, Why: "a number"},
	{Call: "sched_get_priority_min", Do: allow, Why: "a number"},
	{Call: "getpriority", Do: allow, Why: "a number"},
	{Call: "sysinfo", Do: allow, Why: "memory sizes and load, which /proc shows as well"},
	{Call: "set_tid_address", Do: allow, Why: "own memory"},
	{Call: "set_robust_list", Do: allow, Why: "own memory"},
	{Call: "rseq", Do: allow, Why: "own memory"},
	{Call: "membarrier", Do: allow, Why: "own memory"},
	{Call: "futex_waitv", Do: allow, Why: "own memory"},
	{Call: "getrandom", Do: allow, Why: "random bytes"},
	{Call: "restart_syscall", Do: allow, Why: "resumes an allowed call"},
	{Call: "exit", Do: allow, Why: "ends the thread"},
	{Call: "exit_group", Do: allow, Why: "ends the process"},

	// Sockets: only a connected, unnamed pair, which asyncio wakes itself with. A datagram pair could be pointed at
	// a named socket of the host by connect or sendto, so it is refused, as is every address.
	{Call: "socketpair", Do: notify, Otherwise: unix.EPERM, Why: "an unnamed stream pair leads nowhere, and is counted", When: []condition{
		{Arg: 0, Values: []uint32{unix.AF_UNIX}},
		{Arg: 1, Mask: ^uint32(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), Values: []uint32{unix.SOCK_STREAM}},
	}},
	{Call: "sendto", Do: allow, Otherwise: unix.EPERM, Why: "as write on a pair; an address would lead out", When: []condition{
		{Arg: 4, Wide: true, Values: []uint32{0}},
	}},
	{Call: "recvfrom", Do: allow, Why: "as read on a pair"},
	{Call: "recvmsg", Do: allow, Why: "as read on a pair; nothing can put a descriptor in"},
	{Call: "shutdown", Do: allow, Why: "own pair"},
	{Call: "getsockname", Do: allow, Why: "own pair"},
	{Call: "getpeername", Do: allow, Why: "own pair"},
	{Call: "getsockopt", Do: allow, Otherwise: unix.EPERM, Why: "own pair; not who made its other end, which for the guest's is the gateway, nor a descriptor of that process",
		When: []condition{{Arg: 1, Values: []uint32{unix.SOL_SOCKET}}, {Arg: 2, Values: []uint32{
			unix.SO_TYPE, unix.SO_ERROR, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_ACCEPTCONN, unix.SO_SNDBUF, unix.SO_RCVBUF,
			unix.SO_SNDTIMEO, unix.SO_RCVTIMEO, unix.SO_REUSEADDR, unix.SO_KEEPALIVE,
		}}}},
	{Call: "socket", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "connect", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "bind", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "listen", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "accept", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "accept4", Do: fail, Errno: unix.EPERM, Why: "no network"},
	{Call: "sendmsg", Do: fail, Errno: unix.EPERM, Why: "could carry an address or descriptors"},
	{Call: "sendmmsg", Do: fail, Errno: unix.EPERM, Why: "could carry an address or descriptors"},
	{Call: "recvmmsg", Do: fail, Errno: unix.EPERM, Why: "not needed"},
	{Call: "setsockopt", Do: fail, Errno: unix.EPERM, Why: "not needed on a pair"},

	// Calls that are harmless for some arguments. Registers cannot change while the call waits.
	{Call: "clone", Do: notify, Otherwise: unix.EPERM, Why: "threads, which the supervisor counts; never a process",
		When: []condition{{Arg: 0, Wide: true, Values: []uint32{threadFlags, goThreadFlags}}}},
	{Call: "kill", Do: allow, Why: "own process, or its group, which is its own", When: []condition{{Arg: 0, Values: []uint32{0, self}}}},
	{Call: "kill", Do: notify, Why: "commands have virtual process ids; any other process is refused"},
	{Call: "tgkill", Do: allow, Otherwise: unix.EPERM, Why: "own threads", When: []condition{{Arg: 0, Values: []uint32{self}}}},
	{Call: "prlimit64", Do: allow, Otherwise: unix.EPERM, Why: "reading its own limits", When: []condition{
		{Arg: 0, Values: []uint32{0, self}}, {Arg: 2, Wide: true, Values: []uint32{0}},
	}},
	{Call: "fcntl", Do: notify, Why: "a stream's number says that it is one", When: append(onStream(0),
		condition{Arg: 1, Values: []uint32{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC}})},
	{Call: "fcntl", Do: allow, Why: "flags, duplicates and seals it can read; not owner, lease or notify",
		When: []condition{{Arg: 1, Values: []uint32{
			unix.F_DUPFD, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC,
			unix.F_GETPIPE_SZ, unix.F_GET_SEALS,
		}}}},
	{Call: "fcntl", Do: allow, Why: "a smaller pipe", When: []condition{
		{Arg: 1, Values: []uint32{unix.F_SETPIPE_SZ}}, {Arg: 2, Mask: ^uint32(usualPipe - 1), Values: []uint32{0}},
	}},
	{Call: "fcntl", Do: allow, Why: "a pipe as large as any", When: []condition{
		{Arg: 1, Values: []uint32{unix.F_SETPIPE_SZ}}, {Arg: 2, Values: []uint32{usualPipe}},
	}},
	{Call: "fcntl", Do: fail, Errno: unix.EPERM, Why: "no larger pipe: pages of all pipes of a user are counted in sum, and EPERM is the kernel's word for it",
		When: []condition{{Arg: 1, Values: []uint32{unix.F_SETPIPE_SZ}}}},
	{Call: "fcntl", Do: notify, Otherwise: unix.EINVAL, Why: "locks, between interpreters of the session alone: one on a live descriptor would lock out the host's own programs",
		When: []condition{{Arg: 1, Values: []uint32{
			unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW,
		}}}},
	{Call: "ioctl", Do: fail, Errno: unix.EOPNOTSUPP, Why: "no copies that share blocks; with ENOTTY pathlib would give up and not copy",
		When: []condition{{Arg: 1, Values: []uint32{unix.FICLONE, unix.FICLONERANGE}}}},
	{Call: "ioctl", Do: allow, Why: "modes of its own terminal, the only one it can have; not typing into it or changing what it is",
		When: []condition{{Arg: 1, Values: []uint32{
			unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TCGETS2, unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2,
			unix.TCFLSH, unix.TCSBRK, unix.TIOCGPGRP,
		}}}},
	{Call: "ioctl", Do: notify, Why: "answered: its own group is in its terminal's foreground",
		When: []condition{{Arg: 1, Values: []uint32{unix.TIOCSPGRP}}}},
	{Call: "ioctl", Do: allow, Otherwise: unix.ENOTTY, Why: "questions about its own descriptors", When: []condition{
		{Arg: 1, Values: []uint32{unix.TCGETS, unix.TIOCGWINSZ, unix.TIOCINQ, fioclex, fionclex, fionbio}},
	}},
	{Call: "prctl", Do: allow, Why: "closing itself to others", When: []condition{
		{Arg: 0, Values: []uint32{unix.PR_SET_DUMPABLE}}, {Arg: 1, Wide: true, Values: []uint32{0}},
	}},
	{Call: "prctl", Do: allow, Otherwise: unix.EPERM, Why: "names of threads and mappings", When: []condition{
		{Arg: 0, Values: []uint32{unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA}},
	}},

	{Call: "flock", Do: notify, Why: "locks, as with fcntl"},

	// Pretended, on what is open: there is nothing worth syncing.
	{Call: "fsync", Do: notify, Why: "content is in memory"},
	{Call: "fdatasync", Do: notify, Handler: "fsync", Why: "content is in memory"},
	{Call: "sync", Do: fail, Why: "content is in memory"},
	{Call: "syncfs", Do: notify, Why: "content is in memory"},
	{Call: "fadvise64", Do: notify, Why: "advice"},
	{Call: "fallocate", Do: fail, Errno: unix.EOPNOTSUPP, Why: "with ENOSYS posix_fallocate would fail; it writes instead"},
	{Call: "setpriority", Do: allow, Otherwise: unix.EPERM, Why: "itself, and without a capability only down",
		When: []condition{{Arg: 0, Values: []uint32{unix.PRIO_PROCESS}}, {Arg: 1, Values: []uint32{0, self}}}},

	// Extended attributes: with ENOSYS shutil.copy2 would raise.
	{Call: "getxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "lgetxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "fgetxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "setxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "lsetxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "fsetxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "listxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "llistxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "flistxattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "removexattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "lremovexattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},
	{Call: "fremovexattr", Do: fail, Errno: unix.ENOTSUP, Why: "none here"},

	// Paths, virtual descriptors and identity: the supervisor answers.
	{Call: "faccessat", Do: notify, Why: "names a path"},
	{Call: "faccessat2", Do: notify, Why: "names a path"},
	{Call: "getcwd", Do: notify, Why: "the working directory is virtual"},
	{Call: "chdir", Do: notify, Why: "names a path"},
	{Call: "fchdir", Do: notify, Why: "the working directory is virtual"},
	{Call: "mkdirat", Do: notify, Why: "names a path"},
	{Call: "unlinkat", Do: notify, Why: "names a path"},
	{Call: "renameat", Do: notify, Why: "names paths"},
	{Call: "renameat2", Do: notify, Why: "names paths"},
	{Call: "linkat", Do: notify, Why: "names paths"},
	{Call: "symlinkat", Do: notify, Why: "names a path"},
	{Call: "fchmod", Do: notify, Why: "files are virtual"},
	{Call: "fchmodat", Do: notify, Why: "names a path"},
	{Call: "fchmodat2", Do: notify, Why: "names a path"},
	{Call: "fchown", Do: notify, Why: "files are virtual"},
	{Call: "fchownat", Do: notify, Why: "names a path"},
	{Call: "utimensat", Do: notify, Why: "names a path"},
	{Call: "truncate", Do: notify, Why: "names a path"},
	{Call: "statfs", Do: notify, Why: "names a path"},
	{Call: "fstatfs", Do: notify, Why: "files are virtual"},
	{Call: "execve", Do: notify, Why: "refused with a reason"},
	{Call: "execveat", Do: notify, Why: "the first stage's own, once; then refused"},
	{Call: "wait4", Do: notify, Why: "children are virtual"},
	{Call: "waitid", Do: notify, Why: "children are virtual"},
	{Call: "uname", Do: notify, Why: "the target's"},
	{Call: "umask", Do: notify, Why: "files are virtual"},
	{Call: "getuid", Do: notify, Why: "the account that commands run as"},
	{Call: "geteuid", Do: notify, Handler: "getuid", Why: "the account that commands run as"},
	{Call: "getgid", Do: notify, Why: "the account that commands run as"},
	{Call: "getegid", Do: notify, Handler: "getgid", Why: "the account that commands run as"},
	{Call: "getresuid", Do: notify, Why: "the account that commands run as"},
	{Call: "getresgid", Do: notify, Why: "the account that commands run as"},
	{Call: "getgroups", Do: fail, Why: "no supplementary groups"},

	// Refused outright, with the errno that says so.
	{Call: "ptrace", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "process_vm_readv", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "process_vm_writev", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "process_madvise", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "pidfd_getfd", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "pidfd_send_signal", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "tkill", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "rt_sigqueueinfo", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "rt_tgsigqueueinfo", Do: fail, Errno: unix.EPERM, Why: "other processes"},
	{Call: "unshare", Do: fail, Errno: unix.EPERM, Why: "namespaces"},
	{Call: "setns", Do: fail, Errno: unix.EPERM, Why: "namespaces"},
	{Call: "mount", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "umount2", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "pivot_root", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "chroot", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "open_tree", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "move_mount", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "fsopen", Do: fail, Errno: unix.EPERM, Why: "file systems"},
	{Call: "mknodat", Do: fail, Errno: unix.EPERM, Why: "devices and FIFOs"},
	{Call: "bpf", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "perf_event_open", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "userfaultfd", Do: fail, Errno: unix.EPERM, Why: "would let the script stop the supervisor's reads"},
	{Call: "open_by_handle_at", Do: fail, Errno: unix.EPERM, Why: "opens without a path"},
	{Call: "name_to_handle_at", Do: fail, Errno: unix.EPERM, Why: "host's files"},
	{Call: "keyctl", Do: fail, Errno: unix.EPERM, Why: "keys"},
	{Call: "add_key", Do: fail, Errno: unix.EPERM, Why: "keys"},
	{Call: "request_key", Do: fail, Errno: unix.EPERM, Why: "keys"},
	{Call: "setuid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setgid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setreuid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setregid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setresuid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setresgid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setgroups", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setfsuid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setfsgid", Do: fail, Errno: unix.EPERM, Why: "identity"},
	{Call: "setsid", Do: fail, Errno: unix.EPERM, Why: "already a session leader"},
	{Call: "setpgid", Do: fail, Errno: unix.EPERM, Why: "already a session leader"},
	{Call: "setrlimit", Do: fail, Errno: unix.EPERM, Why: "limits are the gateway's"},
	{Call: "seccomp", Do: fail, Errno: unix.EPERM, Why: "a filter of its own could hide calls"},
	{Call: "reboot", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "init_module", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "finit_module", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "sethostname", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "settimeofday", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "clock_settime", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "swapon", Do: fail, Errno: unix.EPERM, Why: "kernel"},
	{Call: "syslog", Do: fail, Errno: unix.EPERM, Why: "kernel"},

	{Call: "getrlimit", Do: allow, Why: "own limits"},

	// Calls that amd64 alone has: the older forms of those above, and the processor's own.
	{Call: "stat", Do: notify, Why: "names a path"},
	{Call: "lstat", Do: notify, Why: "names a path"},
	{Call: "open", Do: notify, Why: "names a path, makes a descriptor"},
	{Call: "poll", Do: allow, Why: "own descriptors"},
	{Call: "select", Do: allow, Why: "own descriptors"},
	{Call: "epoll_create", Do: notify, Handler: "epoll_create1", Why: "as epoll_create1"},
	{Call: "epoll_wait", Do: allow, Why: "own descriptors"},
	{Call: "eventfd", Do: allow, Why: "own counter"},
	{Call: "dup2", Do: notify, Handler: "dup3", When: onStream(0), Why: "a stream's number says that it is one"},
	{Call: "dup2", Do: allow, Why: "own descriptors"},
	{Call: "pipe", Do: notify, Handler: "pipe2", Why: "an anonymous pipe leads nowhere, and is counted"},
	{Call: "alarm", Do: allow, Why: "own timers"},
	{Call: "pause", Do: allow, Why: "own signals"},
	{Call: "time", Do: allow, Why: "time"},
	{Call: "getpgrp", Do: allow, Why: "own number"},
	{Call: "arch_prctl", Do: allow, Why: "own registers"},
	{Call: "creat", Do: notify, Why: "names a path, makes a descriptor"},
	{Call: "access", Do: notify, Why: "names a path"},
	{Call: "readlink", Do: notify, Why: "names a path"},
	{Call: "mkdir", Do: notify, Why: "names a path"},
	{Call: "rmdir", Do: notify, Why: "names a path"},
	{Call: "unlink", Do: notify, Why: "names a path"},
	{Call: "rename", Do: notify, Why: "names paths"},
	{Call: "link", Do: notify, Why: "names paths"},
	{Call: "symlink", Do: notify, Why: "names a path"},
	{Call: "chmod", Do: notify, Why: "names a path"},
	{Call: "chown", Do: notify, Why: "names a path"},
	{Call: "lchown", Do: notify, Why: "names a path"},
	{Call: "fork", Do: fail, Errno: unix.EPERM, Why: "commands go to the gate"},
	{Call: "vfork", Do: fail, Errno: unix.EPERM, Why: "commands go to the gate"},
	{Call: "mknod", Do: fail, Errno: unix.EPERM, Why: "devices and FIFOs"},
	{Call: "iopl", Do: fail, Errno: unix.EPERM, Why: "hardware"},
	{Call: "ioperm", Do: fail, Errno: unix.EPERM, Why: "hardware"},
	{Call: "modify_ldt", Do: fail, Errno: unix.EPERM, Why: "kernel"},
}

// unknown are the calls that have no row and are answered ENOSYS on purpose. A call of the kernel that stands neither here
// nor in the tables is answered the same, and fails a test, so that somebody forms an opinion. Names are separated by spaces.
var unknown = []struct{ why, calls string }{
	{"their flags or paths are in memory, where no filter sees them; callers fall back to older calls", `
		clone3 openat2 statx futex_wait futex_wake futex_requeue`},
	{"work that the kernel does in the background, past the filter", `
		io_uring_setup io_uring_enter io_uring_register io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents`},
	{"move bytes or pages between files, pipes and memory without a read or write", `
		splice tee vmsplice copy_file_range remap_file_pages sync_file_range readahead cachestat`},
	{"descriptors that lead to other processes, or that the supervisor would not know", `
		pidfd_open memfd_create memfd_secret signalfd signalfd4 process_mrelease kcmp`},
	{"watch the files of others", `
		inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark`},
	{"meet other processes", `
		shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
		mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`},
	{"mounts and other views of the tree", `
		fsconfig fsmount fspick mount_setattr open_tree_attr statmount listmount listns`},
	{"pin memory, place it, or change what protects it", `
		mlock mlock2 mlockall munlock munlockall mbind migrate_pages move_pages get_mempolicy set_mempolicy
		set_mempolicy_home_node pkey_alloc pkey_free pkey_mprotect mseal map_shadow_stack`},
	{"scheduling, of others too", `
		sched_setaffinity sched_setattr sched_getattr sched_setparam sched_setscheduler sched_rr_get_interval
		ioprio_get ioprio_set rseq_slice_yield`},
	{"timers with signals to any thread; setitimer and timerfd remain", `
		timer_create timer_delete timer_getoverrun timer_gettime timer_settime`},
	{"identity, capabilities and security modules", `
		capget capset personality lsm_get_self_attr lsm_set_self_attr lsm_list_modules
		landlock_create_ruleset landlock_add_rule landlock_restrict_self`},
	{"extended attributes and quotas of files, in calls that are new or old", `
		getxattrat setxattrat listxattrat removexattrat file_getattr file_setattr quotactl quotactl_fd`},
	{"the machine", `
		acct adjtimex clock_adjtime create_module delete_module get_kernel_syms query_module kexec_load kexec_file_load
		setdomainname swapoff vhangup sysfs ustat nfsservctl lookup_dcookie uselib`},
	{"the kernel lets them past every filter, and kills a caller that no probe of its own has sent", `uprobe uretprobe`},
	{"older forms that the C library does not use any more", `
		utime utimes futimesat getdents get_robust_list get_thread_area set_thread_area epoll_ctl_old epoll_wait_old _sysctl`},
	{"numbers that no kernel gives a meaning", `afs_syscall getpmsg putpmsg security tuxcall vserver`},
}

// The rest of ioctl_tty(2)'s and ioctl(2)'s numbers that x/sys does not name.
const (
	fionclex = 0x5450
	fioclex  = 0x5451
	fionbio  = 0x5421
)
