package vfs

import (
	"syscall"
)

// Open opens or makes a file, as open(2) with these flags: O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC,
// O_APPEND, O_DIRECTORY, O_NOFOLLOW and O_PATH; others mean nothing here. perm is what the umask left. A file of the
// target is copied up by the first open for writing: who opened it for reading before keeps reading the target's.
func (s *Session) Open(name string, flags int, perm uint32) (File, error) {
	if flags&oPath != 0 {
		flags &= oPath | syscall.O_DIRECTORY | syscall.O_NOFOLLOW
	}
	if flags&syscall.O_ACCMODE == syscall.O_ACCMODE {
		return nil, syscall.EINVAL
	}
	if flags&(syscall.O_CREAT|syscall.O_DIRECTORY) == syscall.O_CREAT|syscall.O_DIRECTORY {
		return nil, syscall.EINVAL // as Linux from 6.4 on
	}
	for try := 0; ; try++ {
		var f found
		s.mu.Lock()
		file, source, err := s.open(name, flags, perm, &f)
		s.mu.Unlock()
		f.let() // what is opened has taken it
		if source != nil {
			file, err = source.start(flags)
			if err == syscall.ELOOP && try < retries {
				continue // the source met a link where the walk saw none: walk again, and through the link
			}
		}
		if err != nil {
			return nil, err
		}
		if source != nil {
			s.c.opened(source.layer, source.path)
		}
		return file, nil
	}
}

// opened tells that the content of a source's file is shown.
func (c *Config) opened(l *layer, name string) {
	if l.base && c.Opened != nil {
		c.Opened(name)
	}
}

// open returns a file of the overlay, or one of a source, which is yet to be opened without the lock.
func (s *Session) open(name string, flags int, perm uint32, f *found) (File, *sourceFile, error) {
	end := followLast
	switch {
	case flags&syscall.O_CREAT != 0 && flags&(syscall.O_EXCL|syscall.O_NOFOLLOW) != 0:
		end = createHere
	case flags&syscall.O_CREAT != 0:
		end = createLast
	case flags&syscall.O_NOFOLLOW != 0:
		end = followSlash
	}
	s.walker.hold = flags&(oPath|syscall.O_ACCMODE|syscall.O_TRUNC) == 0 // else nothing of the source is opened
	err := s.walk(name, end, f)
	s.walker.hold = false
	if err != nil {
		return nil, nil, err
	}
	if f.exists {
		return s.openExisting(name, end, flags, f)
	}
	if flags&syscall.O_CREAT == 0 {
		return nil, nil, syscall.ENOENT
	}
	n, err := s.create(f, syscall.S_IFREG|perm&0o7777)
	if err != nil {
		return nil, nil, err
	}
	return newOverlayFile(s, n, f.path), nil, nil
}

func (s *Session) openExisting(name string, end ending, flags int, f *found) (File, *sourceFile, error) {
	writing := flags&syscall.O_ACCMODE != syscall.O_RDONLY || flags&syscall.O_TRUNC != 0
	isDir := f.kind == syscall.S_IFDIR
	switch {
	case flags&(syscall.O_CREAT|syscall.O_EXCL) == syscall.O_CREAT|syscall.O_EXCL:
		return nil, nil, syscall.EEXIST
	case (f.trailing || flags&syscall.O_DIRECTORY != 0) && !isDir:
		return nil, nil, syscall.ENOTDIR
	case f.kind == syscall.S_IFLNK && flags&oPath == 0:
		return nil, nil, syscall.ELOOP
	case isDir && (writing || flags&syscall.O_CREAT != 0):
		return nil, nil, syscall.EISDIR
	case isDir && flags&oPath == 0:
		if err := f.mayList(); err != nil {
			return nil, nil, err
		}
		return newNameFile(s, f)
	case flags&oPath != 0 || f.kind == syscall.S_IFLNK:
		return newNameFile(s, f)
	}
	if f.kind == syscall.S_IFREG && writing {
		return s.openWriting(name, end, flags, f)
	}
	if f.node != nil {
		return newOverlayFile(s, f.node, f.path), nil, nil
	}
	if writing && f.kind != syscall.S_IFCHR || writing && f.layer.base {
		return nil, nil, syscall.EACCES
	}
	info, err := s.stat(f)
	if err != nil {
		return nil, nil, err
	}
	held := f.held
	f.held = nil
	return nil, &sourceFile{s: s, layer: f.layer, path: f.path, info: info, fd: -1, held: held}, nil
}

// mayList reports whether a directory may be opened to be listed.
func (f *found) mayList() error {
	if f.held != nil {
		return errno(f.layer.holding.MayList(f.held.fd, f.layer.rel(f.path)))
	}
	return f.may(wantRead)
}

func (s *Session) openWriting(name string, end ending, flags int, f *found) (File, *sourceFile, error) {
	truncate := flags&syscall.O_TRUNC != 0
	if err := s.writable(name, end, truncate, f); err != nil {
		return nil, nil, err
	}
	if f.kind != syscall.S_IFREG {
		return nil, nil, syscall.EAGAIN // another file took the name
	}
	if truncate {
		if err := s.resize(f.node, 0); err != nil {
			return nil, nil, err
		}
	} else if err := s.fits(0, 0); err != nil {
		return nil, nil, err
	}
	return newOverlayFile(s, f.node, f.path), nil, nil
}

// newNameFile opens a directory, or a file for its name only. Called with the lock held.
func newNameFile(s *Session, f *found) (File, *sourceFile, error) {
	info, err := s.stat(f)
	if err != nil {
		return nil, nil, err
	}
	if f.node != nil {
		f.node.opens++
	}
	return &nameFile{s: s, spot: f.spot, info: info, place: f.path, moves: s.moves}, nil, nil
}

// newOverlayFile opens a regular file of the overlay. Called with the lock held.
func newOverlayFile(s *Session, n *node, name string) File {
	n.opens++
	return &overlayFile{s: s, n: n, path: name}
}

// create makes a regular file where walk found nothing.
func (v *view) create(f *found, mode uint32) (*node, error) {
	dir, err := v.under(&f.parent)
	if err != nil {
		return nil, err
	}
	if err := v.fits(0, 0); err != nil {
		return nil, err
	}
	if err := v.countAt(dir, f.name); err != nil {
		return nil, err
	}
	c, err := newContent()
	if err == nil {
		err = v.held.add(c)
	}
	if err != nil {
		v.nodes--
		return nil, errno(err)
	}
	n := v.newNode(mode)
	n.content = c
	_ = c.setTimes(n.atime, n.mtime)
	v.put(dir, f.name, n)
	return n, nil
}

// resize sets a file's size within the limits.
func (o *overlay) resize(n *node, size int64) error {
	var info Info
	if err := n.content.stat(&info); err != nil {
		return errno(err)
	}
	if err := o.fits(size, max(0, size-info.Size)); err != nil {
		return err
	}
	return errno(n.content.truncate(size))
}
