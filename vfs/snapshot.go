package vfs

import (
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"sync"
	"syscall"
)

// Snapshot is a target's tree as it was before some of its files were changed. A script that runs again sees what it saw
// the first time, until it has come to the change itself.
type Snapshot struct {
	base Source

	mu    sync.RWMutex
	files map[string]*SnapshotFile // by path; nil for nothing
}

// SnapshotFile is what was at a path.
type SnapshotFile struct {
	Info   Info   // Ino and Dev are taken from what is there now, where something is
	Target string // of a link
	// Content opens what a regular file held. It is called with the process's own rights, whoever reads.
	Content func() (io.ReadCloser, error)
}

// NewSnapshot returns a view of base with files as they were. A nil SnapshotFile stands for nothing: the view has nothing
// below it either.
func NewSnapshot(base Source, files map[string]*SnapshotFile) *Snapshot {
	return &Snapshot{base: base, files: maps.Clone(files)}
}

// Reach says that a path is from now on what it is.
func (p *Snapshot) Reach(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.files, name)
}

// ReachAll says so of every path.
func (p *Snapshot) ReachAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.files)
}

// Rights are those by which the base is read.
func (p *Snapshot) Rights() *Rights { return rightsOf(p.base) }

// Forget passes on to a source that remembers.
func (p *Snapshot) Forget() {
	if f, ok := p.base.(Forgetter); ok {
		f.Forget()
	}
}

// Space is that of the target as it is now.
func (p *Snapshot) Space(name string) (Space, error) {
	if s, ok := p.base.(spacious); ok {
		return s.Space(name)
	}
	return Space{}, syscall.EOPNOTSUPP
}

// Ahead passes on what a walk is going to ask for.
func (p *Snapshot) Ahead(name string) {
	if d, ok := p.base.(distant); ok {
		d.Ahead(name)
	}
}

// OpenStream passes on where the name is the base's.
func (p *Snapshot) OpenStream(name string, flags int) (int, Stream, error) {
	if _, known, _ := p.was(name); !known {
		if s, ok := p.base.(streaming); ok {
			return s.OpenStream(name, flags)
		}
	}
	fd, err := p.Open(name, flags)
	return fd, nil, err
}

// was looks a name up. known is false where the name is the base's.
func (p *Snapshot) was(name string) (f *SnapshotFile, known bool, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.files) == 0 {
		return nil, false, nil
	}
	for up := name; ; up = path.Dir(up) {
		f, known = p.files[up]
		switch {
		case !known:
		case f == nil:
			return nil, true, syscall.ENOENT
		case up == name:
			return f, true, nil
		case f.Info.IsSymlink():
			return nil, true, syscall.ELOOP
		case !f.Info.IsDir():
			return nil, true, syscall.ENOTDIR
		}
		if up == "/" || up == "." {
			return nil, false, nil
		}
	}
}

// Lstat describes a file.
func (p *Snapshot) Lstat(name string) (Info, error) {
	f, known, err := p.was(name)
	if !known {
		return p.base.Lstat(name)
	}
	if err != nil {
		return Info{}, err
	}
	info := f.Info
	if now, err := p.base.Lstat(name); err == nil {
		info.Dev, info.Ino, info.Nlink = now.Dev, now.Ino, now.Nlink
	}
	return info, nil
}

// ReadDir lists a directory.
func (p *Snapshot) ReadDir(name string) ([]Dirent, error) {
	f, known, err := p.was(name)
	if err != nil {
		return nil, err
	}
	if known && !f.Info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	entries, err := p.base.ReadDir(name)
	if known && err != nil {
		entries, err = nil, nil // it is gone by now
	}
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	entries = slices.DeleteFunc(entries, func(d Dirent) bool { _, known := p.files[join(name, d.Name)]; return known })
	for full, f := range p.files {
		if f != nil && full != "/" && path.Dir(full) == name {
			entries = append(entries, Dirent{Name: path.Base(full), Ino: f.Info.Ino, Type: f.Info.Type()})
		}
	}
	return entries, nil
}

// Readlink returns a link's text.
func (p *Snapshot) Readlink(name string) (string, error) {
	f, known, err := p.was(name)
	switch {
	case !known:
		return p.base.Readlink(name)
	case err != nil:
		return "", err
	case !f.Info.IsSymlink():
		return "", syscall.EINVAL
	}
	return f.Target, nil
}

// Access asks the base where the name is the base's; what was read once can be read again.
func (p *Snapshot) Access(name string, mode uint32) error {
	_, known, err := p.was(name)
	if known {
		return err
	}
	if a, ok := p.base.(accessor); ok {
		return a.Access(name, mode)
	}
	return nil
}

// Open opens a regular file for reading.
func (p *Snapshot) Open(name string, flags int) (int, error) {
	f, known, err := p.was(name)
	switch {
	case !known:
		return p.base.Open(name, flags)
	case err != nil:
		return -1, err
	case flags&syscall.O_ACCMODE != syscall.O_RDONLY:
		return -1, syscall.EACCES
	case f.Info.IsDir():
		return -1, syscall.EISDIR
	case f.Info.IsSymlink():
		return -1, syscall.ELOOP
	case f.Content == nil:
		return -1, syscall.EACCES
	}
	fd := -1
	Apart(func() { fd, err = f.open() }) // what was kept is the gateway's, and nothing that the account could open
	return fd, err
}

// open makes a descriptor of what a regular file held.
func (f *SnapshotFile) open() (int, error) {
	in, err := f.Content()
	if err != nil {
		return -1, errors.Join(syscall.EIO, err)
	}
	defer func() { _ = in.Close() }()
	c, err := newContent()
	if err != nil {
		return -1, errno(err)
	}
	defer c.close()
	if _, err := io.Copy(c, in); err != nil {
		return -1, syscall.EIO
	}
	fd, err := c.descriptor(syscall.O_RDONLY)
	return fd, errno(err)
}

var _ accessor = (*Snapshot)(nil)

// Set says what a path is until Reach.
func (p *Snapshot) Set(name string, f *SnapshotFile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[name] = f
}
