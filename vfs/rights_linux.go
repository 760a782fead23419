package vfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights are those of an account of this host over its files: user, group and supplementary groups, and none of the
// capabilities by which root passes over permissions. The kernel decides with them on every call that names a file, as
// for the account's own programs: modes, access control lists, security modules, what a process may know of another one.
// The process must be root.
//
// Credentials are a thread's in Linux (credentials(7)). So a thread that has them makes the call: one of a few that do
// nothing else, or one that took them for good by Hold. Such a thread is never unlocked and ends with its goroutine, so
// that nobody gives rights back.
//
// The effective user and group change, not only those for files: the kernel asks for them where a file system is another
// user's alone (FUSE), and where a process is in a user namespace that root made. The real and saved user stay the
// gateway's. Otherwise the account could signal the thread, and with it the gateway: see kill(2).
type Rights struct {
	uid, gid uint32
	groups   []uint32
	work     chan *errand // taken by threads that wait for more
}

// NewRights returns the rights of an account. Its user must be another one than this process's.
func NewRights(uid, gid uint32, groups []uint32) *Rights {
	return &Rights{uid: uid, gid: gid, groups: slices.Clone(groups), work: make(chan *errand)}
}

// errand is a function that a thread with the rights calls.
type errand struct {
	do       func()
	err      error // the kernel did not give the rights: do was not called
	refused  func(error)
	panicked any
	done     chan struct{}
}

// spareThread is how long a thread waits for more to do before it ends.
const spareThread = time.Minute

// Do calls f with these rights and returns when it has. An error says that the kernel did not give them: f was not called.
// A panic in f is the caller's. nil are the process's own rights.
func (r *Rights) Do(f func()) error {
	if r == nil || r.held() {
		f()
		return nil
	}
	e := &errand{do: f, done: make(chan struct{})}
	r.send(e)
	<-e.done
	if e.panicked != nil {
		panic(e.panicked)
	}
	return e.err
}

// begin has f called with these rights, and returns. refused is called instead where the kernel does not give them.
func (r *Rights) begin(f func(), refused func(error)) {
	if r == nil {
		go f()
		return
	}
	r.send(&errand{do: f, refused: refused, done: make(chan struct{})})
}

// owns reports whether a file belongs to who reads.
func (r *Rights) owns(info Info) bool { return r == nil || r.uid == info.UID }

// send has an errand done by a thread that waits, or by a new one.
func (r *Rights) send(e *errand) {
	select {
	case r.work <- e:
	default:
		go r.serve(e)
	}
}

// serve makes the calling goroutine's thread one that does errands, the first one at once.
func (r *Rights) serve(e *errand) {
	runtime.LockOSThread()            // and never unlocked: the thread is thrown away with its rights
	if unix.Gettid() == os.Getpid() { // but the first one, which stands for the process, is never changed
		go r.serve(e)
		<-e.done
		runtime.UnlockOSThread()
		return
	}
	if err := r.become(0); err != nil {
		if e.err = err; e.refused != nil {
			e.refused(err)
		}
		close(e.done)
		return
	}
	idle := time.NewTimer(spareThread)
	defer idle.Stop()
	for {
		e.run()
		idle.Reset(spareThread)
		select {
		case e = <-r.work:
		case <-idle.C:
			return
		}
	}
}

func (e *errand) run() {
	defer close(e.done)
	defer func() { e.panicked = recover() }()
	e.do()
}

// kept are the capabilities that Hold leaves: over other processes, none over files. An engine's thread needs them for the
// interpreter that it looks after.
const kept = 1<<unix.CAP_SYS_PTRACE | 1<<unix.CAP_SYS_NICE | 1<<unix.CAP_KILL

// Hold gives the calling thread the rights for good. The thread must be locked to its goroutine and never be unlocked. It
// keeps the right to look into other processes, and puts it aside for calls about the files that tell of processes. What
// such a thread does for the process itself it does by Apart. The process's first thread, which stands for it in /proc,
// stays as it is, and so does any where r is nil: then calls are made as Do makes them.
func (r *Rights) Hold() error {
	if r == nil || unix.Gettid() == os.Getpid() {
		return nil
	}
	return r.become(kept)
}

