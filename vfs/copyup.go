package vfs

import (
	"crypto/sha256"
	"io"
	"strings"
	"syscall"
)

// under returns the overlay's node of a directory of the view. It makes one where there is none. EROFS within a mount.
// Called with the lock held.
func (v *view) under(dir *spot) (*node, error) {
	if dir.readOnly() {
		return nil, syscall.EROFS
	}
	if dir.node != nil {
		return dir.node, nil
	}
	n := v.root
	for at := 1; at < len(dir.path); {
		end := at + strings.IndexByte(dir.path[at:]+"/", '/')
		child, err := v.mergedChild(n, dir.path[at:end], dir.path[:end])
		if err != nil {
			return nil, err
		}
		n, at = child, end+1
	}
	dir.node = n
	return n, nil
}

// mergedChild is one step of under.
func (v *view) mergedChild(parent *node, name, full string) (*node, error) {
	if e := parent.entries[name]; e != nil {
		if e.node == nil || !e.node.isDir() {
			return nil, syscall.ENOENT
		}
		return e.node, nil
	}
	if parent.layer != v.base || v.base == nil {
		return nil, syscall.ENOENT
	}
	sc := parent.scope.enter(name)
	if sc.verdict == Hidden {
		return nil, syscall.ENOENT
	}
	info, err := v.base.lstat(full)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOENT
	}
	if err := v.count(1); err != nil {
		return nil, err
	}
	n := v.newNode(syscall.S_IFDIR)
	n.layer, n.scope = v.base, sc
	n.adopt(info)
	parent.entries[strings.Clone(name)] = &entry{node: n, origin: &Origin{Info: info}}
	return n, nil
}

// writable leads to a file that the overlay holds. It copies up from the target where need be: regular files with their
// content (or without it, to be truncated), links with their text, directories with their attributes. Called with the
// lock held. It gives the lock up while it reads a file, and walks f anew afterwards.
func (s *Session) writable(name string, end ending, empty bool, f *found) error {
	for range retries {
		if err := s.find(name, end, f); err != nil {
			return err
		}
		if f.node != nil {
			if f.node.mount {
				return syscall.EROFS
			}
			return nil
		}
		if f.readOnly() {
			return syscall.EROFS
		}
		switch f.kind {
		case syscall.S_IFDIR:
			_, err := s.under(&f.spot)
			return err
		case syscall.S_IFLNK:
			return s.copyLink(f)
		case syscall.S_IFREG:
			if done, err := s.copyFile(f, empty); done || err != nil {
				return err
			}
		default:
			return syscall.EPERM // a device, FIFO or socket of the target stays what it is
		}
	}
	return syscall.EAGAIN // the target's file changed each time it was read
}

// install places a copy under its name.
func (v *view) install(f *found, n *node, origin *Origin) error {
	dir, err := v.under(&f.parent)
	if err != nil {
		return err
	}
	if err := v.count(1); err != nil {
		return err
	}
	dir.entries[strings.Clone(f.name)] = &entry{node: n, origin: origin}
	f.node, f.layer, f.known = n, nil, false
	return nil
}

func (v *view) copyLink(f *found) error {
	info, err := v.stat(f)
	if err != nil {
		return err
	}
	target, err := v.readlink(f)
	if err != nil {
		return err
	}
	if err := v.fits(0, int64(len(target))); err != nil {
		return err
	}
	n := v.newNode(info.Mode)
	n.adopt(info)
	n.target, n.nlink = target, 1
	if err := v.install(f, n, &Origin{Info: info, Target: target}); err != nil {
		return err
	}
	v.held.addText(len(target))
	return nil
}

// copyFile copies a file up. It reads without the lock, and reports false where the file, or the view, changed meanwhile.
func (s *Session) copyFile(f *found, empty bool) (done bool, err error) {
	info, err := s.stat(f)
	if err != nil {
		return false, err
	}
	if !info.IsRegular() {
		return false, nil
	}
	if !empty {
		if err := s.fits(info.Size, 0); err != nil {
			return false, err
		}
	}
	name, l := f.path, f.layer
	s.mu.Unlock()
	c, origin, err := s.c.fetch(l, name, info, empty)
	if err == nil && !empty {
		s.c.opened(l, name) // it can be read there
	}
	s.mu.Lock()
	if err != nil {
		return false, err
	}
	var again found
	if s.find(name, followNever, &again) != nil || again.node != nil || again.path != name || again.layer != l {
		c.close()
		return false, nil
	}
	if now, err := s.stat(&again); err != nil || !sameFile(now, info) {
		c.close()
		return false, nil
	}
	if err := s.keep(&again, c, origin); err != nil {
		return false, err
	}
	*f = again
	return true, nil
}

// keep makes a fetched copy the view's file. The copy is consumed.
func (v *view) keep(f *found, c *content, origin *Origin) error {
	if err := v.fits(0, c.bytes()); err != nil {
		c.close()
		return err
	}
	if err := v.held.add(c); err != nil {
		return err
	}
	n := v.newNode(origin.Info.Mode)
	ino, dev := n.ino, n.dev
	n.adopt(origin.Info)
	if n.nlink > 1 {
		n.ino, n.dev = ino, dev // its other names stay the target's file, so this one is another
	}
	n.nlink, n.content, n.from = 1, c, strings.Clone(f.path)
	err := errno(c.setTimes(n.atime, n.mtime))
	if err == nil {
		err = v.install(f, n, origin)
	}
	if err != nil {
		v.held.drop(c)
	}
	return err
}

// sameFile reports whether two looks at a file of the target saw the same content, as far as stat(2) tells.
func sameFile(a, b Info) bool {
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Mode == b.Mode && a.Size == b.Size && a.Mtime.Equal(b.Mtime)
}

// mostHashed is how much of a file is read only to know what it held before it was truncated, in bytes.
const mostHashed = 64 << 20

// fetch reads a file of the target into a new content and says what it was. Called without the lock.
func (c *Config) fetch(l *layer, name string, info Info, empty bool) (*content, *Origin, error) {
	origin := &Origin{Info: info}
	copied, err := newContent()
	if err != nil {
		return nil, nil, errno(err)
	}
	if empty && info.Size > mostHashed {
		return copied, origin, nil
	}
	fd, err := l.source.Open(l.rel(name), syscall.O_RDONLY)
	if err != nil {
		copied.close()
		return nil, nil, errno(err)
	}
	defer closeFD(fd)
	limit := c.MaxFile
	if c.MaxBytes > 0 && (limit <= 0 || c.MaxBytes < limit) {
		limit = c.MaxBytes
	}
	if empty {
		limit = mostHashed
	}
	var in io.Reader = descriptorReader(fd)
	if limit > 0 {
		in = io.LimitReader(in, limit+1)
	}
	sum := sha256.New()
	var out io.Writer = sum
	if !empty {
		out = io.MultiWriter(sum, copied)
	}
	n, err := io.Copy(out, in)
	switch {
	case err != nil:
		copied.close()
		return nil, nil, errno(err)
	case limit > 0 && n > limit && !empty:
		copied.close()
		if c.MaxFile > 0 && n > c.MaxFile {
			return nil, nil, syscall.EFBIG
		}
		return nil, nil, syscall.ENOSPC
	case limit <= 0 || n <= limit:
		origin.Hashed = true
		sum.Sum(origin.SHA256[:0])
	}
	return copied, origin, nil
}
