package vfs

import (
	"sync"
	"syscall"
	"time"
)

// overlayFile is an open regular file that the overlay holds.
type overlayFile struct {
	s    *Session
	n    *node
	path string
	once sync.Once
}

// Private reports whether the content of an open file is the session's alone, also where it is a copy of the target's.
func Private(f File) bool {
	_, ok := f.(*overlayFile)
	return ok
}

func (f *overlayFile) Path() string { return f.path }

func (f *overlayFile) Info() (Info, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.n.info()
}

func (f *overlayFile) Chmod(mode uint32) error {
	return f.s.alter(f.n, func(now time.Time) error { return f.n.chmod(mode, now) })
}

func (f *overlayFile) Chown(uid, gid int) error {
	return f.s.alter(f.n, func(now time.Time) error { return f.n.chown(uid, gid, now) })
}

func (f *overlayFile) Utimes(atime, mtime time.Time) error {
	return f.s.alter(f.n, func(now time.Time) error { return f.n.utimes(atime, mtime, now) })
}

func (f *overlayFile) ReadDir() ([]Dirent, error) { return nil, syscall.ENOTDIR }

func (f *overlayFile) Descriptor(flags int) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.n.content == nil {
		return -1, syscall.EBADF
	}
	fd, err := f.n.content.descriptor(flags)
	return fd, errno(err)
}

func (f *overlayFile) Close() error {
	f.once.Do(func() { f.s.closeHandle(f.n) })
	return nil
}

func (s *Session) closeHandle(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.opens--; !s.closed {
		s.release(n)
	}
}

// alter changes a node's attributes through a handle.
func (s *Session) alter(n *node, change func(now time.Time) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return syscall.EIO
	case n.mount:
		return syscall.EROFS
	}
	return change(s.c.Now())
}

// sourceFile is an open file of the target or of a mount. It keeps no descriptor after it has handed out the first. It
// opens a second one by name, and only if the name still leads to the same file.
type sourceFile struct {
	s     *Session
	layer *layer
	path  string
	info  Info

	stream Stream // nil for most

	held *heldFile // until the first open, which is of the file that was judged; nil where it goes by name

	mu sync.Mutex
	fd int
}

// Stream implements Streamed.
func (f *sourceFile) Stream() Stream { return f.stream }

// start opens the file for the first time.
func (f *sourceFile) start(flags int) (File, error) {
	if f.held != nil {
		held := f.held
		f.held = nil
		defer closeFD(held.fd)
		if l, ok := f.layer.source.(living); ok && flags&syscall.O_ACCMODE == syscall.O_RDONLY {
			stream, err := l.OpenLive(held.fd, f.layer.rel(f.path), f.info)
			if err != nil {
				return nil, errno(err)
			}
			if f.stream = stream; stream != nil {
				return f, nil
			}
		}
		fd, err := f.layer.holding.OpenHeld(held.fd, f.layer.rel(f.path), f.info, flags)
		if err != nil {
			return nil, errno(err)
		}
		f.fd = fd
		return f, nil
	}
	if s, ok := f.layer.source.(streaming); ok && flags&syscall.O_ACCMODE == syscall.O_RDONLY {
		fd, stream, err := s.OpenStream(f.layer.rel(f.path), flags)
		if err != nil {
			return nil, errno(err)
		}
		if f.stream = stream; stream == nil {
			f.fd = fd
		}
		return f, nil
	}
	fd, err := f.layer.source.Open(f.layer.rel(f.path), flags)
	if err != nil {
		return nil, errno(err)
	}
	f.fd = fd
	return f, nil
}

func (f *sourceFile) Path() string { return f.path }

// Info asks by name; a file that was replaced since is described as it was at the open.
func (f *sourceFile) Info() (Info, error) {
	now, err := f.s.Lstat(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && now.Dev == f.info.Dev && now.Ino == f.info.Ino {
		f.info = now
	}
	return f.info, nil
}

// same makes sure that a change by name is a change of this file.
func (f *sourceFile) same() error {
	now, err := f.s.Lstat(f.path)
	if err != nil {
		return err
	}
	if now.Dev != f.info.Dev || now.Ino != f.info.Ino {
		return syscall.ENOENT
	}
	return nil
}

func (f *sourceFile) Chmod(mode uint32) error {
	if err := f.same(); err != nil {
		return err
	}
	return f.s.Chmod(f.path, mode, false)
}

func (f *sourceFile) Chown(uid, gid int) error {
	if err := f.same(); err != nil {
		return err
	}
	return f.s.Chown(f.path, uid, gid, false)
}

func (f *sourceFile) Utimes(atime, mtime time.Time) error {
	if err := f.same(); err != nil {
		return err
	}
	return f.s.Utimes(f.path, atime, mtime, false)
}

func (f *sourceFile) ReadDir() ([]Dirent, error) { return nil, syscall.ENOTDIR }

func (f *sourceFile) Descriptor(flags int) (int, error) {
	f.mu.Lock()
	fd := f.fd
	f.fd = -1
	f.mu.Unlock()
	if fd >= 0 {
		return fd, nil
	}
	if f.info.Type() != syscall.S_IFCHR {
		if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
			return -1, syscall.EACCES
		}
		if err := f.same(); err != nil {
			return -1, err
		}
	}
	fd, err := f.layer.source.Open(f.layer.rel(f.path), flags)
	return fd, errno(err)
}

