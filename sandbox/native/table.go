//go:build linux && (amd64 || arm64)

package native

import "golang.org/x/sys/unix"

// A treatment is what the filter does with a system call.
type treatment uint8

const (
	allow  treatment = iota // let it through: it names nothing and makes nothing that leads out
	fail                    // answer with an errno, or with 0 where the errno is 0
	notify                  // ask the supervisor
)

// A condition is a test of one argument. The call is treated as its row says only where every condition holds.
type condition struct {
	arg    int
	wide   bool   // compare all 64 bits; else the low 32, as the kernel truncates an int
	mask   uint32 // bits of the low half to compare; 0 means all
	values []uint32
}

// A row says how one system call is treated, and why.
type row struct {
	call  string
	do    treatment
	errno unix.Errno // with fail
	when  []condition
	// otherwise is the errno where a condition does not hold; 0 leaves the call to the rows below.
	otherwise unix.Errno
	why       string
}

// threadFlags are the flags with which glibc's pthread_create calls clone(2), exactly: a thread of this process and
// nothing else.
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD |
	unix.CLONE_SYSVSEM | unix.CLONE_SETTLS | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_CLEARTID

// usualPipe is the size of a pipe that nobody has changed, in bytes, see pipe(7).
const usualPipe = 64 << 10

// self stands for the process's own id in a condition; it is known when the filter is built.
const self = ^uint32(0)

