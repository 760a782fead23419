//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/posix"
)

// signal answers kill(2) for anything but the script itself, which the filter lets through: commands have virtual
// process ids, and nothing else may be signalled. Whether there is such a process the script sees in /proc anyway.
func (w *childCalls) signal(n *seccomp.Notification) answer {
	pid, sig := int32(n.Args[0]), int32(n.Args[1])
	if !posix.ValidSignal(sig) {
		return failed(unix.EINVAL)
	}
	if pid < -1 {
		pid = -pid // a command leads a process group of its own
	}
	if c := w.children.Get(int(pid)); c != nil {
		return outcome(c.Signal(sig))
	}
	// Another interpreter of the process tree, each of which leads a group of its own too.
	var err error
	if !w.members.member(int(pid), func(m *run) { err = m.proc.Signal(unix.Signal(sig)) }) {
		if pid >= posix.FirstPID {
			return failed(unix.ESRCH) // a command that was waited for
		}
		if _, err := w.job.FS.Lstat("/proc/" + strconv.Itoa(int(pid))); errors.Is(err, unix.ENOENT) && pid > 0 {
			return failed(unix.ESRCH)
		}
		return failed(unix.EPERM)
	}
	return outcome(err)
}

// processGroup answers getpgid(2) and getsid(2): the script leads a group and a session of its own, and so does each
// command.
func (w *childCalls) processGroup(n *seccomp.Notification) answer {
	pid := int32(n.Args[0])
	if pid == 0 || int(pid) == w.proc.PID {
		return answer{val: int64(w.proc.PID)}
	}
	if w.children.Get(int(pid)) == nil && !w.members.member(int(pid), func(*run) {}) {
		return failed(unix.ESRCH)
	}
	return answer{val: int64(pid)}
}

// wait4 answers wait4(2) for virtual children.
func (w *childCalls) wait4(n *seccomp.Notification) answer {
	pid, status, options, usage := int32(n.Args[0]), n.Args[1], uint32(n.Args[2]), n.Args[3]
	if options&^(unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED|unix.WALL|unix.WCLONE|unix.WNOTHREAD) != 0 {
		return failed(unix.EINVAL)
	}
	var none func() answer
	if options&unix.WNOHANG != 0 {
		none = func() answer { return answer{} }
	}
	return w.wait(n, posix.WaitTarget(pid), none, func(c *posix.Child) answer {
		if status != 0 {
			word := c.Status()
			if e := w.proc.Write(n, status, seccomp.Bytes(&word)); e != 0 {
				return failed(e)
			}
		}
		if e := w.putUsage(n, usage); e != 0 {
			return failed(e)
		}
		w.children.Remove(c)
		return answer{val: int64(c.PID)}
	})
}

// waitid answers waitid(2), which unlike wait4 can leave the child for a later call (WNOWAIT) and tells no child by
// success.
func (w *childCalls) waitid(n *seccomp.Notification) answer {
	kind, id, info, options, usage := int32(n.Args[0]), int32(n.Args[1]), n.Args[2], int32(n.Args[3]), n.Args[4]
	const known = unix.WNOHANG | unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED | unix.WNOWAIT
	if options&^known != 0 || options&(unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED) == 0 {
		return failed(unix.EINVAL)
	}
	pid := -1
	switch kind {
	case unix.P_ALL:
	case unix.P_PID:
		if pid = int(id); pid <= 0 {
			return failed(unix.EINVAL)
		}
	case unix.P_PGID:
		if id < 0 {
			return failed(unix.EINVAL)
		}
		pid = posix.WaitTarget(-id)
	default:
		return failed(unix.EINVAL) // P_PIDFD: nobody here has one
	}
	var none func() answer
	if options&unix.WNOHANG != 0 {
		none = func() answer { return failed(w.putSigInfo(n, info, nil, 0)) }
	}
	return w.wait(n, pid, none, func(c *posix.Child) answer {
		if e := w.putSigInfo(n, info, c, w.job.Host.UID); e != 0 {
			return failed(e)
		}
		if e := w.putUsage(n, usage); e != 0 {
			return failed(e)
		}
		if options&unix.WNOWAIT == 0 {
			w.children.Remove(c)
		}
		return answer{}
	})
}

// pollWait is how long a blocking wait4 goes without EINTR. CPython's signal handlers run no later than that.
const pollWait = 50 * time.Millisecond

// wait answers a call that waits for a child: with collect for one that has ended, with none where there is no such one
// yet. Without none it blocks: it is answered with EINTR when a child has ended, and from time to time, so that CPython
// runs its signal handlers and calls again.
func (w *childCalls) wait(n *seccomp.Notification, pid int, none func() answer, collect func(*posix.Child) answer) answer {
	c, any := w.children.Waitable(pid)
	switch {
	case !any:
		return failed(unix.ECHILD)
	case c != nil:
		return collect(c)
	case none != nil:
		return none()
	}
	// Collected by the next call; only here the answer can say so without losing it to a thread that died.
	return w.askAgain(n, func() { w.children.WaitBriefly(w.ctx, pid, pollWait) })
}

// askAgain has a call that waits answered with EINTR when pause returns, so that the script's signal handlers run and it
// calls again.
func (c *caller) askAgain(n *seccomp.Notification, pause func()) answer {
	id := n.ID
	go func() {
		defer c.guard("waiting for a command or a lock")
		pause()
		c.asked.Add(1)
		c.proc.ReplyLater(id, unix.EINTR)
	}()
	return answer{later: true}
}

// putUsage writes what a child used, of which nothing is known.
func (w *childCalls) putUsage(n *seccomp.Notification, to uint64) unix.Errno {
	if to == 0 {
		return 0
	}
	var u unix.Rusage
	return w.proc.Write(n, to, seccomp.Bytes(&u))
}

// Codes and places of siginfo_t for SIGCHLD, see sigaction(2) and asm-generic/siginfo.h.
const (
	sigInfoSize    = 128
	sigInfoFields  = 16 // after si_signo, si_errno, si_code and padding
	cldExited      = 1
	cldKilled      = 2
	sigInfoCode    = 8
	sigInfoUID     = sigInfoFields + 4
	sigInfoOutcome = sigInfoFields + 8
)

// putSigInfo writes the siginfo_t of an ended child, or an empty one for none.
func (w *childCalls) putSigInfo(n *seccomp.Notification, to uint64, c *posix.Child, uid uint32) unix.Errno {
	if to == 0 {
		return 0
	}
	var b [sigInfoSize]byte
	put := func(at int, v uint32) { binary.NativeEndian.PutUint32(b[at:], v) }
	if c != nil {
		code, outcome := uint32(cldExited), uint32(c.Exit.Code&0xff)
		if c.Exit.Signal != 0 {
			code, outcome = cldKilled, uint32(c.Exit.Signal)
		}
		put(0, uint32(unix.SIGCHLD))
		put(sigInfoCode, code)
		put(sigInfoFields, uint32(c.PID))
		put(sigInfoUID, uid)
		put(sigInfoOutcome, outcome)
	}
	return w.proc.Write(n, to, b[:])
}
