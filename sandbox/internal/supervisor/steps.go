//go:build linux && (amd64 || arm64)

package supervisor

import (
	"fmt"
	"shannot-gateway/internal/linux/procfs"
	"strconv"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A step is one system call of a first stage. It is prepared in the gateway, since the stage itself can neither allocate
// memory nor grow its stack.
type step struct {
	what  string // for the error
	call  uintptr
	args  [6]uintptr
	moot  [2]unix.Errno // errors that are no failure; 0 for none
	whole uintptr       // the result that alone is success, where not 0
	// empty is what the call fills in and must leave empty.
	empty *[2]unix.CapUserData
}

// steps is what a first stage does, in order.
type steps struct {
	list []step
	kept []any // what the arguments point to
}

func (s *steps) add(what string, call uintptr, args ...uintptr) *step {
	next := step{what: what, call: call}
	copy(next.args[:], args)
	s.list = append(s.list, next)
	return &s.list[len(s.list)-1]
}

// at is the address of an argument, which stays where it is as long as the steps are known.
func at[T any](s *steps, v *T) uintptr {
	s.kept = append(s.kept, v)
	return uintptr(unsafe.Pointer(v))
}

// text is the address of a text with its NUL. The text itself has none.
func (s *steps) text(t string) uintptr {
	b := append([]byte(t), 0)
	return at(s, &b[0])
}

// run makes the call.
//
//go:norace
//go:nosplit
func (s *step) run() unix.Errno {
	n, _, e := unix.RawSyscall6(s.call, s.args[0], s.args[1], s.args[2], s.args[3], s.args[4], s.args[5])
	switch {
	case e != 0 && (e == s.moot[0] || e == s.moot[1]):
		return 0
	case e != 0:
		return e
	case s.whole != 0 && n != s.whole:
		return unix.EPIPE
	case s.empty != nil:
		for i := range s.empty {
			if d := &s.empty[i]; d.Effective|d.Permitted|d.Inheritable != 0 {
				return unix.EPERM
			}
		}
	}
	return 0
}

// drop adds what gives up everything that the process would not need even if the filter had a hole. All of it is per
// thread. The order matters: mounts need capabilities and are refused by Landlock, securebits and the bounding set need
// a capability, a change of the user clears the parent-death signal and the dumpable attribute. ruleset is Landlock's,
// or -1.
func (s *steps) drop(config Config, ruleset int) {
	if config.Layers.Has(unix.CLONE_NEWNS) {
		s.emptyRoot()
	}
	s.add("no new privileges", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
	if ruleset >= 0 {
		s.add("landlock", unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0)
	}
	s.lockCapabilities(config.Drop || config.Layers.Has(unix.CLONE_NEWUSER))
	if config.Drop {
		s.leaveRoot()
	}
	s.clearCapabilities()
	switch {
	case config.Probe && config.Layers.Undumpable:
		s.add("dumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0)
	case !config.Probe && config.Layers.Has(unix.CLONE_NEWUSER):
		// The memory is still the gateway's, whose owner the kernel takes to be the namespace that the gateway runs in. A
		// gateway without rights there could not take the listener out of an undumpable process. Nobody else comes closer:
		// looking into this one takes CAP_SYS_PTRACE in its user namespace, which its creator has, and another sandbox has
		// not. From the exec on the loader's file makes it undumpable: that is not readable for this user.
		s.add("dumpable", unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1)
	}
	// Changing the user or capabilities cleared it, see prctl(2). A supervisor that is gone already shows on the socket.
	s.add("parent-death signal", unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL))
}

// emptyRoot makes an empty, read-only directory the root and takes every other mount away. It mounts over a directory
// that every Linux has; what the gateway itself sees stays as it is.
func (s *steps) emptyRoot() {
	const over = "/proc"
	none := s.text("none")
	s.add("keep mounts private", unix.SYS_MOUNT, none, s.text("/"), s.text(""), unix.MS_REC|unix.MS_PRIVATE, s.text(""))
	s.add("mount an empty root", unix.SYS_MOUNT, none, s.text(over), s.text("tmpfs"),
		unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, s.text("size=4k,nr_inodes=2,mode=0555"))
	s.add("enter the empty root", unix.SYS_CHDIR, s.text(over))
	// pivot_root(".", ".") stacks the old root on the new one, see pivot_root(2).
	here := s.text(".")
	s.add("pivot to the empty root", unix.SYS_PIVOT_ROOT, here, here)
	s.add("detach the old root", unix.SYS_UMOUNT2, here, unix.MNT_DETACH)
	s.add("stand in the empty root", unix.SYS_CHDIR, s.text("/"))
}

// Secure bits of capabilities(7), each with its lock: user 0 is Nobody special, no ambient capabilities. The fix-up
// on a change of the user stays on, which is what drops capabilities then.
const (
	secbitNoRoot            = 1 << 0
	secbitNoRootLocked      = 1 << 1
	secbitNoFixupLocked     = 1 << 3
	secbitKeepCapsLocked    = 1 << 5
	secbitNoAmbient         = 1 << 6
	secbitNoAmbientLocked   = 1 << 7
	everySecureBitForScript = secbitNoRoot | secbitNoRootLocked | secbitNoFixupLocked | secbitKeepCapsLocked |
		secbitNoAmbient | secbitNoAmbientLocked
)

// lockCapabilities empties the bounding and ambient sets, so that no exec gives anything back. A process that has no
// capability to do so (an unprivileged gateway without a user namespace) has nothing that could come back either: no
// new privileges is set.
func (s *steps) lockCapabilities(able bool) {
	unable := unix.EPERM
	if able {
		unable = 0
	}
	s.add("secure bits", unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, everySecureBitForScript).moot = [2]unix.Errno{unable}
	for c := range capabilities() {
		s.add("drop a capability from the bounding set", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c).moot = [2]unix.Errno{unable}
	}
	s.add("ambient capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL).moot = [2]unix.Errno{unix.EINVAL}
}

// capabilities is how many this kernel knows.
var capabilities = sync.OnceValue(func() uintptr {
	for c := range uintptr(64) {
		if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == unix.EINVAL {
			return c
		}
	}
	return 64
})

// leaveRoot becomes Nobody.
func (s *steps) leaveRoot() {
	s.add("drop groups", unix.SYS_SETGROUPS, 0, 0)
	s.add("set group", unix.SYS_SETRESGID, Nobody, Nobody, Nobody)
	s.add("set user", unix.SYS_SETRESUID, Nobody, Nobody, Nobody)
}

// clearCapabilities empties this thread's sets and makes sure that they are empty.
func (s *steps) clearCapabilities() {
	header := at(s, &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3})
	var none, now [2]unix.CapUserData
	s.add("drop capabilities", unix.SYS_CAPSET, header, at(s, &none[0]))
	s.add("look whether capabilities are left", unix.SYS_CAPGET, header, at(s, &now[0])).empty = &now
}

// markDescriptors marks every descriptor from first up to be closed by an exec, one by one.
func markDescriptors(first int) error {
	names, err := procfs.Names("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil && err != unix.EBADF { // the list's own
			return fmt.Errorf("mark descriptor %d: %w", fd, err)
		}
	}
	return nil
}
