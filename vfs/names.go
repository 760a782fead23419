package vfs

import (
	"strings"
	"syscall"
)

// vacant finds a name that is to be made.
func (v *view) vacant(name string, f *found) error {
	if err := v.walk(name, followNever, f); err != nil {
		return err
	}
	if f.exists {
		return syscall.EEXIST
	}
	return nil
}

// Mkdir makes a directory, as mkdir(2).
func (s *Session) Mkdir(name string, perm uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.vacant(name, &f); err != nil {
		return err
	}
	dir, err := s.under(&f.parent)
	if err != nil {
		return err
	}
	if err := s.countAt(dir, f.name); err != nil {
		return err
	}
	s.put(dir, f.name, s.newNode(syscall.S_IFDIR|perm&0o1777))
	return nil
}

// Symlink makes a symbolic link with this text, as symlink(2).
func (s *Session) Symlink(target, name string) error {
	switch {
	case target == "":
		return syscall.ENOENT
	case len(target) > maxPath:
		return syscall.ENAMETOOLONG
	case strings.IndexByte(target, 0) >= 0:
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.vacant(name, &f); err != nil {
		return err
	}
	if f.trailing {
		return syscall.ENOENT
	}
	dir, err := s.under(&f.parent)
	if err != nil {
		return err
	}
	if err := s.fits(0, int64(len(target))); err != nil {
		return err
	}
	if err := s.countAt(dir, f.name); err != nil {
		return err
	}
	n := s.newNode(syscall.S_IFLNK | 0o777)
	n.target = strings.Clone(target)
	s.held.addText(len(target))
	s.put(dir, f.name, n)
	return nil
}

// Link gives a file another name, as link(2); follow is AT_SYMLINK_FOLLOW. A file of the target is copied up first.
// EXDEV from a mount.
func (s *Session) Link(oldname, newname string, follow bool) error {
	end := followSlash
	if follow {
		end = followLast
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var from, to found
	if err := s.find(oldname, end, &from); err != nil {
		return err
	}
	if err := s.vacant(newname, &to); err != nil {
		return err
	}
	switch {
	case to.trailing:
		return syscall.ENOENT
	case from.readOnly():
		return syscall.EXDEV
	case from.kind == syscall.S_IFDIR:
		return syscall.EPERM
	}
	if err := s.writable(oldname, end, false, &from); err != nil {
		return err
	}
	if from.kind == syscall.S_IFDIR {
		return syscall.EPERM
	}
	if err := s.vacant(newname, &to); err != nil { // copying gave up the lock, and may have made the directory's node
		return err
	}
	dir, err := s.under(&to.parent)
	if err != nil {
		return err
	}
	s.put(dir, to.name, from.node)
	return nil
}

// Unlink removes a file's name, as unlink(2).
func (s *Session) Unlink(name string) error {
	return s.drop(name, func(f *found) error {
		switch {
		case f.kind == syscall.S_IFDIR:
			return syscall.EISDIR
		case f.trailing:
			return syscall.ENOTDIR
		}
		return nil
	})
}

// drop removes a name that is there, where may has nothing against it.
func (s *Session) drop(name string, may func(*found) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.walk(name, followNever, &f); err != nil {
		return err
	}
	if !f.exists {
		return syscall.ENOENT
	}
	if err := may(&f); err != nil {
		return err
	}
	return s.remove(&f)
}

// Rmdir removes an empty directory, as rmdir(2). EBUSY for scratch directories, mounts and what is above them.
func (s *Session) Rmdir(name string) error {
	return s.drop(name, func(f *found) error {
		switch {
		case f.kind != syscall.S_IFDIR:
			return syscall.ENOTDIR
		case f.dot == ".":
			return syscall.EINVAL
		case f.dot == "..":
			return syscall.ENOTEMPTY
		case f.name == "" || f.node != nil && f.node.pinned:
			return syscall.EBUSY
		}
		return s.empty(f)
	})
}

// empty fails with ENOTEMPTY where the view shows something in a directory. What is hidden does not count: whoever
// removes the real directory later finds out.
func (v *view) empty(f *found) error {
	if f.readOnly() {
		return syscall.EROFS
	}
	entries, err := v.list(&f.spot)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return syscall.ENOTEMPTY
	}
	return nil
}

// remove takes a name out of the view. EROFS for what is a mount's.
func (v *view) remove(f *found) error {
	if f.node == nil && f.readOnly() {
		return syscall.EROFS
	}
	dir, err := v.under(&f.parent)
	if err != nil {
		return err
	}
	if f.node != nil {
		v.take(dir, f.name)
		return nil
	}
	origin, err := v.origin(f)
	if err != nil {
		return err
	}
	if err := v.count(1); err != nil {
		return err
	}
	links := 0
	if f.kind == syscall.S_IFDIR {
		links = -1
		v.moves++
	}
	dir.entries[strings.Clone(f.name)] = &entry{origin: origin}
	dir.changed(v.config.Now(), links)
	return nil
}

// origin is what the target holds under a name, without its content.
func (v *view) origin(f *found) (*Origin, error) {
	info, err := v.stat(f)
	if err != nil {
		return nil, err
	}
	o := &Origin{Info: info}
	if info.IsSymlink() {
		if o.Target, err = v.readlink(f); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Rename moves a file or a directory, as renameat2(2); of its flags only RENAME_NOREPLACE is taken. A directory of
// the target cannot be moved as a whole: EXDEV, upon which callers copy and remove.
func (s *Session) Rename(oldname, newname string, flags uint32) error {
	if flags&^uint32(renameNoReplace) != 0 {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var from, to found
	if err := s.renamed(oldname, newname, flags, &from, &to); err != nil {
		return err
	}
	if from.path == to.path || to.exists && to.node != nil && to.node == from.node {
		return nil // two names of one file: rename(2) leaves both
	}
	if from.node == nil {
		if err := s.writable(from.path, followNever, false, &from); err != nil {
			return err
		}
		// Copying may have given up the lock: look again.
		if err := s.renamed(oldname, newname, flags, &from, &to); err != nil {
			return err
		}
		if from.node == nil || from.path == to.path || from.node == to.node {
			return syscall.EAGAIN // somebody else was here
		}
	}
	source, err := s.under(&from.parent)
	if err != nil {
		return err
	}
	target, err := s.under(&to.parent)
	if err != nil {
		return err
	}
	if source.entries[from.name].origin != nil && s.nodes >= s.c.MaxNodes {
		return syscall.ENOSPC // what was the target's leaves something that hides it
	}
	n := from.node
	if len(to.path)+n.reach() > maxPath {
		return syscall.ENAMETOOLONG // the view keeps every path within PATH_MAX
	}
	if to.exists {
		if err := s.remove(&to); err != nil {
			return err
		}
	}
	if n.isDir() {
		s.nodes++ // take counts it out
		links := n.nlink
		s.put(target, to.name, n)
		s.take(source, from.name)
		n.nlink = links
		return nil
	}
	s.put(target, to.name, n)
	s.take(source, from.name)
	return nil
}

// renamed finds both ends of a renaming and checks them as rename(2) does.
func (v *view) renamed(oldname, newname string, flags uint32, from, to *found) error {
	if err := v.walk(oldname, followNever, from); err != nil {
		return err
	}
	if err := v.walk(newname, followNever, to); err != nil {
		return err
	}
	fromDir, toDir := from.kind == syscall.S_IFDIR, to.exists && to.kind == syscall.S_IFDIR
	switch {
	case from.dot != "" || to.dot != "" || from.exists && from.name == "" || to.exists && to.name == "":
		return syscall.EBUSY
	case !from.exists:
		return syscall.ENOENT
	case flags&renameNoReplace != 0 && to.exists:
		return syscall.EEXIST
	case !fromDir && (from.trailing || to.trailing):
		return syscall.ENOTDIR
	case from.readOnly() != to.parent.readOnly():
		return syscall.EXDEV
	case from.parent.readOnly() || to.parent.readOnly() || from.readOnly() || to.exists && to.readOnly():
		return syscall.EROFS
	case from.node != nil && from.node.pinned, to.exists && to.node != nil && to.node.pinned:
		return syscall.EBUSY
	case fromDir && strings.HasPrefix(to.path, from.path+"/"):
		return syscall.EINVAL
	case to.exists && strings.HasPrefix(from.path, to.path+"/"):
		return syscall.ENOTEMPTY
	case fromDir && to.exists && !toDir:
		return syscall.ENOTDIR
	case !fromDir && toDir:
		return syscall.EISDIR
	case from.path == to.path:
		return nil
	case fromDir && (from.node == nil || from.node.layer != nil):
		return syscall.EXDEV
	}
	if toDir {
		return v.empty(to)
	}
	return nil
}

// reach is the length of the longest path below a directory that the session made.
func (n *node) reach() int {
	longest := 0
	for name, e := range n.entries {
		if e.node != nil {
			longest = max(longest, 1+len(name)+e.node.reach())
		}
	}
	return longest
}
