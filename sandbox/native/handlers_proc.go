//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// execveat lets the first stage's exec of the loader through, once: its arguments are ours, and no instruction of the
// script has run yet.
func (r *run) execveat(n *notification) answer {
	if r.execed || int32(n.args[0]) != stageLoader || n.args[4] != unix.AT_EMPTY_PATH {
		return failed(unix.EPERM)
	}
	r.execed = true
	return answer{resume: true}
}

// clone counts threads. The filter lets nothing here but the exact flags of a thread, which are in a register.
func (r *run) clone(*notification) answer {
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/task", r.pid), &st); err != nil {
		return failed(unix.EAGAIN)
	}
	if uint64(st.Nlink) >= maxThreads+2 { // a directory has two links more than subdirectories
		return failed(unix.EAGAIN)
	}
	return answer{resume: true}
}

// uname answers with the target's names.
func (r *run) uname(n *notification) answer {
	var u unix.Utsname
	h := r.job.Host
	for _, f := range []struct {
		to   *[65]byte
		from string
	}{{&u.Sysname, h.Sysname}, {&u.Nodename, h.Nodename}, {&u.Release, h.Release}, {&u.Version, h.Version}, {&u.Machine, h.Machine}} {
		copy(f.to[:len(f.to)-1], f.from)
	}
	copy(u.Domainname[:], "(none)")
	return failed(writeMemory(int(n.pid), n.args[0], asBytes(&u)))
}

// signal answers kill(2) for anything but the script itself, which the filter lets through: commands have virtual
// process ids, and nothing else may be signalled.
func (r *run) signal(n *notification) answer {
	pid, sig := int32(n.args[0]), int32(n.args[1])
	if sig < 0 || sig > 64 {
		return failed(unix.EINVAL)
	}
	if pid < -1 {
		pid = -pid // a command leads a process group of its own
	}
	c := r.children.get(int(pid))
	if c == nil {
		return failed(unix.EPERM)
	}
	return failed(c.signal(sig))
}

// wait4 answers wait4(2) for virtual children. A blocking wait is answered when a child has ended, or with EINTR from
// time to time, so that CPython runs its signal handlers and calls again.
func (r *run) wait4(n *notification) answer {
	pid, status, options, usage := int32(n.args[0]), n.args[1], int32(n.args[2]), n.args[3]
	if pid < -1 {
		pid = -pid
	}
	if pid == 0 {
		pid = -1
	}
	c, any := r.children.waitable(int(pid))
	if !any {
		return failed(unix.ECHILD)
	}
	if c == nil && options&unix.WNOHANG != 0 {
		return answer{}
	}
	tid, id := int(n.pid), n.id
	if c != nil {
		return r.collect(c, tid, status, usage)
	}
	go func() {
		r.children.waitBriefly(r.ctx, int(pid))
		if !valid(r.listener, id) {
			return
		}
		// Collected by the next call; only here the answer can say so without losing it to a thread that died.
		send(r.listener, &response{id: id, err: -int32(unix.EINTR)})
	}()
	return answer{later: true}
}

// collect takes a child that has ended out of the table.
func (r *run) collect(c *child, tid int, status, usage uint64) answer {
	if status != 0 {
		word := uint32(c.status())
		if e := writeMemory(tid, status, asBytes(&word)); e != 0 {
			return failed(e)
		}
	}
	if usage != 0 {
		var u unix.Rusage
		if e := writeMemory(tid, usage, asBytes(&u)); e != 0 {
			return failed(e)
		}
	}
	r.children.remove(c)
	return answer{val: int64(c.pid)}
}