// table is the whole policy of the filter. A call without a row is answered ENOSYS, which glibc and CPython take as
// "an old kernel" and work around. Of several rows for a call the first whose conditions hold decides.
var table = []row{
	// Bytes through descriptors that the supervisor made.
	{call: "read", do: notify, when: onStream(0), why: "a stream's bytes come from the supervisor"},
	{call: "read", why: "descriptors come from the supervisor"},
	{call: "write", why: "descriptors come from the supervisor"},
	{call: "close", why: "own descriptors"},
	{call: "lseek", why: "own descriptors"},
	{call: "futex", why: "own memory"},
	{call: "mmap", do: notify, why: "a stream has no pages", when: append(onStream(4),
		condition{arg: 3, mask: unix.MAP_HUGETLB | unix.MAP_ANONYMOUS, values: []uint32{0}})},
	{call: "mmap", do: notify, why: "a shared mapping is an open file, or keeps one, and is counted", when: []condition{
		{arg: 3, mask: unix.MAP_TYPE | unix.MAP_HUGETLB, values: []uint32{unix.MAP_SHARED, unix.MAP_SHARED_VALIDATE}},
	}},
	{call: "mmap", otherwise: unix.ENOMEM, why: "own memory; a descriptor's access mode bounds it; not the pages that the host reserved for others",
		when: []condition{{arg: 3, mask: unix.MAP_HUGETLB, values: []uint32{0}}}},
	{call: "munmap", why: "own memory"},
	{call: "mprotect", why: "own memory"},
	{call: "brk", why: "own memory"},
	{call: "rt_sigaction", why: "own signals"},
	{call: "rt_sigprocmask", why: "own signals"},
	{call: "rt_sigreturn", why: "own signals"},
	{call: "newfstatat", do: notify, why: "names a path"},
	{call: "openat", do: notify, why: "names a path, makes a descriptor"},
	{call: "fstat", do: notify, why: "directories and files are virtual"},
	{call: "getdents64", do: notify, why: "directories are virtual"},
	{call: "readlinkat", do: notify, why: "names a path"},
	{call: "readv", do: notify, when: onStream(0), why: "as read"},
	{call: "readv", why: "as read"},
	{call: "writev", why: "as write"},
	{call: "pread64", do: notify, when: onStream(0), why: "as read"},
	{call: "pread64", why: "as read"},
	{call: "pwrite64", why: "as write"},
	{call: "preadv", do: notify, when: onStream(0), why: "as read"},
	{call: "preadv", why: "as read"},
	{call: "pwritev", why: "as write"},
	{call: "preadv2", do: notify, when: onStream(0), why: "as read"},
	{call: "preadv2", why: "as read"},
	{call: "pwritev2", why: "as write"},
	{call: "close_range", otherwise: unix.EINVAL, why: "own descriptors; not the flag that gives a thread a table of its own, into which the supervisor does not see",
		when: []condition{{arg: 2, values: []uint32{0, unix.CLOSE_RANGE_CLOEXEC}}}},
	{call: "sendfile", do: notify, when: onStream(1), why: "as read"},
	{call: "sendfile", why: "between own descriptors"},
	{call: "ftruncate", why: "a descriptor's access mode bounds it"},
	{call: "dup", do: notify, when: onStream(0), why: "a stream's number says that it is one"},
	{call: "dup", why: "own descriptors"},
	{call: "dup3", do: notify, when: onStream(0), why: "a stream's number says that it is one"},
	{call: "dup3", why: "own descriptors"},
	{call: "pipe2", do: notify, otherwise: unix.EINVAL, why: "an anonymous pipe leads nowhere, and is counted; not one of the kernel's notifications",
		when: []condition{{arg: 1, mask: ^uint32(unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_DIRECT), values: []uint32{0}}}},

	// Memory.
	{call: "mremap", why: "own memory"},
	{call: "madvise", why: "own memory"},
	{call: "msync", why: "own memory and private content"},
	{call: "mincore", why: "own memory"},

	// Signals and timers of its own.
	{call: "rt_sigpending", why: "own signals"},
	{call: "rt_sigsuspend", why: "own signals"},
	{call: "rt_sigtimedwait", why: "own signals"},
	{call: "sigaltstack", why: "own signals"},
	{call: "getitimer", why: "own timers"},
	{call: "setitimer", why: "own timers"},
	{call: "timerfd_create", why: "own timers"},
	{call: "timerfd_settime", why: "own timers"},
	{call: "timerfd_gettime", why: "own timers"},
	{call: "nanosleep", why: "time"},
	{call: "clock_nanosleep", why: "time"},
	{call: "clock_gettime", why: "time"},
	{call: "clock_getres", why: "time"},
	{call: "gettimeofday", why: "time"},
	{call: "times", why: "own times"},
	{call: "getrusage", why: "own usage"},

	// Waiting for descriptors.
	{call: "pselect6", why: "own descriptors"},
	{call: "ppoll", why: "own descriptors"},
	{call: "epoll_create1", do: notify, why: "the supervisor makes it, to know it again: registrations are counted for the user"},
	{call: "epoll_ctl", do: notify, why: "a registration outlives its descriptor, and is counted",
		when: []condition{{arg: 1, values: []uint32{unix.EPOLL_CTL_ADD}}}},
	{call: "epoll_ctl", why: "own descriptors"},
	{call: "epoll_pwait", why: "own descriptors"},
	{call: "epoll_pwait2", why: "own descriptors"},
	{call: "eventfd2", why: "own counter"},

	// What it may know of itself.
	{call: "getpid", why: "own number"},
	{call: "getppid", do: notify, why: "the first interpreter's parent is the gateway"},
	{call: "gettid", why: "own number"},
	{call: "getpgid", do: notify, why: "commands have virtual process ids"},
	{call: "getsid", do: notify, why: "commands have virtual process ids"},
	{call: "getcpu", why: "a number"},
	{call: "sched_yield", why: "own scheduling"},
	{call: "sched_getaffinity", do: notify, why: "a mask; the supervisor keeps a thread at its processor for moments, and then lets the kernel answer"},
	{call: "sched_getparam", why: "a number"},
	{call: "sched_getscheduler", why: "a number"},
	{call: "sched_get_priority_max", why: "a number"},
	{call: "sched_get_priority_min", why: "a number"},
	{call: "getpriority", why: "a number"},
	{call: "sysinfo", why: "memory sizes and load, which /proc shows as well"},
	{call: "set_tid_address", why: "own memory"},
	{call: "set_robust_list", why: "own memory"},
	{call: "rseq", why: "own memory"},
	{call: "membarrier", why: "own memory"},
	{call: "futex_waitv", why: "own memory"},
	{call: "getrandom", why: "random bytes"},
	{call: "restart_syscall", why: "resumes an allowed call"},
	{call: "exit", why: "ends the thread"},
	{call: "exit_group", why: "ends the process"},

	// Sockets: only a connected, unnamed pair, which asyncio wakes itself with. A datagram pair could be pointed at
	// a named socket of the host by connect or sendto, so it is refused, as is every address.
	{call: "socketpair", do: notify, otherwise: unix.EPERM, why: "an unnamed stream pair leads nowhere, and is counted", when: []condition{
		{arg: 0, values: []uint32{unix.AF_UNIX}},
		{arg: 1, mask: ^uint32(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), values: []uint32{unix.SOCK_STREAM}},
	}},
	{call: "sendto", otherwise: unix.EPERM, why: "as write on a pair; an address would lead out", when: []condition{
		{arg: 4, wide: true, values: []uint32{0}},
	}},
	{call: "recvfrom", why: "as read on a pair"},
	{call: "recvmsg", why: "as read on a pair; nothing can put a descriptor in"},
	{call: "shutdown", why: "own pair"},
	{call: "getsockname", why: "own pair"},
	{call: "getpeername", why: "own pair"},
	{call: "getsockopt", otherwise: unix.EPERM, why: "own pair; not who made its other end, which for the guest's is the gateway, nor a descriptor of that process",
		when: []condition{{arg: 1, values: []uint32{unix.SOL_SOCKET}}, {arg: 2, values: []uint32{
			unix.SO_TYPE, unix.SO_ERROR, unix.SO_DOMAIN, unix.SO_PROTOCOL, unix.SO_ACCEPTCONN, unix.SO_SNDBUF, unix.SO_RCVBUF,
			unix.SO_SNDTIMEO, unix.SO_RCVTIMEO, unix.SO_REUSEADDR, unix.SO_KEEPALIVE,
		}}}},
	{call: "socket", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "connect", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "bind", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "listen", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "accept", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "accept4", do: fail, errno: unix.EPERM, why: "no network"},
	{call: "sendmsg", do: fail, errno: unix.EPERM, why: "could carry an address or descriptors"},
	{call: "sendmmsg", do: fail, errno: unix.EPERM, why: "could carry an address or descriptors"},
	{call: "recvmmsg", do: fail, errno: unix.EPERM, why: "not needed"},
	{call: "setsockopt", do: fail, errno: unix.EPERM, why: "not needed on a pair"},

	// Calls that are harmless for some arguments. Registers cannot change while the call waits.
	{call: "clone", do: notify, otherwise: unix.EPERM, why: "threads, which the supervisor counts; never a process",
		when: []condition{{arg: 0, wide: true, values: []uint32{threadFlags}}}},
	{call: "kill", why: "own process, or its group, which is its own", when: []condition{{arg: 0, values: []uint32{0, self}}}},
	{call: "kill", do: notify, why: "commands have virtual process ids; any other process is refused"},
	{call: "tgkill", otherwise: unix.EPERM, why: "own threads", when: []condition{{arg: 0, values: []uint32{self}}}},
	{call: "prlimit64", otherwise: unix.EPERM, why: "reading its own limits", when: []condition{
		{arg: 0, values: []uint32{0, self}}, {arg: 2, wide: true, values: []uint32{0}},
	}},
	{call: "fcntl", do: notify, why: "a stream's number says that it is one", when: append(onStream(0),
		condition{arg: 1, values: []uint32{unix.F_DUPFD, unix.F_DUPFD_CLOEXEC}})},
	{call: "fcntl", why: "flags, duplicates and seals it can read; not owner, lease or notify",
		when: []condition{{arg: 1, values: []uint32{
			unix.F_DUPFD, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL, unix.F_SETFL, unix.F_DUPFD_CLOEXEC,
			unix.F_GETPIPE_SZ, unix.F_GET_SEALS,
		}}}},
	{call: "fcntl", why: "a smaller pipe", when: []condition{
		{arg: 1, values: []uint32{unix.F_SETPIPE_SZ}}, {arg: 2, mask: ^uint32(usualPipe - 1), values: []uint32{0}},
	}},
	{call: "fcntl", why: "a pipe as large as any", when: []condition{
		{arg: 1, values: []uint32{unix.F_SETPIPE_SZ}}, {arg: 2, values: []uint32{usualPipe}},
	}},
	{call: "fcntl", do: fail, errno: unix.EPERM, why: "no larger pipe: pages of all pipes of a user are counted in sum, and EPERM is the kernel's word for it",
		when: []condition{{arg: 1, values: []uint32{unix.F_SETPIPE_SZ}}}},
	{call: "fcntl", do: notify, otherwise: unix.EINVAL, why: "locks, between interpreters of the session alone: one on a live descriptor would lock out the host's own programs",
		when: []condition{{arg: 1, values: []uint32{
			unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW,
		}}}},
	{call: "ioctl", do: fail, errno: unix.EOPNOTSUPP, why: "no copies that share blocks; with ENOTTY pathlib would give up and not copy",
		when: []condition{{arg: 1, values: []uint32{unix.FICLONE, unix.FICLONERANGE}}}},
	{call: "ioctl", why: "modes of its own terminal, the only one it can have; not typing into it or changing what it is",
		when: []condition{{arg: 1, values: []uint32{
			unix.TCSETS, unix.TCSETSW, unix.TCSETSF, unix.TCGETS2, unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2,
			unix.TCFLSH, unix.TCSBRK, unix.TIOCGPGRP,
		}}}},
	{call: "ioctl", do: notify, why: "answered: its own group is in its terminal's foreground",
		when: []condition{{arg: 1, values: []uint32{unix.TIOCSPGRP}}}},
	{call: "ioctl", otherwise: unix.ENOTTY, why: "questions about its own descriptors", when: []condition{
		{arg: 1, values: []uint32{unix.TCGETS, unix.TIOCGWINSZ, unix.TIOCINQ, fioclex, fionclex, fionbio}},
	}},
	{call: "prctl", otherwise: unix.EPERM, why: "names of threads and mappings", when: []condition{
		{arg: 0, values: []uint32{unix.PR_SET_NAME, unix.PR_GET_NAME, unix.PR_SET_VMA}},
	}},

	{call: "flock", do: notify, why: "locks, as with fcntl"},

	// Pretended, on what is open: there is nothing worth syncing.
	{call: "fsync", do: notify, why: "content is in memory"},
	{call: "fdatasync", do: notify, why: "content is in memory"},
	{call: "sync", do: fail, why: "content is in memory"},
	{call: "syncfs", do: notify, why: "content is in memory"},
	{call: "fadvise64", do: notify, why: "advice"},
	{call: "fallocate", do: fail, errno: unix.EOPNOTSUPP, why: "with ENOSYS posix_fallocate would fail; it writes instead"},
	{call: "setpriority", otherwise: unix.EPERM, why: "itself, and without a capability only down",
		when: []condition{{arg: 0, values: []uint32{unix.PRIO_PROCESS}}, {arg: 1, values: []uint32{0, self}}}},

	// Extended attributes: with ENOSYS shutil.copy2 would raise.
	{call: "getxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "lgetxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "fgetxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "setxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "lsetxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "fsetxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "listxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "llistxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "flistxattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "removexattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "lremovexattr", do: fail, errno: unix.ENOTSUP, why: "none here"},
	{call: "fremovexattr", do: fail, errno: unix.ENOTSUP, why: "none here"},

	// Paths, virtual descriptors and identity: the supervisor answers.
	{call: "faccessat", do: notify, why: "names a path"},
	{call: "faccessat2", do: notify, why: "names a path"},
	{call: "getcwd", do: notify, why: "the working directory is virtual"},
	{call: "chdir", do: notify, why: "names a path"},
	{call: "fchdir", do: notify, why: "the working directory is virtual"},
	{call: "mkdirat", do: notify, why: "names a path"},
	{call: "unlinkat", do: notify, why: "names a path"},
	{call: "renameat", do: notify, why: "names paths"},
	{call: "renameat2", do: notify, why: "names paths"},
	{call: "linkat", do: notify, why: "names paths"},
	{call: "symlinkat", do: notify, why: "names a path"},
	{call: "fchmod", do: notify, why: "files are virtual"},
	{call: "fchmodat", do: notify, why: "names a path"},
	{call: "fchmodat2", do: notify, why: "names a path"},
	{call: "fchown", do: notify, why: "files are virtual"},
	{call: "fchownat", do: notify, why: "names a path"},
	{call: "utimensat", do: notify, why: "names a path"},
	{call: "truncate", do: notify, why: "names a path"},
	{call: "statfs", do: notify, why: "names a path"},
	{call: "fstatfs", do: notify, why: "files are virtual"},
	{call: "execve", do: notify, why: "refused with a reason"},
	{call: "execveat", do: notify, why: "the first stage's own, once; then refused"},
	{call: "wait4", do: notify, why: "children are virtual"},
	{call: "waitid", do: notify, why: "children are virtual"},
	{call: "uname", do: notify, why: "the target's"},
	{call: "umask", do: notify, why: "files are virtual"},
	{call: "getuid", do: notify, why: "the account that commands run as"},
	{call: "geteuid", do: notify, why: "the account that commands run as"},
	{call: "getgid", do: notify, why: "the account that commands run as"},
	{call: "getegid", do: notify, why: "the account that commands run as"},
	{call: "getresuid", do: notify, why: "the account that commands run as"},
	{call: "getresgid", do: notify, why: "the account that commands run as"},
	{call: "getgroups", do: fail, why: "no supplementary groups"},

	// Refused outright, with the errno that says so.
	{call: "ptrace", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "process_vm_readv", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "process_vm_writev", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "process_madvise", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "pidfd_getfd", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "pidfd_send_signal", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "tkill", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "rt_sigqueueinfo", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "rt_tgsigqueueinfo", do: fail, errno: unix.EPERM, why: "other processes"},
	{call: "unshare", do: fail, errno: unix.EPERM, why: "namespaces"},
	{call: "setns", do: fail, errno: unix.EPERM, why: "namespaces"},
	{call: "mount", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "umount2", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "pivot_root", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "chroot", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "open_tree", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "move_mount", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "fsopen", do: fail, errno: unix.EPERM, why: "file systems"},
	{call: "mknodat", do: fail, errno: unix.EPERM, why: "devices and FIFOs"},
	{call: "bpf", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "perf_event_open", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "userfaultfd", do: fail, errno: unix.EPERM, why: "would let the script stop the supervisor's reads"},
	{call: "open_by_handle_at", do: fail, errno: unix.EPERM, why: "opens without a path"},
	{call: "name_to_handle_at", do: fail, errno: unix.EPERM, why: "host's files"},
	{call: "keyctl", do: fail, errno: unix.EPERM, why: "keys"},
	{call: "add_key", do: fail, errno: unix.EPERM, why: "keys"},
	{call: "request_key", do: fail, errno: unix.EPERM, why: "keys"},
	{call: "setuid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setgid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setreuid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setregid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setresuid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setresgid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setgroups", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setfsuid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setfsgid", do: fail, errno: unix.EPERM, why: "identity"},
	{call: "setsid", do: fail, errno: unix.EPERM, why: "already a session leader"},
	{call: "setpgid", do: fail, errno: unix.EPERM, why: "already a session leader"},
	{call: "setrlimit", do: fail, errno: unix.EPERM, why: "limits are the gateway's"},
	{call: "seccomp", do: fail, errno: unix.EPERM, why: "a filter of its own could hide calls"},
	{call: "reboot", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "init_module", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "finit_module", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "sethostname", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "settimeofday", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "clock_settime", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "swapon", do: fail, errno: unix.EPERM, why: "kernel"},
	{call: "syslog", do: fail, errno: unix.EPERM, why: "kernel"},

	{call: "getrlimit", why: "own limits"},
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
