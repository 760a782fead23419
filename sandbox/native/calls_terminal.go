//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/supervisor"
)

// ioctl answers TIOCSPGRP of ioctl_tty(2): the only group that the terminal's session has is in the foreground already.
func (t *terminalCalls) ioctl(n *seccomp.Notification) answer {
	h, e := t.handles.usable(int32(n.Args[0]))
	switch {
	case e != 0:
		return failed(e)
	case !supervisor.IsTerminal(&h.st) || t.depth > 0: // a further interpreter has a session of its own
		return failed(unix.ENOTTY)
	}
	var group int32
	if e := t.proc.Read(n, n.Args[2], seccomp.Bytes(&group)); e != 0 {
		return failed(e)
	}
	if int(group) != t.proc.PID {
		return failed(unix.EPERM)
	}
	return answer{}
}
