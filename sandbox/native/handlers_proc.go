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
