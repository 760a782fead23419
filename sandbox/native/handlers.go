//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
)

// An answer is what the supervisor says to one system call. The zero value is success with 0.
type answer struct {
	val     int64
	errno   unix.Errno
	inject  bool // answer with a descriptor: a copy of fd, which is then closed here
	fd      int
	cloexec bool
	stream  bool // the descriptor gets a number of a stream
	resume  bool // let the call through: only where nothing in memory matters
	later   bool // somebody else answers
}

func failed(e unix.Errno) answer { return answer{errno: e} }

// outcome is the answer to a call that returns 0 or an error of the view.
func outcome(err error) answer {
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	return answer{}
}

// A handler answers one system call. It runs on the supervising goroutine, one at a time.
type handler func(*calls, *seccomp.Notification) answer

// handlers has an entry for every handler that a row of the table names.
var handlers = map[string]handler{
	"openat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.open(n, int32(n.Args[0]), n.Args[1], int(int32(n.Args[2])), uint32(n.Args[3]))
	},
	"open": func(c *calls, n *seccomp.Notification) answer {
		return c.files.open(n, unix.AT_FDCWD, n.Args[0], int(int32(n.Args[1])), uint32(n.Args[2]))
	},
	"creat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.open(n, unix.AT_FDCWD, n.Args[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, uint32(n.Args[1]))
	},
	"newfstatat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.stat(n, int32(n.Args[0]), n.Args[1], n.Args[2], int(n.Args[3]))
	},
	"stat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.stat(n, unix.AT_FDCWD, n.Args[0], n.Args[1], 0)
	},
	"lstat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.stat(n, unix.AT_FDCWD, n.Args[0], n.Args[1], unix.AT_SYMLINK_NOFOLLOW)
	},
	"fstat": func(c *calls, n *seccomp.Notification) answer {
		return c.descriptors.fstat(n, int32(n.Args[0]), n.Args[1])
	},
	"getdents64": func(c *calls, n *seccomp.Notification) answer { return c.directories.getdents(n) },
	"faccessat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.access(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), 0)
	},
	"faccessat2": func(c *calls, n *seccomp.Notification) answer {
		return c.files.access(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), int(n.Args[3]))
	},
	"access": func(c *calls, n *seccomp.Notification) answer {
		return c.files.access(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]), 0)
	},
	"readlinkat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.readlink(n, int32(n.Args[0]), n.Args[1], n.Args[2], int32(n.Args[3]))
	},
	"readlink": func(c *calls, n *seccomp.Notification) answer {
		return c.files.readlink(n, unix.AT_FDCWD, n.Args[0], n.Args[1], int32(n.Args[2]))
	},
	"getcwd": func(c *calls, n *seccomp.Notification) answer { return c.directories.getcwd(n) },
	"chdir":  func(c *calls, n *seccomp.Notification) answer { return c.directories.chdir(n) },
	"fchdir": func(c *calls, n *seccomp.Notification) answer { return c.directories.fchdir(n) },
	"mkdirat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.mkdir(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]))
	},
	"mkdir": func(c *calls, n *seccomp.Notification) answer {
		return c.files.mkdir(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]))
	},
	"unlinkat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.unlink(n, int32(n.Args[0]), n.Args[1], int(n.Args[2]))
	},
	"unlink": func(c *calls, n *seccomp.Notification) answer { return c.files.unlink(n, unix.AT_FDCWD, n.Args[0], 0) },
	"rmdir": func(c *calls, n *seccomp.Notification) answer {
		return c.files.unlink(n, unix.AT_FDCWD, n.Args[0], unix.AT_REMOVEDIR)
	},
	"renameat2": func(c *calls, n *seccomp.Notification) answer {
		return c.files.rename(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], uint32(n.Args[4]))
	},
	"renameat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.rename(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], 0)
	},
	"rename": func(c *calls, n *seccomp.Notification) answer {
		return c.files.rename(n, unix.AT_FDCWD, n.Args[0], unix.AT_FDCWD, n.Args[1], 0)
	},
	"linkat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.link(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], int(n.Args[4]))
	},
	"link": func(c *calls, n *seccomp.Notification) answer {
		return c.files.link(n, unix.AT_FDCWD, n.Args[0], unix.AT_FDCWD, n.Args[1], 0)
	},
	"symlinkat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.symlink(n, n.Args[0], int32(n.Args[1]), n.Args[2])
	},
	"symlink": func(c *calls, n *seccomp.Notification) answer {
		return c.files.symlink(n, n.Args[0], unix.AT_FDCWD, n.Args[1])
	},
	"fchmod": func(c *calls, n *seccomp.Notification) answer {
		return c.descriptors.fchmod(int32(n.Args[0]), uint32(n.Args[1]))
	},
	"fchmodat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chmod(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), 0)
	},
	"fchmodat2": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chmod(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), int(n.Args[3]))
	},
	"chmod": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chmod(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]), 0)
	},
	"fchown": func(c *calls, n *seccomp.Notification) answer {
		return c.descriptors.fchown(int32(n.Args[0]), int32(n.Args[1]), int32(n.Args[2]))
	},
	"fchownat": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chown(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), int32(n.Args[3]), int(n.Args[4]))
	},
	"chown": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chown(n, unix.AT_FDCWD, n.Args[0], int32(n.Args[1]), int32(n.Args[2]), 0)
	},
	"lchown": func(c *calls, n *seccomp.Notification) answer {
		return c.files.chown(n, unix.AT_FDCWD, n.Args[0], int32(n.Args[1]), int32(n.Args[2]), unix.AT_SYMLINK_NOFOLLOW)
	},
	"utimensat": func(c *calls, n *seccomp.Notification) answer { return c.files.utimens(n) },
	"truncate":  func(c *calls, n *seccomp.Notification) answer { return c.files.truncate(n) },
	"statfs":    func(c *calls, n *seccomp.Notification) answer { return c.files.statfs(n, n.Args[0], n.Args[1]) },
	"fstatfs": func(c *calls, n *seccomp.Notification) answer {
		return c.descriptors.fstatfs(n, int32(n.Args[0]), n.Args[1])
	},
	"execve":        func(*calls, *seccomp.Notification) answer { return failed(unix.EPERM) },
	"execveat":      func(c *calls, n *seccomp.Notification) answer { return c.processes.execveat(n) },
	"wait4":         func(c *calls, n *seccomp.Notification) answer { return c.children.wait4(n) },
	"waitid":        func(c *calls, n *seccomp.Notification) answer { return c.children.waitid(n) },
	"getpgid":       func(c *calls, n *seccomp.Notification) answer { return c.children.processGroup(n) },
	"getppid":       func(c *calls, n *seccomp.Notification) answer { return c.processes.parentID(n) },
	"kill":          func(c *calls, n *seccomp.Notification) answer { return c.children.signal(n) },
	"clone":         func(c *calls, n *seccomp.Notification) answer { return c.processes.clone(n) },
	"fcntl":         func(c *calls, n *seccomp.Notification) answer { return c.locks.fcntl(n) },
	"read":          func(c *calls, n *seccomp.Notification) answer { return c.streams.read(n) },
	"readv":         func(c *calls, n *seccomp.Notification) answer { return c.bulk.readv(n) },
	"mmap":          func(c *calls, n *seccomp.Notification) answer { return c.objects.mapping(n) },
	"sendfile":      func(c *calls, n *seccomp.Notification) answer { return c.streams.refuse(int32(n.Args[1]), unix.EINVAL) },
	"dup":           func(c *calls, n *seccomp.Notification) answer { return c.streams.dup(n) },
	"dup3":          func(c *calls, n *seccomp.Notification) answer { return c.streams.placeCopy(n) },
	"pipe2":         func(c *calls, n *seccomp.Notification) answer { return c.objects.makePipe(n) },
	"uname":         func(c *calls, n *seccomp.Notification) answer { return c.identity.uname(n) },
	"ioctl":         func(c *calls, n *seccomp.Notification) answer { return c.terminal.ioctl(n) },
	"fsync":         func(c *calls, n *seccomp.Notification) answer { return c.descriptors.syncFile(n) },
	"syncfs":        func(c *calls, n *seccomp.Notification) answer { return c.descriptors.syncAll(n) },
	"flock":         func(c *calls, n *seccomp.Notification) answer { return c.locks.flock(n) },
	"fadvise64":     func(c *calls, n *seccomp.Notification) answer { return c.descriptors.advise(n) },
	"socketpair":    func(c *calls, n *seccomp.Notification) answer { return c.objects.makePair(n) },
	"epoll_create1": func(c *calls, n *seccomp.Notification) answer { return c.objects.makeEpoll(n) },
	"epoll_ctl":     func(c *calls, n *seccomp.Notification) answer { return c.objects.addWatch(n) },
	// Nothing is judged: it waits until the supervisor has let go of the thread, see affinity.go.
	"sched_getaffinity": func(*calls, *seccomp.Notification) answer { return answer{resume: true} },
	"umask": func(c *calls, n *seccomp.Notification) answer {
		return answer{val: int64(c.directories.names.SetUmask(uint32(n.Args[0])))}
	},
	"getuid": func(c *calls, _ *seccomp.Notification) answer { return answer{val: int64(c.identity.job.Host.UID)} },
	"getgid": func(c *calls, _ *seccomp.Notification) answer { return answer{val: int64(c.identity.job.Host.GID)} },
	"getresuid": func(c *calls, n *seccomp.Notification) answer {
		return c.identity.threeTimes(n, c.identity.job.Host.UID)
	},
	"getresgid": func(c *calls, n *seccomp.Notification) answer {
		return c.identity.threeTimes(n, c.identity.job.Host.GID)
	},
}