// own is the process's user.
var own = uint32(os.Geteuid()) // #nosec G115 -- a uid_t

// effectiveUser is the calling thread's, as the kernel knows it.
func effectiveUser() uint32 {
	uid, _, _ := unix.RawSyscall(unix.SYS_GETEUID, 0, 0, 0)
	return uint32(uid) // #nosec G115 -- a uid_t
}

// held reports whether the calling thread has the rights. Only become gives a thread that user.
func (r *Rights) held() bool { return effectiveUser() == r.uid }

// Apart calls f with the process's own rights, also where the calling thread holds an account's, and returns when it has.
func Apart(f func()) {
	if effectiveUser() == own {
		f()
		return
	}
	e := &errand{do: f, done: make(chan struct{})}
	go e.run()
	<-e.done
	if e.panicked != nil {
		panic(e.panicked)
	}
}

// become changes the calling thread: all its ids but the real and the saved user. Of its capabilities it leaves these
// few. It makes the raw calls, since the library's would change every thread.
func (r *Rights) become(leave uint32) error {
	const same = ^uintptr(0)
	var first unsafe.Pointer
	if len(r.groups) > 0 {
		first = unsafe.Pointer(&r.groups[0])
	}
	_, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(r.groups)), uintptr(first), 0)
	if e == 0 {
		_, _, e = unix.RawSyscall(unix.SYS_SETRESGID, same, uintptr(r.gid), same)
	}
	if e == 0 { // takes the effective capabilities with it, see capabilities(7)
		_, _, e = unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(r.uid), same)
	}
	if e != 0 {
		return fmt.Errorf("take the rights of user %d: %w", r.uid, e)
	}
	if err := setCapabilities(leave, leave); err != nil {
		return fmt.Errorf("give up the capabilities of root: %w", err)
	}
	return r.check(leave)
}

// check asks the kernel what the thread has.
func (r *Rights) check(leave uint32) error {
	gid, _, _ := unix.RawSyscall(unix.SYS_GETEGID, 0, 0, 0)
	fsuid, _ := unix.SetfsuidRetUid(-1)
	fsgid, _ := unix.SetfsgidRetGid(-1)
	var ids [4]uint32
	for i, id := range []int{int(effectiveUser()), int(gid), fsuid, fsgid} { // #nosec G115 -- ids as the kernel has them
		ids[i] = uint32(id) // #nosec G115 -- 32 bits each
	}
	if ids != [4]uint32{r.uid, r.gid, r.uid, r.gid} {
		return fmt.Errorf("take the rights of user %d: the kernel gave %v", r.uid, ids)
	}
	_, effective, err := capabilities()
	if err != nil {
		return err
	}
	if effective&^uint64(leave) != 0 {
		return fmt.Errorf("take the rights of user %d: the capabilities %#x remain", r.uid, effective)
	}
	return nil
}

// untraced calls f while the calling thread has no right to look into other processes, which Hold has left it. Where the
// thread cannot have it back afterwards, the interpreter that it looks after cannot go on.
func untraced(f func()) error {
	permitted, effective, err := capabilities()
	if err != nil {
		return err
	}
	const right = 1 << unix.CAP_SYS_PTRACE
	if effective&right == 0 {
		f()
		return nil
	}
	if permitted>>32 != 0 || effective>>32 != 0 {
		return errors.New("the thread has more capabilities than it was left")
	}
	all := uint32(permitted)                                               // #nosec G115 -- looked at
	if err := setCapabilities(all, uint32(effective)&^right); err != nil { // #nosec G115 -- 32 bits each
		return err
	}
	f()
	return setCapabilities(all, uint32(effective)) // #nosec G115 -- 32 bits each
}

// capabilities are the calling thread's, permitted and effective, by their bits of capabilities(7).
func capabilities() (permitted, effective uint64, err error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, 0, fmt.Errorf("look at the thread's capabilities: %w", err)
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// setCapabilities leaves the calling thread these of the first 32, and none of the others. What it does not have it cannot get.
func setCapabilities(permitted, effective uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	permitted &= data[0].Permitted
	data[0] = unix.CapUserData{Permitted: permitted, Effective: effective & permitted}
	data[1] = unix.CapUserData{}
	return unix.Capset(&header, &data[0])
}
