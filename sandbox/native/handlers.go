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
type handler func(*run, *seccomp.Notification) answer

// handlers has an entry for every handler that a row of the table names.
var handlers = map[string]handler{
	"openat": func(r *run, n *seccomp.Notification) answer {
		return r.open(n, int32(n.Args[0]), n.Args[1], int(int32(n.Args[2])), uint32(n.Args[3]))
	},
	"open": func(r *run, n *seccomp.Notification) answer {
		return r.open(n, unix.AT_FDCWD, n.Args[0], int(int32(n.Args[1])), uint32(n.Args[2]))
	},
	"creat": func(r *run, n *seccomp.Notification) answer {
		return r.open(n, unix.AT_FDCWD, n.Args[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, uint32(n.Args[1]))
	},
	"newfstatat": func(r *run, n *seccomp.Notification) answer {
		return r.stat(n, int32(n.Args[0]), n.Args[1], n.Args[2], int(n.Args[3]))
	},
	"stat": func(r *run, n *seccomp.Notification) answer { return r.stat(n, unix.AT_FDCWD, n.Args[0], n.Args[1], 0) },
	"lstat": func(r *run, n *seccomp.Notification) answer {
		return r.stat(n, unix.AT_FDCWD, n.Args[0], n.Args[1], unix.AT_SYMLINK_NOFOLLOW)
	},
	"fstat":      func(r *run, n *seccomp.Notification) answer { return r.fstat(n, int32(n.Args[0]), n.Args[1]) },
	"getdents64": (*run).getdents,
	"faccessat": func(r *run, n *seccomp.Notification) answer {
		return r.access(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), 0)
	},
	"faccessat2": func(r *run, n *seccomp.Notification) answer {
		return r.access(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), int(n.Args[3]))
	},
	"access": func(r *run, n *seccomp.Notification) answer {
		return r.access(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]), 0)
	},
	"readlinkat": func(r *run, n *seccomp.Notification) answer {
		return r.readlink(n, int32(n.Args[0]), n.Args[1], n.Args[2], int32(n.Args[3]))
	},
	"readlink": func(r *run, n *seccomp.Notification) answer {
		return r.readlink(n, unix.AT_FDCWD, n.Args[0], n.Args[1], int32(n.Args[2]))
	},
	"getcwd": (*run).getcwd,
	"chdir":  (*run).chdir,
	"fchdir": (*run).fchdir,
	"mkdirat": func(r *run, n *seccomp.Notification) answer {
		return r.mkdir(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]))
	},
	"mkdir": func(r *run, n *seccomp.Notification) answer {
		return r.mkdir(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]))
	},
	"unlinkat": func(r *run, n *seccomp.Notification) answer {
		return r.unlink(n, int32(n.Args[0]), n.Args[1], int(n.Args[2]))
	},
	"unlink": func(r *run, n *seccomp.Notification) answer { return r.unlink(n, unix.AT_FDCWD, n.Args[0], 0) },
	"rmdir": func(r *run, n *seccomp.Notification) answer {
		return r.unlink(n, unix.AT_FDCWD, n.Args[0], unix.AT_REMOVEDIR)
	},
	"renameat2": func(r *run, n *seccomp.Notification) answer {
		return r.rename(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], uint32(n.Args[4]))
	},
	"renameat": func(r *run, n *seccomp.Notification) answer {
		return r.rename(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], 0)
	},
	"rename": func(r *run, n *seccomp.Notification) answer {
		return r.rename(n, unix.AT_FDCWD, n.Args[0], unix.AT_FDCWD, n.Args[1], 0)
	},
	"linkat": func(r *run, n *seccomp.Notification) answer {
		return r.link(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), n.Args[3], int(n.Args[4]))
	},
	"link": func(r *run, n *seccomp.Notification) answer {
		return r.link(n, unix.AT_FDCWD, n.Args[0], unix.AT_FDCWD, n.Args[1], 0)
	},
	"symlinkat": func(r *run, n *seccomp.Notification) answer {
		return r.symlink(n, n.Args[0], int32(n.Args[1]), n.Args[2])
	},
	"symlink": func(r *run, n *seccomp.Notification) answer { return r.symlink(n, n.Args[0], unix.AT_FDCWD, n.Args[1]) },
	"fchmod": func(r *run, n *seccomp.Notification) answer {
		return r.fchmod(int32(n.Args[0]), uint32(n.Args[1]))
	},
	"fchmodat": func(r *run, n *seccomp.Notification) answer {
		return r.chmod(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), 0)
	},
	"fchmodat2": func(r *run, n *seccomp.Notification) answer {
		return r.chmod(n, int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), int(n.Args[3]))
	},
	"chmod": func(r *run, n *seccomp.Notification) answer {
		return r.chmod(n, unix.AT_FDCWD, n.Args[0], uint32(n.Args[1]), 0)
	},
	"fchown": func(r *run, n *seccomp.Notification) answer {
		return r.fchown(int32(n.Args[0]), int32(n.Args[1]), int32(n.Args[2]))
	},
	"fchownat": func(r *run, n *seccomp.Notification) answer {
		return r.chown(n, int32(n.Args[0]), n.Args[1], int32(n.Args[2]), int32(n.Args[3]), int(n.Args[4]))
	},
	"chown": func(r *run, n *seccomp.Notification) answer {
		return r.chown(n, unix.AT_FDCWD, n.Args[0], int32(n.Args[1]), int32(n.Args[2]), 0)
	},
	"lchown": func(r *run, n *seccomp.Notification) answer {
		return r.chown(n, unix.AT_FDCWD, n.Args[0], int32(n.Args[1]), int32(n.Args[2]), unix.AT_SYMLINK_NOFOLLOW)
	},
	"utimensat":     (*run).utimens,
	"truncate":      (*run).truncate,
	"statfs":        func(r *run, n *seccomp.Notification) answer { return r.statfs(n, n.Args[0], n.Args[1]) },
	"fstatfs":       func(r *run, n *seccomp.Notification) answer { return r.fstatfs(n, int32(n.Args[0]), n.Args[1]) },
	"execve":        func(*run, *seccomp.Notification) answer { return failed(unix.EPERM) },
	"execveat":      (*run).execveat,
	"wait4":         (*run).wait4,
	"waitid":        (*run).waitid,
	"getpgid":       (*run).processGroup,
	"getppid":       (*run).parentID,
	"kill":          (*run).signal,
	"clone":         (*run).clone,
	"fcntl":         (*run).fcntl,
	"read":          (*run).readStream,
	"readv":         (*run).readv,
	"mmap":          (*run).mapping,
	"sendfile":      func(r *run, n *seccomp.Notification) answer { return r.notOnStream(int32(n.Args[1]), unix.EINVAL) },
	"dup":           (*run).dupStream,
	"dup3":          func(r *run, n *seccomp.Notification) answer { return r.notOnStream(int32(n.Args[0]), unix.EOPNOTSUPP) },
	"pipe2":         (*run).makePipe,
	"uname":         (*run).uname,
	"ioctl":         (*run).ioctl,
	"fsync":         (*run).syncFile,
	"syncfs":        (*run).syncAll,
	"flock":         (*run).flock,
	"fadvise64":     (*run).advise,
	"socketpair":    (*run).makePair,
	"epoll_create1": (*run).makeEpoll,
	"epoll_ctl":     (*run).addWatch,
	// Nothing is judged: it waits until the supervisor has let go of the thread, see affinity.go.
	"sched_getaffinity": func(*run, *seccomp.Notification) answer { return answer{resume: true} },
	"umask": func(r *run, n *seccomp.Notification) answer {
		return answer{val: int64(r.names.SetUmask(uint32(n.Args[0])))}
	},
	"getuid":    func(r *run, _ *seccomp.Notification) answer { return answer{val: int64(r.job.Host.UID)} },
	"getgid":    func(r *run, _ *seccomp.Notification) answer { return answer{val: int64(r.job.Host.GID)} },
	"getresuid": func(r *run, n *seccomp.Notification) answer { return r.threeTimes(n, r.job.Host.UID) },
	"getresgid": func(r *run, n *seccomp.Notification) answer { return r.threeTimes(n, r.job.Host.GID) },
}

