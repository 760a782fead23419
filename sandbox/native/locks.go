//go:build linux && (amd64 || arm64)

package native

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// Locks are between the interpreters of a session, and concern the files that are the session's own: what a script has open
// of the target is the host's file, and a lock on it would hold up the host's programs. There locks are pretended.
//
// Locks of flock(2), and those of an open file description (F_OFD_SETLK), belong to the description, which a copy of the
// descriptor shares: they are taken here for the script, and end with the last descriptor. Locks of fcntl(2) belong to the
// process that takes them, and so are kept in a table. The kernel drops these when the process closes any descriptor of the
// file, which nobody tells; here they last as long as it has one.

// lockWait is how long a call that waits for a lock goes without EINTR, upon which CPython asks again.
const lockWait = 5 * time.Millisecond

// maxLocks bounds the table of a process tree.
const maxLocks = 1024

// lockTable is the fcntl(2) locks of a process tree by file. It is guarded by the process tree's turn.
type lockTable struct {
	held         map[inode][]lock
	count        int
	descriptions descriptionLocks
}

// A lock is one interpreter's on some bytes of a file, the last of them included.
type lock struct {
	owner       *supervisor.Process
	first, last int64
	exclusive   bool
}

func (l lock) conflicts(other lock) bool {
	return l.owner != other.owner && l.first <= other.last && other.first <= l.last && (l.exclusive || other.exclusive)
}

// opposing returns a lock that keeps want from being taken. Owners that have ended, or have closed the file, have none: they
// are forgotten where they are in the way.
func (t *lockTable) opposing(file inode, want lock) (lock, bool) {
	for {
		at := slices.IndexFunc(t.held[file], want.conflicts)
		if at < 0 {
			return lock{}, false
		}
		l := t.held[file][at]
		if opened(l.owner)[file] {
			return l, true
		}
		t.forget(l.owner, file)
	}
}

// forget drops all that an interpreter has on a file.
func (t *lockTable) forget(owner *supervisor.Process, file inode) {
	_ = t.replace(file, lock{owner: owner, last: math.MaxInt64}, false)
}

// replace takes what the owner of a lock has on its bytes away, and puts the lock there where put says so. ENOLCK where
// the table has no room for what there is then.
func (t *lockTable) replace(file inode, l lock, put bool) error {
	var now []lock
	for _, old := range t.held[file] {
		if old.owner != l.owner || old.last < l.first || l.last < old.first {
			now = append(now, old)
			continue
		}
		if old.first < l.first {
			now = append(now, lock{old.owner, old.first, l.first - 1, old.exclusive})
		}
		if l.last < old.last {
			now = append(now, lock{old.owner, l.last + 1, old.last, old.exclusive})
		}
	}
	if put {
		now = append(now, l)
	}
	more := len(now) - len(t.held[file])
	if more > 0 && t.count+more > maxLocks {
		return unix.ENOLCK
	}
	t.count += more
	if len(now) == 0 {
		delete(t.held, file)
		return nil
	}
	if t.held == nil {
		t.held = map[inode][]lock{}
	}
	t.held[file] = now
	return nil
}

// clean forgets what owners have left behind.
func (t *lockTable) clean() {
	open := map[*supervisor.Process]map[inode]bool{}
	for file, locks := range t.held {
		for _, l := range locks {
			if open[l.owner] == nil {
				open[l.owner] = opened(l.owner)
			}
			if !open[l.owner][file] {
				t.forget(l.owner, file)
			}
		}
	}
}

// opened are the files that an interpreter has descriptors of.
func opened(owner *supervisor.Process) map[inode]bool {
	files := map[inode]bool{}
	if !owner.Exited() {
		_ = procfs.EachOpen(owner.PID, func(st *unix.Stat_t) { files[inodeOf(st)] = true })
	}
	return files
}

// struct flock of fcntl(2).
const (
	flockSize  = 32
	flockStart = 8
	flockLen   = 16
	flockPID   = 24
)

// lock answers the commands of fcntl(2) about locks.
func (c *lockCalls) lock(n *seccomp.Notification) answer {
	own, h, e := c.handles.openUsable(int32(n.Args[0]))
	if e != 0 {
		return failed(e)
	}
	defer func() { _ = unix.Close(own) }()
	var b [flockSize]byte
	if e := c.proc.Read(n, n.Args[2], b[:]); e != 0 {
		return failed(e)
	}
	want := lock{owner: c.proc}
	kind := int16(binary.NativeEndian.Uint16(b[:])) // #nosec G115 -- as the kernel has it
	if want.first, want.last, e = lockedRange(own, b[:], h.st.Size); e != 0 {
		return failed(e)
	}
	flags, err := unix.FcntlInt(uintptr(own), unix.F_GETFL, 0)
	if err != nil {
		return failed(vfs.ErrnoOf(err))
	}
	access, asks := flags&unix.O_ACCMODE, false
	switch int32(n.Args[1]) {
	case unix.F_GETLK, unix.F_OFD_GETLK:
		asks = true
	}
	switch {
	case kind == unix.F_WRLCK && access == unix.O_RDONLY && !asks, kind == unix.F_RDLCK && access == unix.O_WRONLY && !asks:
		return failed(unix.EBADF)
	case kind != unix.F_RDLCK && kind != unix.F_WRLCK && (kind != unix.F_UNLCK || asks):
		return failed(unix.EINVAL)
	}
	want.exclusive = kind == unix.F_WRLCK
	private := h.file != nil && vfs.Private(h.file)
	switch cmd := int32(n.Args[1]); {
	case asks:
		return c.tell(n, inodeOf(&h.st), want, private && cmd == unix.F_GETLK)
	case !private:
		return answer{}
	case cmd == unix.F_OFD_SETLK || cmd == unix.F_OFD_SETLKW:
		all := kind == unix.F_UNLCK && want.first == 0 && want.last == math.MaxInt64
		if !all && !c.table.descriptions.room(c.caller, inodeOf(&h.st), 2) { // it may cut one in three
			return failed(unix.ENOLCK)
		}
		l := unix.Flock_t{Type: kind, Whence: unix.SEEK_SET, Start: want.first, Len: lengthOf(want)}
		return c.locked(n, unix.FcntlFlock(uintptr(own), unix.F_OFD_SETLK, &l), cmd == unix.F_OFD_SETLKW)
	default:
		return c.locked(n, c.table.set(inodeOf(&h.st), want, kind != unix.F_UNLCK), cmd == unix.F_SETLKW)
	}
}

