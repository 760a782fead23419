package vfs

import (
	"syscall"
	"time"
)

// Chmod sets permission bits in the view. EOPNOTSUPP for a link itself, as Linux has it.
func (s *Session) Chmod(name string, mode uint32, follow bool) error {
	return s.change(name, follow, func(n *node, now time.Time) error { return n.chmod(mode, now) })
}

// Chown sets owners in the view; -1 keeps one.
func (s *Session) Chown(name string, uid, gid int, follow bool) error {
	return s.change(name, follow, func(n *node, now time.Time) error { return n.chown(uid, gid, now) })
}

// Utimes sets the times of last access and of last change.
func (s *Session) Utimes(name string, atime, mtime time.Time, follow bool) error {
	return s.change(name, follow, func(n *node, now time.Time) error { return n.utimes(atime, mtime, now) })
}

// Truncate sets a file's size, in bytes. EFBIG and ENOSPC at the limits.
func (s *Session) Truncate(name string, size int64) error {
	if size < 0 {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(name, followLast, &f); err != nil {
		return err
	}
	switch f.kind {
	case syscall.S_IFREG:
	case syscall.S_IFDIR:
		return syscall.EISDIR
	default:
		return syscall.EINVAL
	}
	if err := s.writable(name, followLast, size == 0, &f); err != nil {
		return err
	}
	if f.kind != syscall.S_IFREG {
		return syscall.EINVAL
	}
	return s.resize(f.node, size)
}

func (s *Session) change(name string, follow bool, change func(*node, time.Time) error) error {
	end := followSlash
	if follow {
		end = followLast
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.writable(name, end, false, &f); err != nil {
		return err
	}
	return change(f.node, s.c.Now())
}

func (n *node) chmod(mode uint32, now time.Time) error {
	if n.kind() == syscall.S_IFLNK {
		return syscall.EOPNOTSUPP
	}
	n.mode = n.kind() | mode&0o7777
	n.ctime, n.chmodded = now, true
	return nil
}

func (n *node) chown(uid, gid int, now time.Time) error {
	if uid != -1 {
		n.uid = uint32(uid) // #nosec G115 -- a uid_t as it came from the script
	}
	if gid != -1 {
		n.gid = uint32(gid) // #nosec G115 -- an id of 32 bits
	}
	n.ctime, n.chowned = now, true
	return nil
}

func (n *node) utimes(atime, mtime, now time.Time) error {
	n.atime, n.mtime, n.ctime, n.touched = atime, mtime, now, true
	if n.content != nil {
		return errno(n.content.setTimes(atime, mtime))
	}
	return nil
}
