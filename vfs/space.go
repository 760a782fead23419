package vfs

import "syscall"

// Space is what statfs(2) says of a file system. Sizes are in blocks as large as it says, in bytes.
type Space struct {
	Type, Flags             int64
	BlockSize, FragmentSize int64
	Blocks, Free, Available uint64
	Files, FreeFiles        uint64
	MaxName                 int64
}

// spacious is a source that knows how large the file systems of its files are.
type spacious interface {
	// Space describes the file system that a file is on. EOPNOTSUPP where that is not known.
	Space(name string) (Space, error)
}

// Space describes the file system of the target that a file of the view is on, or would be on once it is written there. ok is
// false for what is the session's own, such as scratch, and where the source does not know.
func (s *Session) Space(name string) (space Space, ok bool, err error) {
	source, at, err := s.place(name)
	if source == nil || err != nil {
		return Space{}, false, err
	}
	space, err = source.Space(at) // which may take long, and so has no lock
	if err = errno(err); err == syscall.EOPNOTSUPP {
		return Space{}, false, nil
	}
	return space, err == nil, err
}

// place is the source that knows about the file system of a file, and the file's name there; nil for none.
func (s *Session) place(name string) (source spacious, at string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var f found
	if err := s.find(name, followLast, &f); err != nil {
		return nil, "", err
	}
	here := f.spot
	for up := s.walker.stack; ; up = up[:len(up)-1] {
		switch {
		case here.readOnly() || here.node != nil && here.node.scratch:
			return nil, "", nil
		case here.layer != nil:
			source, _ = here.layer.source.(spacious)
			return source, here.layer.rel(here.path), nil
		case len(up) == 0:
			return nil, "", nil
		}
		here = up[len(up)-1] // what the session made is where its directory is
	}
}
