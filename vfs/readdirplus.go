package vfs

import (
	"strings"
	"syscall"
)

// bulk is a source that describes many files of a directory at once, as READDIRPLUS of NFS does (RFC 1813, section 3.3.17).
type bulk interface {
	// LstatAll calls each for every name that it can describe, with its place in names, as Lstat of it in the directory does.
	// Names are single components. EOPNOTSUPP where files of this directory are described one by one.
	LstatAll(dir string, names []string, each func(i int, info Info)) error
}

// List lists a directory, without "." and "..", as Open and ReadDir do. The path's links are followed. EOPNOTSUPP in a mount, whose
// source may have something else to say to who has the directory open.
func (s *Session) List(name string) ([]Dirent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	s.walker.hold = true
	err := s.find(name, followLast, &f)
	s.walker.hold = false
	defer f.let()
	switch {
	case err != nil:
		return nil, err
	case f.kind != syscall.S_IFDIR:
		return nil, syscall.ENOTDIR
	case f.readOnly():
		return nil, syscall.EOPNOTSUPP
	}
	if err := f.mayList(); err != nil {
		return nil, err
	}
	return s.list(&f.spot)
}

// LstatAll calls each for files of a directory with their places in names and what Lstat says of them; with follow, what Stat
// says. each is called with the session's lock held, and must not call the session. LstatAll leaves out what is not there, what is hidden, what the session has
// itself, and links where following those before them took long: a script that asks for it by its name
// gets the answer, or the error. EOPNOTSUPP where the directory's source describes files one by one.
func (s *Session) LstatAll(dir string, names []string, follow bool, each func(i int, info Info)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(dir, followLast, &f); err != nil {
		return err
	}
	if f.kind != syscall.S_IFDIR {
		return syscall.ENOTDIR
	}
	l := f.layer
	if l == nil || !l.base || f.node != nil && f.node.front != nil {
		return syscall.EOPNOTSUPP
	}
	source, ok := l.source.(bulk)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	visible := make([]string, 0, len(names))
	place := make([]int, 0, len(names))
	for i, name := range names {
		if validName(name) && len(f.path)+1+len(name) <= maxPath && f.scope.judge(name) != Hidden && (f.node == nil || f.node.entries[name] == nil) {
			visible, place = append(visible, name), append(place, i)
		}
	}
	var links []int
	err := source.LstatAll(l.rel(f.path), visible, func(i int, info Info) {
		info, err := l.told(info, nil)
		switch {
		case err != nil, !info.IsDir() && f.scope.judge(visible[i]) == Ancestor:
		case follow && info.IsSymlink():
			links = append(links, i)
		default:
			each(place[i], info)
		}
	})
	if err != nil {
		return errno(err)
	}
	at, steps := strings.Clone(f.path), 0
	for _, i := range links {
		if steps >= maxFollowing {
			break
		}
		if info, err := s.followed(join(at, visible[i])); err == nil {
			each(place[i], info)
		}
		steps += max(1, s.walker.steps)
	}
	return nil
}

// maxFollowing is how many components LstatAll looks at to follow links, apart from the last of them. The lock is held
// meanwhile, and a script can make each link lead through forty long paths.
const maxFollowing = 1 << 13

// followed is Stat, called with the lock held.
func (v *view) followed(name string) (Info, error) {
	var f found
	if err := v.find(name, followLast, &f); err != nil {
		return Info{}, err
	}
	return v.stat(&f)
}
