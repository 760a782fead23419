package vfs

import (
	"strings"
	"syscall"
)

// smallReader is a source that reads small files without handing out a descriptor.
type smallReader interface {
	// ReadHeld reads the file that Hold returned with info, which it leaves held, where that is one of at most most bytes that
	// nobody can make it wait for. EFBIG beyond, EOPNOTSUPP for others.
	ReadHeld(held int, name string, info Info, most int) ([]byte, error)
}

// ReadSmall returns what a script that opened a file of the target for reading would find in it, and what the file is, where
// that is a regular file of at most most bytes. Like an open it counts as one, see Config.Opened. EOPNOTSUPP for what the session has made or changed, for what the engine adds,
// and where the source could have to wait: a script that opens such a file gets it.
func (a Ahead) ReadSmall(name string, most int) ([]byte, Info, error) {
	s := a.s
	var f found
	s.mu.Lock()
	s.walker.hold = true
	err := s.find(name, followLast, &f)
	s.walker.hold = false
	path, info := strings.Clone(f.path), f.info
	s.mu.Unlock()
	defer f.let()
	switch {
	case err != nil:
		return nil, Info{}, err
	case f.kind != syscall.S_IFREG || f.node != nil || f.held == nil || !f.layer.base:
		return nil, Info{}, syscall.EOPNOTSUPP
	case info.Size > int64(most):
		return nil, Info{}, syscall.EFBIG
	}
	source, ok := f.layer.source.(smallReader)
	if !ok {
		return nil, Info{}, syscall.EOPNOTSUPP
	}
	data, err := source.ReadHeld(f.held.fd, f.layer.rel(path), info, most)
	if err != nil {
		return nil, Info{}, errno(err)
	}
	s.c.opened(f.layer, path)
	return data, info, nil
}