func (f *sourceFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		closeFD(f.fd)
		f.fd = -1
	}
	if f.stream != nil {
		return f.stream.Close()
	}
	return nil
}

// nameFile is an open directory, or a file opened with O_PATH.
type nameFile struct {
	s    *Session
	spot spot
	info Info
	once sync.Once

	// Where it was when the session had made this many moves. Guarded by the session's lock.
	place string
	moves uint64
}

func (f *nameFile) Path() string { return f.spot.path }

// Where implements Place. As long as no directory was renamed or removed, nothing is looked up.
func (f *nameFile) Where() (string, error) {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", syscall.EIO
	}
	if f.moves == s.moves {
		return f.place, nil
	}
	n := f.spot.node
	if n == nil {
		if _, _, err := f.now(); err != nil { // a directory of the target is never renamed
			return "", err
		}
		f.moves = s.moves
		return f.place, nil
	}
	var at found
	if s.find(f.place, followNever, &at) != nil || at.node != n {
		place, ok := s.placeOf(n)
		if !ok {
			return "", syscall.ENOENT
		}
		f.place = place
	}
	f.moves = s.moves
	return f.place, nil
}

// placeOf searches the overlay for a node's path; for one that has several, any of them. Called with the lock held.
func (v *view) placeOf(n *node) (string, bool) {
	if n.nlink == 0 {
		return "", false // removed
	}
	var search func(dir *node, name string) (string, bool)
	search = func(dir *node, name string) (string, bool) {
		for base, e := range dir.entries {
			if e.node == n {
				return join(name, base), true
			}
			if e.node != nil && e.node.isDir() {
				if place, ok := search(e.node, join(name, base)); ok {
					return place, true
				}
			}
		}
		return "", false
	}
	return search(v.root, "/")
}

// now is where the file is now: the overlay's node, or what the source still has under the name. Called with the lock
// held.
func (f *nameFile) now() (spot, Info, error) {
	if f.spot.node != nil {
		info, err := f.spot.node.info()
		return f.spot, info, err
	}
	var at found
	if err := f.s.find(f.spot.path, followNever, &at); err != nil {
		return spot{}, Info{}, err
	}
	info, err := f.s.stat(&at)
	if err != nil {
		return spot{}, Info{}, err
	}
	if at.path != f.spot.path || info.Dev != f.info.Dev || info.Ino != f.info.Ino {
		return spot{}, Info{}, syscall.ENOENT
	}
	return at.spot, info, nil
}

func (f *nameFile) Info() (Info, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	_, info, err := f.now()
	if err != nil {
		info = f.info
		info.Nlink = 0
	}
	return info, nil
}

func (f *nameFile) ReadDir() ([]Dirent, error) {
	if !f.info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.closed {
		return nil, syscall.EIO
	}
	up := f.info.Ino
	var parent found
	if f.s.find(join(f.spot.path, ".."), followLast, &parent) == nil {
		if info, err := f.s.stat(&parent); err == nil {
			up = info.Ino
		}
	}
	out := []Dirent{
		{Name: ".", Ino: f.info.Ino, Type: syscall.S_IFDIR},
		{Name: "..", Ino: up, Type: syscall.S_IFDIR},
	}
	at, info, err := f.now()
	if err != nil || at.node != nil && info.Nlink == 0 {
		return out, nil // removed: an open directory without a name has no entries
	}
	entries, err := f.s.list(&at)
	if err != nil {
		return nil, err
	}
	return append(out, entries...), nil
}

func (f *nameFile) Descriptor(int) (int, error) {
	if f.info.IsDir() {
		return -1, syscall.EISDIR
	}
	return -1, syscall.EBADF
}

func (f *nameFile) Chmod(mode uint32) error {
	return f.change(func() error { return f.s.Chmod(f.spot.path, mode, false) },
		func(n *node, now time.Time) error { return n.chmod(mode, now) })
}

func (f *nameFile) Chown(uid, gid int) error {
	return f.change(func() error { return f.s.Chown(f.spot.path, uid, gid, false) },
		func(n *node, now time.Time) error { return n.chown(uid, gid, now) })
}

func (f *nameFile) Utimes(atime, mtime time.Time) error {
	return f.change(func() error { return f.s.Utimes(f.spot.path, atime, mtime, false) },
		func(n *node, now time.Time) error { return n.utimes(atime, mtime, now) })
}

// change alters the overlay's node, or goes by name where the file was the source's when it was opened.
func (f *nameFile) change(byName func() error, byNode func(*node, time.Time) error) error {
	if n := f.spot.node; n != nil {
		return f.s.alter(n, func(now time.Time) error { return byNode(n, now) })
	}
	f.s.mu.Lock()
	_, _, err := f.now()
	f.s.mu.Unlock()
	if err != nil {
		return err
	}
	return byName()
}

func (f *nameFile) Close() error {
	f.once.Do(func() {
		if f.spot.node != nil {
			f.s.closeHandle(f.spot.node)
		}
	})
	return nil
}
