//go:build linux && (amd64 || arm64)

package native

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dropEverything gives up what the process would not need even if the filter had a hole. All of it is per thread, and
// this thread is the one that execs, which ends the others. The order matters: mounts need capabilities and are refused
// by Landlock, securebits and the bounding set need a capability, a change of the user clears the parent-death signal
// and the dumpable attribute.
func dropEverything(config stageConfig) error {
	// The loader's too: the kernel keeps it open over an exec of an ELF file. The socket is closed by hand.
	if unix.CloseRange(stageLoader, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) != nil { // a container that does not know the call
		if err := markDescriptors(stageLoader); err != nil {
			return fmt.Errorf("mark descriptors: %w", err)
		}
	}
	if config.Layers.has(unix.CLONE_NEWNS) {
		if err := emptyRoot(); err != nil {
			return fmt.Errorf("empty root: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if !config.Trial { // a trial has no loader that a rule could name
		if err := confineFiles(); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
	}
	if err := lockCapabilities(config.Drop || config.Layers.has(unix.CLONE_NEWUSER)); err != nil {
		return err
	}
	if config.Drop {
		if err := leaveRoot(); err != nil {
			return err
		}
	}
	if err := clearCapabilities(); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if config.Layers.Undumpable {
		// Until the exec, which takes it from the loader's file: that is not readable for this user.
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
			return fmt.Errorf("dumpable: %w", err)
		}
	}
	// Changing the user or capabilities cleared it, see prctl(2). A supervisor that is gone already shows on the socket.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("parent-death signal: %w", err)
	}
	return nil
}

// markDescriptors marks every descriptor from first up to be closed by an exec, one by one.
func markDescriptors(first int) error {
	names, err := readNames("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < first {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil && err != unix.EBADF { // the list's own
			return err
		}
	}
	return nil
}

// emptyRoot makes an empty, read-only directory the root and takes every other mount away. It mounts over a directory
// that every Linux has; what the gateway itself sees stays as it is.
func emptyRoot() error {
	const over = "/proc"
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	flags := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("none", over, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555"); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := unix.Chdir(over); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	// pivot_root(".", ".") stacks the old root on the new one, see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach: %w", err)
	}
	return unix.Chdir("/")
}

// Secure bits of capabilities(7), each with its lock: user 0 is nobody special, no ambient capabilities. The fix-up
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
func lockCapabilities(able bool) error {
	may := func(err error) bool { return err == nil || !able && err == unix.EPERM }
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, everySecureBitForScript, 0, 0, 0); !may(err) {
		return fmt.Errorf("secure bits: %w", err)
	}
	for c := uintptr(0); c < 64; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL {
			break // past the last one that this kernel knows
		}
		if !may(err) {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && err != unix.EINVAL {
		return fmt.Errorf("ambient capabilities: %w", err)
	}
	return nil
}

// leaveRoot becomes nobody. Raw calls: the wrappers would change every thread of the runtime, one signal each.
func leaveRoot() error {
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); e != 0 {
		return fmt.Errorf("drop groups: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, nobody, nobody, nobody); e != 0 {
		return fmt.Errorf("set group: %w", e)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); e != 0 {
		return fmt.Errorf("set user: %w", e)
	}
	return nil
}

// clearCapabilities empties this thread's sets and makes sure that they are empty.
func clearCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none, now [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return err
	}
	if _, _, e := unix.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&now[0])), 0); e != 0 {
		return e
	}
	if now != none {
		return errors.New("some are left")
	}
	return nil
}
