package relay

import (
	"errors"
	"io"
	"os"
	"path"
	"sync"
	"syscall"

	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// openFile opens a file for reading, by the client's name for it.
func (r *relay) openFile(file string) (*reader, error) {
	target, name, err := r.split(file)
	switch {
	case err != nil:
		return nil, err
	case target == nil:
		return nil, syscall.EISDIR
	}
	done, err := r.place()
	if err != nil {
		return nil, err
	}
	if u := r.uploading(file); u != nil {
		if content, err := u.content(); err == nil { // else it was just made, or not
			return &reader{content, done}, nil
		}
	}
	content, canonical, err := r.read(target, name)
	if recorded := r.record(file, target, name, canonical, err); recorded != nil {
		if err == nil {
			_ = content.Close()
		}
		err = recorded
	}
	if err != nil {
		done()
		return nil, err
	}
	return &reader{content, done}, nil
}

// record tells of a file of a target's that is opened, by the client's name for it and the target's. EIO where it must not be shown.
func (r *relay) record(file string, target targets.Target, name, canonical string, refused error) error {
	err := r.o.Opened(r.ctx, target.Name(), name, canonical, refused)
	if err == nil {
		return nil
	}
	r.notice("%s is not shown: %s", render.Line(file), render.Line(err.Error()))
	return syscall.EIO
}

// place takes a place for an open file: of the client's, and of its identity's. done may be called more than once.
func (r *relay) place() (done func(), err error) {
	if !take(r.open) {
		return nil, syscall.EMFILE
	}
	back, ok := r.o.File()
	if !ok {
		give(r.open)
		r.notice("too many files are open over SFTP")
		return nil, syscall.EMFILE
	}
	return sync.OnceFunc(func() { give(r.open); back() }), nil
}

// read opens a file of a target, and says where its name led to.
func (r *relay) read(target targets.Target, name string) (c content, canonical string, err error) {
	t, err := r.at(target)
	if err != nil {
		return nil, name, err
	}
	c, canonical, err = openContent(t.view, name)
	return c, canonical, r.shown(target, name, err)
}

// shown is the error for a path of a target that the client looked at. What the read policy hides is denied, whether it is there or
// not: who is told that it is absent takes that for a fact about the target.
func (r *relay) shown(target targets.Target, name string, err error) error {
	if !errors.Is(err, syscall.ENOENT) || r.o.Policy(target.Name()).Decide(path.Clean(name)) != vfs.Hidden {
		return err
	}
	r.hidden.Do(func() {
		shown, _ := render.Fit(render.Line(name), maxHidden)
		r.notice("the read policy does not show %s, whether it is there or not; a human may let a command look: exec --target %s -- ls -ld %s",
			shown, render.Line(target.Name()), shown)
	})
	return refused(syscall.EACCES, "permission denied: the read policy does not show it")
}

// maxHidden is how much of a hidden name is told, in terminal cells.
const maxHidden = 200

// content is an open file's.
type content interface {
	io.ReaderAt
	io.Closer
}

// reader is an open file that counts as one.
type reader struct {
	content
	done func()
}

// Close implements io.Closer.
func (r *reader) Close() error {
	defer r.done()
	return r.content.Close()
}

// openContent opens a regular file of a view, and says where its name led to.
func openContent(view *vfs.Session, name string) (c content, canonical string, err error) {
	file, err := view.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return nil, name, err
	}
	canonical = file.Path()
	// Clients read several pieces at once, which belong together only in a copy of what the kernel makes.
	if s, ok := file.(vfs.Streamed); ok && s.Stream() != nil && !vfs.LiveStream(s.Stream()) {
		return streamContent{s.Stream(), file}, canonical, nil
	}
	defer func() { _ = file.Close() }()
	fd, err := file.Descriptor(syscall.O_RDONLY)
	if err != nil {
		return nil, canonical, err
	}
	return os.NewFile(uintptr(fd), "content"), canonical, nil // #nosec G115 -- a descriptor
}

// streamContent is a large file of a distant target.
type streamContent struct {
	vfs.Stream
	file vfs.File
}

// ReadAt implements io.ReaderAt: whole, unlike a stream's.
func (s streamContent) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var got int
		got, err = s.Stream.ReadAt(p[n:], off+int64(n))
		n += got
	}
	return n, err
}

// Close implements io.Closer.
func (s streamContent) Close() error { return s.file.Close() }

// directory describes "/", and the directory of a target.
var directory = vfs.Info{Mode: syscall.S_IFDIR | 0o755, Nlink: 2}

