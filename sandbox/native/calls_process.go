//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// execveat lets the first stage's exec of the loader through, once: its arguments are ours, and no instruction of the
// script has run yet.
func (p *processCalls) execveat(n *seccomp.Notification) answer {
	if !p.proc.IsFirstExec(n) {
		return failed(unix.EPERM)
	}
	return answer{resume: true}
}

// parentID answers getppid(2): the interpreter that started this one, or 1 as for one whose parent is gone.
func (p *processCalls) parentID(*seccomp.Notification) answer {
	return answer{val: int64(max(p.parent, 1))}
}

// clone counts threads, of all interpreters of the process tree. The filter lets nothing here but the exact flags of a thread, which are in a register.
func (p *processCalls) clone(*seccomp.Notification) answer {
	n := p.tree.threads()
	if n <= 0 || n >= atMost(p.tree.root.job.Limits.Threads, maxThreads) || !p.tree.share(n+1) {
		return failed(unix.EAGAIN)
	}
	return answer{resume: true}
}
