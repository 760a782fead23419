package relay

import (
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"github.com/pkg/sftp"

	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// handlers are the answers to a client's requests, as the library wants them. Its workers call them at the same time.
type handlers struct{ *relay }

// Fileread opens a file for reading.
func (h handlers) Fileread(r *sftp.Request) (_ io.ReaderAt, err error) {
	defer h.guard(&err)
	return h.openFile(r.Filepath)
}

// openFile opens a file for reading, by the client's name for it.
func (h handlers) openFile(file string) (*reader, error) {
	target, name, err := h.split(file)
	switch {
	case err != nil:
		return nil, err
	case target == nil:
		return nil, syscall.EISDIR
	}
	done, err := h.place()
	if err != nil {
		return nil, err
	}
	content, canonical, err := h.read(target, name)
	if recorded := h.o.Opened(h.ctx, target.Name(), name, canonical, err); recorded != nil {
		h.notice("%s is not shown: %s", render.Line(file), render.Line(recorded.Error()))
		if err == nil {
			_ = content.Close()
		}
		err = syscall.EIO
	}
	if err != nil {
		done()
		return nil, err
	}
	return &reader{content, done}, nil
}

// place takes a place for an open file: of the client's, and of its identity's. done may be called more than once.
func (h handlers) place() (done func(), err error) {
	if !take(h.open) {
		return nil, syscall.EMFILE
	}
	back, ok := h.o.File()
	if !ok {
		give(h.open)
		h.notice("too many files are open over SFTP")
		return nil, syscall.EMFILE
	}
	return sync.OnceFunc(func() { give(h.open); back() }), nil
}

// read opens a file of a target, and says where its name led to.
func (h handlers) read(target targets.Target, name string) (c content, canonical string, err error) {
	t, err := h.at(target)
	if err != nil {
		return nil, name, err
	}
	return openContent(t.view, name)
}

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
	if s, ok := file.(vfs.Streamed); ok && s.Stream() != nil {
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

// Filelist answers listings and what stat(2) asks.
func (h handlers) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	if r.Method == "List" {
		return h.list(r.Filepath)
	}
	return h.stat(r.Filepath, true)
}

// Lstat describes a file itself.
func (h handlers) Lstat(r *sftp.Request) (sftp.ListerAt, error) { return h.stat(r.Filepath, false) }

func (h handlers) stat(name string, follow bool) (_ sftp.ListerAt, err error) {
	defer h.guard(&err)
	target, rest, err := h.split(name)
	if err != nil {
		return nil, err
	}
	if target == nil || rest == "/" {
		base := path.Base(path.Clean("/" + name))
		return entries{info{base, vfs.Info{Mode: syscall.S_IFDIR | 0o755}}}, nil
	}
	t, err := h.at(target)
	if err != nil {
		return nil, err
	}
	found, err := t.view.Lstat(rest)
	if err == nil && follow && found.IsSymlink() {
		found, err = t.view.Stat(rest)
	}
	if err != nil {
		return nil, err
	}
	return entries{info{path.Base(rest), found}}, nil
}

func (h handlers) list(name string) (_ sftp.ListerAt, err error) {
	defer h.guard(&err)
	target, rest, err := h.split(name)
	if err != nil {
		return nil, err
	}
	if target == nil {
		var out entries
		for _, t := range h.o.Targets {
			out = append(out, info{t.Name(), vfs.Info{Mode: syscall.S_IFDIR | 0o755}})
		}
		return out, nil
	}
	t, err := h.at(target)
	if err != nil {
		return nil, err
	}
	if !take(h.lists) {
		return nil, syscall.EMFILE
	}
	dir, names, err := t.list(rest)
	if err != nil {
		give(h.lists)
		return nil, err
	}
	return &listing{t: t, dir: dir, names: names, done: sync.OnceFunc(func() { give(h.lists) })}, nil
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
	t     *tree
	dir   string
	names []vfs.Dirent
	done  func()
}

// ListAt implements sftp.ListerAt.
func (l *listing) ListAt(to []fs.FileInfo, off int64) (n int, err error) {
	for n < len(to) {
		at := off + int64(n)
		if at >= int64(len(l.names)) {
			return n, io.EOF
		}
		name := l.names[at].Name
		found, err := l.t.view.Lstat(path.Join(l.dir, name))
		if err != nil { // it is gone, or cannot be described: its name is there nevertheless
			found = vfs.Info{Mode: l.names[at].Type}
		}
		to[n] = info{name, found}
		n++
	}
	return n, nil
}

// Close implements io.Closer.
func (l *listing) Close() error {
	l.done()
	return nil
}

// entries is a short listing.
type entries []fs.FileInfo

// ListAt implements sftp.ListerAt.
func (e entries) ListAt(to []fs.FileInfo, off int64) (int, error) {
	if off >= int64(len(e)) {
		return 0, io.EOF
	}
	n := copy(to, e[off:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// Readlink returns a link's text, as the target has it: an absolute one names a path of the target.
func (h handlers) Readlink(name string) (_ string, err error) {
	defer h.guard(&err)
	target, rest, err := h.split(name)
	if err != nil {
		return "", err
	}
	if target == nil {
		return "", syscall.EINVAL
	}
	t, err := h.at(target)
	if err != nil {
		return "", err
	}
	return t.view.Readlink(rest)
}

// RealPath resolves a path within its target. What does not exist is made clean only, as sshd does.
func (h handlers) RealPath(name string) (_ string, err error) {
	defer h.guard(&err)
	clean := path.Clean("/" + name)
	target, rest, err := h.split(clean)
	if err != nil || target == nil || rest == "/" {
		return clean, nil
	}
	t, err := h.at(target)
	if err != nil {
		return clean, nil
	}
	if real, err := t.view.Canonical(rest); err == nil {
		return path.Join("/", target.Name(), real), nil
	}
	return clean, nil
}
