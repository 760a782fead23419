//go:build linux && (amd64 || arm64)

package native

import (
	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
)

// uname answers with the target's names.
func (c *identityCalls) uname(n *seccomp.Notification) answer {
	var u unix.Utsname
	h := c.job.Host
	for _, f := range []struct {
		to   *[65]byte
		from string
	}{{&u.Sysname, h.Sysname}, {&u.Nodename, h.Nodename}, {&u.Release, h.Release}, {&u.Version, h.Version}, {&u.Machine, h.Machine}} {
		copy(f.to[:len(f.to)-1], f.from)
	}
	copy(u.Domainname[:], "(none)")
	return failed(c.proc.Write(n, n.Args[0], seccomp.Bytes(&u)))
}

// threeTimes answers getresuid(2) and getresgid(2): the real, the effective and the saved number are the same.
func (c *identityCalls) threeTimes(n *seccomp.Notification, id uint32) answer {
	for _, to := range n.Args[:3] {
		if e := c.proc.Write(n, to, seccomp.Bytes(&id)); e != 0 {
			return failed(e)
		}
	}
	return answer{}
}
