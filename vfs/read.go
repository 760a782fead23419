package vfs

import (
	"slices"
	"strings"
	"syscall"
)

// Stat describes the file that name leads to, as stat(2).
func (s *Session) Stat(name string) (Info, error) { return s.describe(name, followLast) }

// Lstat is Stat, of a link itself, as lstat(2).
func (s *Session) Lstat(name string) (Info, error) { return s.describe(name, followSlash) }

func (s *Session) describe(name string, end ending) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	s.walker.tells = true
	err := s.find(name, end, &f)
	s.walker.tells = false
	if err != nil {
		return Info{}, err
	}
	return s.stat(&f)
}

// find is walk to something that must exist.
func (v *view) find(name string, end ending, f *found) error {
	if err := v.walk(name, end, f); err != nil {
		return err
	}
	if !f.exists {
		return syscall.ENOENT
	}
	if f.trailing && f.kind != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	return nil
}

// Access modes of access(2).
const (
	wantExecute = 1
	wantWrite   = 2
	wantRead    = 4
)

// accessor is a source that knows whether a file can be opened or passed.
type accessor interface {
	// Access reports whether a file can be read (4) or executed (1), or a directory listed or passed, as access(2).
	Access(name string, mode uint32) error
}

// Access checks a file as access(2) does; mode is a sum of R_OK, W_OK and X_OK. Writing is granted wherever the
// overlay takes it, so EROFS is the only reason against it; reading, and passing a directory, where the source can.
func (s *Session) Access(name string, mode uint32) error {
	if mode&^uint32(wantRead|wantWrite|wantExecute) != 0 {
		return syscall.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(name, followLast, &f); err != nil {
		return err
	}
	if mode&wantWrite != 0 && f.readOnly() && f.kind != syscall.S_IFCHR {
		return syscall.EROFS
	}
	if mode&wantExecute != 0 && f.kind != syscall.S_IFDIR {
		info, err := s.stat(&f)
		if err != nil {
			return err
		}
		if info.Mode&0o111 == 0 {
			return syscall.EACCES
		}
	}
	return f.may(mode & (wantRead | wantExecute))
}

// may asks the source of a file whether it can be read or executed, listed or passed. What the session has made can.
func (sp *spot) may(mode uint32) error {
	a, ok := sp.source().(accessor)
	if !ok || mode == 0 || sp.node != nil && (!sp.node.isDir() || sp.node.chmodded || sp.node.layer == nil) {
		return nil
	}
	return errno(a.Access(sp.layer.rel(sp.path), mode))
}

// source is where a file's content is, nil where only the overlay has it.
func (sp *spot) source() Source {
	if sp.layer == nil {
		return nil
	}
	return sp.layer.source
}

// readOnly reports whether the place belongs to a mount.
func (sp *spot) readOnly() bool { return sp.layer != nil && !sp.layer.base }

// Readlink returns a link's text, as readlink(2). EINVAL where the file is no link.
func (s *Session) Readlink(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(name, followSlash, &f); err != nil {
		return "", err
	}
	if f.kind != syscall.S_IFLNK {
		return "", syscall.EINVAL
	}
	return s.readlink(&f)
}

// Canonical returns the path of an existing file with every link resolved.
func (s *Session) Canonical(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(name, followLast, &f); err != nil {
		return "", err
	}
	return strings.Clone(f.path), nil
}

// list merges what the overlay and the layer have in a directory, without "." and "..", ordered by name.
func (v *view) list(dir *spot) ([]Dirent, error) {
	var out []Dirent
	if dir.layer != nil {
		below, err := v.listLayer(dir)
		if err != nil {
			return nil, err
		}
		out = below
	}
	if dir.node != nil && dir.node.front != nil {
		front, err := v.listFront(dir.node)
		if err != nil {
			return nil, err
		}
		has := map[string]bool{}
		for _, d := range front {
			has[d.Name] = true
		}
		out = append(slices.DeleteFunc(out, func(d Dirent) bool { return has[d.Name] }), front...)
	}
	if dir.node != nil {
		for name, e := range dir.node.entries {
			if e.node != nil {
				out = append(out, Dirent{Name: name, Ino: e.node.ino, Type: e.node.kind()})
			}
		}
	}
	slices.SortFunc(out, func(a, b Dirent) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// listFront lists what stands in front of a union's directory.
func (v *view) listFront(n *node) ([]Dirent, error) {
	front, err := n.front.source.ReadDir("/")
	if err != nil {
		return nil, errno(err)
	}
	return slices.DeleteFunc(front, func(d Dirent) bool { return !validName(d.Name) || n.entries[d.Name] != nil }), nil
}

// listLayer lists what a layer has in a directory, as far as it is visible and the overlay does not replace it.
func (v *view) listLayer(dir *spot) ([]Dirent, error) {
	below, err := dir.layer.source.ReadDir(dir.layer.rel(dir.path))
	if err != nil {
		return nil, errno(err)
	}
	out := make([]Dirent, 0, len(below)+2)
	for _, d := range below {
		if !validName(d.Name) {
			continue // no name that a path could hold
		}
		if dir.node != nil && dir.node.entries[d.Name] != nil {
			continue
		}
		if dir.layer.base && dir.scope != everything {
			switch dir.scope.judge(d.Name) {
			case Hidden:
				if !v.isKnown(dir.scope, dir.path) {
					continue
				}
			case Visible:
			case Ancestor:
				if d.Type == 0 {
					if info, err := dir.layer.lstat(join(dir.path, d.Name)); err == nil {
						d.Type = info.Type()
					}
				}
				if d.Type != syscall.S_IFDIR {
					continue
				}
			}
		}
		out = append(out, d)
	}
	return out, nil
}

func validName(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) <= maxName && !strings.ContainsAny(name, "/\x00")
}