// stat describes a file, by the client's name for it. follow says whether a link stands for what it leads to.
func (r *relay) stat(name string, follow bool) (vfs.Info, error) {
	target, rest, err := r.split(name)
	switch {
	case err != nil:
		return vfs.Info{}, err
	case target == nil, rest == "/":
		return directory, nil
	}
	if u := r.uploading(name); u != nil {
		if found, err := u.describe(); err == nil { // else it was just made, or not
			return found, nil
		}
	}
	t, err := r.at(target)
	if err != nil {
		return vfs.Info{}, err
	}
	found, err := t.view.Lstat(rest)
	if err == nil && follow && found.IsSymlink() {
		found, err = t.view.Stat(rest)
	}
	return found, r.shown(target, rest, err)
}

// space describes the file system of a file, by the client's name for it. One of nothing where that is not known.
func (r *relay) space(name string) (vfs.Space, error) {
	none := vfs.Space{BlockSize: 4096, FragmentSize: 4096, MaxName: 255}
	target, rest, err := r.split(name)
	if err != nil || target == nil {
		return none, err
	}
	t, err := r.at(target)
	if err != nil {
		return none, err
	}
	space, known, err := t.view.Space(rest)
	if err != nil || !known {
		return none, err
	}
	return space, nil
}

// list opens a directory, by the client's name for it. EMFILE where too many are open.
func (r *relay) list(name string) (*listing, error) {
	target, rest, err := r.split(name)
	if err != nil {
		return nil, err
	}
	if !take(r.lists) {
		return nil, syscall.EMFILE
	}
	l := &listing{done: sync.OnceFunc(func() { give(r.lists) })}
	if target == nil {
		for _, t := range r.o.Targets {
			l.names = append(l.names, vfs.Dirent{Name: t.Name(), Type: syscall.S_IFDIR})
		}
		return l, nil
	}
	if l.t, err = r.at(target); err == nil {
		l.dir, l.names, err = l.t.list(rest)
		err = r.shown(target, rest, err)
	}
	if err != nil {
		l.done()
		return nil, err
	}
	return l, nil
}

// list lists a directory without . and .., and says where its name led to.
func (t *tree) list(name string) (canonical string, names []vfs.Dirent, err error) {
	dir, err := t.view.Open(name, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = dir.Close() }()
	if names, err = dir.ReadDir(); err != nil {
		return "", nil, err
	}
	return dir.Path(), names[2:], nil
}

// listing is an open directory. Its entries are described when they are read.
type listing struct {
	t    *tree // nil for the directory of targets
	dir  string
	done func()

	names []vfs.Dirent // that are left; of the goroutine that takes requests
}

// entry is a name in a directory, with what it is.
type entry struct {
	name string
	vfs.Info
}

// next returns up to so many more names, none at the end.
func (l *listing) next(most int) []vfs.Dirent {
	names := l.names[:min(most, len(l.names))]
	l.names = l.names[len(names):]
	return names
}

// describe says what stands under names of the directory.
func (l *listing) describe(names []vfs.Dirent) []entry {
	out := make([]entry, 0, len(names))
	for _, n := range names {
		found, err := directory, error(nil)
		if l.t != nil {
			found, err = l.t.view.Lstat(path.Join(l.dir, n.Name))
		}
		if err != nil { // it is gone, or cannot be described: its name is there nevertheless
			found = vfs.Info{Mode: n.Type}
		}
		out = append(out, entry{n.Name, found})
	}
	return out
}

// Close implements io.Closer.
func (l *listing) Close() error {
	l.done()
	return nil
}

// readlink returns a link's text, as the target has it: an absolute one names a path of the target.
func (r *relay) readlink(name string) (string, error) {
	target, rest, err := r.split(name)
	if err != nil {
		return "", err
	}
	if target == nil {
		return "", syscall.EINVAL
	}
	t, err := r.at(target)
	if err != nil {
		return "", err
	}
	text, err := t.view.Readlink(rest)
	return text, r.shown(target, rest, err)
}

// realPath resolves a path within its target. What does not exist is made clean only, as sshd does.
func (r *relay) realPath(name string) (string, error) {
	clean := path.Clean("/" + name)
	target, rest, err := r.split(clean)
	if err != nil || target == nil || rest == "/" {
		return clean, nil
	}
	t, err := r.at(target)
	if err != nil {
		return clean, nil
	}
	if real, err := t.view.Canonical(rest); err == nil {
		return path.Join("/", target.Name(), real), nil
	}
	return clean, nil
}