// set takes a lock, or gives it up. EAGAIN where another interpreter's is in the way.
func (t *lockTable) set(file inode, l lock, take bool) error {
	if take {
		if _, ok := t.opposing(file, l); ok {
			return unix.EAGAIN
		}
	}
	err := t.replace(file, l, take)
	if err != nil {
		t.clean()
		err = t.replace(file, l, take)
	}
	return err
}

// locked answers with what became of a lock. A call that waits is answered EINTR after a while.
func (c *lockCalls) locked(n *seccomp.Notification, err error, waits bool) answer {
	if err == unix.EAGAIN && waits {
		return c.askAgain(n, func() {
			timer := time.NewTimer(lockWait)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-c.ctx.Done():
			}
		})
	}
	return outcome(err)
}

// tell answers F_GETLK: the first lock that is in the way, or that there is none.
func (c *lockCalls) tell(n *seccomp.Notification, file inode, want lock, looks bool) answer {
	var b [flockSize]byte
	l, opposed := lock{}, false
	if looks {
		l, opposed = c.table.opposing(file, want)
	}
	if !opposed { // the rest is left as it is
		binary.NativeEndian.PutUint16(b[:], unix.F_UNLCK)
		return failed(c.proc.Write(n, n.Args[2], b[:2]))
	}
	kind := uint16(unix.F_RDLCK)
	if l.exclusive {
		kind = unix.F_WRLCK
	}
	binary.NativeEndian.PutUint16(b[:], kind)
	binary.NativeEndian.PutUint64(b[flockStart:], uint64(l.first))
	binary.NativeEndian.PutUint64(b[flockLen:], uint64(lengthOf(l)))
	binary.NativeEndian.PutUint32(b[flockPID:], uint32(l.owner.PID))
	return failed(c.proc.Write(n, n.Args[2], b[:]))
}

// lengthOf is l_len of a lock: 0 for all that follows.
func lengthOf(l lock) int64 {
	if l.last == math.MaxInt64 {
		return 0
	}
	return l.last - l.first + 1
}

// lockedRange reads the bytes that a struct flock names, as the kernel's flock_to_posix_lock does.
func lockedRange(own int, b []byte, size int64) (first, last int64, e unix.Errno) {
	start := int64(binary.NativeEndian.Uint64(b[flockStart:])) // #nosec G115 -- an off_t
	length := int64(binary.NativeEndian.Uint64(b[flockLen:]))  // #nosec G115 -- as the kernel reads it
	var base int64
	switch int16(binary.NativeEndian.Uint16(b[2:])) { // #nosec G115 -- as the kernel reads it
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		at, err := unix.Seek(own, 0, unix.SEEK_CUR)
		if err != nil {
			return 0, 0, vfs.ErrnoOf(err)
		}
		base = at
	case unix.SEEK_END:
		base = size
	default:
		return 0, 0, unix.EINVAL
	}
	if start > math.MaxInt64-base {
		return 0, 0, unix.EOVERFLOW
	}
	if first = base + start; first < 0 {
		return 0, 0, unix.EINVAL
	}
	switch {
	case length == 0:
		return first, math.MaxInt64, 0
	case length > 0 && length-1 > math.MaxInt64-first:
		return 0, 0, unix.EOVERFLOW
	case length > 0:
		return first, first + length - 1, 0
	case first+length < 0:
		return 0, 0, unix.EINVAL
	}
	return first + length, first - 1, 0
}

// flock answers flock(2).
func (c *lockCalls) flock(n *seccomp.Notification) answer {
	operation := int32(n.Args[1])
	switch operation &^ unix.LOCK_NB {
	case unix.LOCK_SH, unix.LOCK_EX, unix.LOCK_UN:
	default:
		return failed(unix.EINVAL)
	}
	own, h, e := c.handles.openUsable(int32(n.Args[0]))
	if e != 0 {
		return failed(e)
	}
	defer func() { _ = unix.Close(own) }()
	if h.file == nil || !vfs.Private(h.file) {
		return answer{}
	}
	if operation&^unix.LOCK_NB != unix.LOCK_UN && !c.table.descriptions.room(c.caller, inodeOf(&h.st), 1) {
		return failed(unix.ENOLCK)
	}
	return c.locked(n, unix.Flock(own, int(operation)|unix.LOCK_NB), operation&unix.LOCK_NB == 0)
}
