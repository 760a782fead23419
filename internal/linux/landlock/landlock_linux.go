// Package landlock takes file system and network rights away from the calling thread, and from what it execs, with the
// kernel's Landlock (landlock(7), Documentation/userspace-api/landlock.rst). It knows the kernel alone: which rights to
// leave is its callers' business. It must never give one back. Begin with Restrict.
package landlock

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights are what is left to the thread everywhere.
type Rights struct {
	Files   uint64 // of unix.LANDLOCK_ACCESS_FS_…
	Network uint64 // of unix.LANDLOCK_ACCESS_NET_…
}

// Rule grants rights on a file, or on everything below a directory.
type Rule struct {
	// FD is an open descriptor of it; O_PATH is enough.
	FD     int
	Rights uint64 // of unix.LANDLOCK_ACCESS_FS_…
}

// ABI returns the version that the kernel has, 0 where it has none or Landlock is switched off.
func ABI() int {
	v, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(v)
}

// everything has each right that a version of the kernel knows.
func everything(abi int) unix.LandlockRulesetAttr {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: 1<<13 - 1} // version 1: EXECUTE to MAKE_SYM
	if abi >= 2 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 5 {
		attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// Ruleset makes a descriptor of what Restrict would do, close-on-exec, for a process that enters it by
// landlock_restrict_self(2). It is -1 where the kernel has no Landlock.
func Ruleset(keep Rights, rules ...Rule) (int, error) {
	abi := ABI()
	if abi < 1 {
		return -1, nil
	}
	attr := everything(abi)
	attr.Handled_access_fs &^= keep.Files
	attr.Handled_access_net &^= keep.Network
	ruleset, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if e != 0 {
		return -1, fmt.Errorf("create ruleset: %w", e)
	}
	for _, r := range rules {
		rule := unix.LandlockPathBeneathAttr{Allowed_access: r.Rights & attr.Handled_access_fs, Parent_fd: int32(r.FD)}
		if _, _, e := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); e != 0 {
			_ = unix.Close(int(ruleset))
			return -1, fmt.Errorf("add rule: %w", e)
		}
	}
	return int(ruleset), nil
}

// Restrict takes every right that the kernel's Landlock knows from this thread, but for keep on all files and for the
// rules. It needs no new privileges to be set (PR_SET_NO_NEW_PRIVS), and makes only raw calls. Where the kernel has no
// Landlock it does nothing.
func Restrict(keep Rights, rules ...Rule) error {
	ruleset, err := Ruleset(keep, rules...)
	if err != nil || ruleset < 0 {
		return err
	}
	defer func() { _ = unix.Close(ruleset) }()
	if _, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); e != 0 {
		return fmt.Errorf("restrict: %w", e)
	}
	return nil
}