// byNumber are the handlers by the numbers of the calls that the table has for them.
var byNumber = map[int32]handler{}

func init() {
	for number, key := range enginePolicy.Handlers() {
		byNumber[number] = handlers[key]
	}
}

// pathAt reads a path argument, once, and makes it absolute. Empty paths are the caller's business: empty reports one.
func (p *paths) pathAt(n *seccomp.Notification, dirfd int32, addr uint64) (name string, empty bool, e unix.Errno) {
	text, e := p.proc.ReadPath(n, addr)
	if e != 0 {
		return "", false, e
	}
	switch {
	case text == "":
		return "", true, 0
	case text[0] == '/':
		name, e = p.throughDirectory(text)
		return name, false, e
	}
	name, err := p.names.Absolute(dirfd, text)
	if err != nil {
		return "", false, vfs.ErrnoOf(err)
	}
	return name, false, 0
}

// path is pathAt for calls that refuse an empty path.
func (p *paths) path(n *seccomp.Notification, dirfd int32, addr uint64) (string, unix.Errno) {
	name, empty, e := p.pathAt(n, dirfd, addr)
	if e == 0 && empty {
		e = unix.ENOENT
	}
	return name, e
}

// both reads the two paths of a call.
func (p *paths) both(n *seccomp.Notification, fromfd int32, from uint64, tofd int32, to uint64) (oldname, newname string, e unix.Errno) {
	if oldname, e = p.path(n, fromfd, from); e == 0 {
		newname, e = p.path(n, tofd, to)
	}
	return oldname, newname, e
}

// target reads the path of a call that takes AT_EMPTY_PATH. own reports that the descriptor itself is meant.
func (p *paths) target(n *seccomp.Notification, dirfd int32, addr uint64, flags int) (name string, own bool, e unix.Errno) {
	name, own, e = p.pathAt(n, dirfd, addr)
	if e == 0 && own && flags&unix.AT_EMPTY_PATH == 0 {
		e = unix.ENOENT
	}
	return name, own, e
}
