//go:build linux && (amd64 || arm64)

package seccomptest

import "shannot-gateway/internal/linux/seccomp"

// Decide reads a policy from top to bottom for one call, as its compiled filter does by jumps. pid is what seccomp.Self
// stands for.
func Decide(p seccomp.Policy, pid, arch, number uint32, args [6]uint64) seccomp.Action {
	if arch != seccomp.AuditArch || seccomp.X32Bit != 0 && number&seccomp.X32Bit != 0 {
		return p.Foreign
	}
	for _, r := range p.Rows {
		if n, here := seccomp.Number(r.Call); !here || n != number {
			continue
		}
		holds := true
		for _, c := range r.When {
			holds = holds && conditionHolds(c, pid, args)
		}
		switch {
		case holds:
			return r.Action()
		case r.Otherwise != 0:
			return seccomp.Errno(r.Otherwise)
		}
	}
	return p.Rest
}

func conditionHolds(c seccomp.Condition, pid uint32, args [6]uint64) bool {
	value, is := uint32(args[c.Arg]), false // #nosec G115 -- the low half
	if c.Mask != 0 {
		value &= c.Mask
	}
	for _, v := range c.Values {
		if v == seccomp.Self {
			v = pid
		}
		is = is || v == value
	}
	if c.Wide && args[c.Arg]>>32 != 0 {
		is = false
	}
	return is != c.Not
}