// byNumber are the handlers by the numbers of the calls that the table has for them.
var byNumber = map[int32]handler{}

func init() {
	for number, key := range enginePolicy.Handlers() {
		byNumber[number] = handlers[key]
	}
}

// pathAt reads a path argument, once, and makes it absolute. Empty paths are the caller's business: empty reports one.
func (r *run) pathAt(n *seccomp.Notification, dirfd int32, addr uint64) (name string, empty bool, e unix.Errno) {
	text, e := r.proc.ReadPath(n, addr)
	if e != 0 {
		return "", false, e
	}
	switch {
	case text == "":
		return "", true, 0
	case text[0] == '/':
		name, e = r.throughDirectory(text)
		return name, false, e
	}
	name, err := r.names.Absolute(dirfd, text)
	if err != nil {
		return "", false, vfs.ErrnoOf(err)
	}
	return name, false, 0
}

// path is pathAt for calls that refuse an empty path.
func (r *run) path(n *seccomp.Notification, dirfd int32, addr uint64) (string, unix.Errno) {
	name, empty, e := r.pathAt(n, dirfd, addr)
	if e == 0 && empty {
		e = unix.ENOENT
	}
	return name, e
}

// paths reads the two paths of a call.
func (r *run) paths(n *seccomp.Notification, fromfd int32, from uint64, tofd int32, to uint64) (oldname, newname string, e unix.Errno) {
	if oldname, e = r.path(n, fromfd, from); e == 0 {
		newname, e = r.path(n, tofd, to)
	}
	return oldname, newname, e
}

// target reads the path of a call that takes AT_EMPTY_PATH. own reports that the descriptor itself is meant.
func (r *run) target(n *seccomp.Notification, dirfd int32, addr uint64, flags int) (name string, own bool, e unix.Errno) {
	name, own, e = r.pathAt(n, dirfd, addr)
	if e == 0 && own && flags&unix.AT_EMPTY_PATH == 0 {
		e = unix.ENOENT
	}
	return name, own, e
}
