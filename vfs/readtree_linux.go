package vfs

import (
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ListTree implements treeSource. Each directory is opened as one component of the one above, which is open: the kernel goes
// neither through a link nor into another file system, so that it asks no file system that nobody has asked about and comes to
// no procfs, of which no view has all.
func (h *host) ListTree(dir string, names []string, t *treeWalk) error {
	if dir == "/proc" || strings.HasPrefix(dir, "/proc/") || withoutOpenat2.Load() {
		return unix.EOPNOTSUPP
	}
	_, err := with(h, dir, func(h *host, dir string) (struct{}, error) {
		held, err := openBeneath(h.root, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			return struct{}{}, err
		}
		defer closeFD(held)
		var fs unix.Statfs_t
		if err := unix.Fstatfs(held, &fs); err != nil {
			return struct{}{}, err
		}
		if kernelMade(int64(fs.Type)) { //nolint:unconvert // 32 bits on some machines
			return struct{}{}, unix.EOPNOTSUPP
		}
		buf := treeBuffers.Get().(*[]byte) //nolint:errcheck,forcetypeassert // nothing else is in it
		defer treeBuffers.Put(buf)
		r := treeReader{walk: t, buf: *buf}
		for _, name := range names {
			if sc, ok := t.child(t.root.scope, t.root.node, name, len(dir)); ok && !r.list(held, name, sc, name, len(dir)) {
				break
			}
		}
		return struct{}{}, nil
	})
	return err
}

// treeBuffers are for getdents64(2).
var treeBuffers = sync.Pool{New: func() any { buf := make([]byte, 32<<10); return &buf }}

// treeReader reads the directories of one question.
type treeReader struct {
	walk *treeWalk
	buf  []byte
}

// list lists a directory and those below it. above is the length of the path that rel goes on from, in bytes. It reports false
// where the bound is met.
func (r *treeReader) list(parent int, name string, sc *scope, rel string, above int) bool {
	t := r.walk
	if t.left.Directories <= 0 {
		return false
	}
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(parent, name, &how)
	if err != nil {
		return true // whoever asks for it by its name is told why
	}
	defer closeFD(fd)
	entries, whole := r.entries(fd)
	if !whole {
		*t.left = TreeBound{}
		return false
	}
	entries, known := t.shown(sc, entries)
	if !known {
		return true
	}
	t.left.Directories--
	t.left.Entries -= len(entries)
	l := Listed{Path: rel, Entries: entries}
	r.describe(fd, sc, &l)
	if t.wish.Links {
		r.follow(fd, sc, &l)
	}
	t.out = append(t.out, l)
	for _, d := range entries {
		if d.Type != unix.S_IFDIR {
			continue
		}
		below, ok := t.child(sc, nil, d.Name, above+1+len(rel))
		if ok && !r.list(fd, d.Name, below, rel+"/"+d.Name, above) {
			return false
		}
	}
	return true
}

// describe is Lstat of a directory's entries.
func (r *treeReader) describe(fd int, sc *scope, l *Listed) {
	if r.walk.wish.Files {
		l.Lstat = make([]Info, 0, len(l.Entries))
	}
	var st unix.Stat_t
	for _, d := range l.Entries {
		if !r.walk.wish.Files && d.Type != unix.S_IFDIR {
			continue
		}
		info := Info{}
		if fstatat(fd, d.Name, &st) == nil {
			info = r.walk.tell(sc, d, infoOf(&st))
		}
		l.Lstat = append(l.Lstat, info)
	}
}

// follow is Stat of the links that lead to a name in their own directory, as those do that are a library's or a page's other names.
func (r *treeReader) follow(fd int, sc *scope, l *Listed) {
	for _, d := range l.Entries {
		if d.Type == unix.S_IFLNK {
			l.Stat = append(l.Stat, r.beside(fd, sc, d.Name))
		}
	}
}

// beside is Stat of one link, nothing where it leads anywhere else.
func (r *treeReader) beside(fd int, sc *scope, name string) Info {
	for range maxChain {
		n, err := unix.Readlinkat(fd, name, r.buf[:maxPath+1])
		if err != nil {
			return Info{}
		}
		if name = string(r.buf[:n]); !r.walk.beside(sc, name) {
			return Info{}
		}
		var st unix.Stat_t
		if fstatat(fd, name, &st) != nil {
			return Info{}
		}
		if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFLNK {
			return r.walk.tell(sc, Dirent{Name: name, Type: kind}, infoOf(&st))
		}
	}
	return Info{}
}

// entries lists an open directory, unless it has more entries than there is room for.
func (r *treeReader) entries(fd int) (out []Dirent, whole bool) {
	for {
		n, err := unix.Getdents(fd, r.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, false
		case n <= 0:
			return out, len(out) <= r.walk.left.Entries
		}
		if out = parseDirents(r.buf[:n], out); len(out) > r.walk.left.Entries {
			return nil, false
		}
	}
}

// ListTree implements treeSource where nothing differs from the base.
func (p *Snapshot) ListTree(dir string, names []string, t *treeWalk) error {
	p.mu.RLock()
	differs := len(p.files) > 0
	p.mu.RUnlock()
	if b, ok := p.base.(treeSource); ok && !differs {
		return b.ListTree(dir, names, t)
	}
	return unix.EOPNOTSUPP
}
