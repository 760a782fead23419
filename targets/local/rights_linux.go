package local

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// as runs f on a thread that has the account's rights over files: user, group, supplementary groups, and none of the
// capabilities by which root passes over permissions. The kernel then decides on every open, rename, chmod and chown
// as it would for the account's own programs. The thread ends with f; nothing else ever runs on it.
//
// setfsuid(2) is meant for exactly this, file servers that act for others: unlike a change of the effective user it
// gives the account no right to signal or trace the thread. Its alternative, a process of its own for each change,
// would need a protocol for file contents and be no stricter.
func (l *Local) as(f func() error) error {
	if !l.switchU {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is thrown away with its rights
		if err := l.becomeAccount(); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// becomeAccount changes the calling thread, which is locked. setfsuid and setfsgid report no error, so that what they
// did is asked for afterwards.
func (l *Local) becomeAccount() error {
	a := l.account
	groups := a.Groups
	var first unsafe.Pointer
	if len(groups) > 0 {
		first = unsafe.Pointer(&groups[0])
	}
	// The raw call: the library's would change every thread.
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(first), 0); e != 0 {
		return fmt.Errorf("take the groups of %s: %w", a.Name, e)
	}
	runtime.KeepAlive(groups)
	_, _ = unix.SetfsgidRetGid(int(a.GID))
	_, _ = unix.SetfsuidRetUid(int(a.UID))
	gid, _ := unix.SetfsgidRetGid(-1)
	uid, _ := unix.SetfsuidRetUid(-1)
	if uint32(uid) != a.UID || uint32(gid) != a.GID { // #nosec G115 -- ids as the kernel has them
		return fmt.Errorf("take the rights of %s over files: the kernel gave user %d and group %d", a.Name, uid, gid)
	}
	if a.UID == 0 {
		return nil
	}
	// setfsuid has taken the capabilities over files (capabilities(7)); the rest, such as that over trusted and security
	// attributes, go here.
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("look at the thread's capabilities: %w", err)
	}
	data[0].Effective, data[1].Effective = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("give up the thread's capabilities: %w", err)
	}
	if err := unix.Capget(&header, &data[0]); err != nil || data[0].Effective|data[1].Effective != 0 {
		return fmt.Errorf("take the rights of %s over files: the capabilities %#x %#x remain (%v)", a.Name, data[0].Effective, data[1].Effective, err)
	}
	return nil
}
