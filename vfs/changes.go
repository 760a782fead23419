package vfs

import (
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"syscall"
)

// Change is one thing that differs from the target.
type Change struct {
	// Op is "write", "link" (a second name of a written file, Target says of which), "symlink", "mkdir", "delete",
	// "rmdir", "chmod", "chown" or "utimes".
	Op     string
	Path   string  // canonical in the view
	Info   Info    // what the view has there now; zero for "delete" and "rmdir"
	Target string  // text of a symbolic link, or the first name of a linked file
	Origin *Origin // what the target had there when it was first changed, nil for nothing
	// SHA256 is the content's, for "write".
	SHA256 [sha256.Size]byte

	s *Session
	n *node
}

// Open returns a new read-only descriptor of what a "write" put there: the bytes as they are now, not as they were
// when the list was made. EINVAL for other changes.
func (c Change) Open() (fd int, err error) {
	if c.Op != "write" {
		return -1, syscall.EINVAL
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.n.content == nil {
		return -1, syscall.ENOENT
	}
	fd, err = c.n.content.descriptor(syscall.O_RDONLY)
	return fd, errno(err)
}

// Changes lists what differs from the target outside of scratch, in an order in which it could be done: a directory
// before what is in it, removals within a directory before its own. A file that was opened for writing and holds
// what it held is not in the list. It reads everything that was written, and holds the session's lock meanwhile.
func (s *Session) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := changeWalk{s: s, names: map[*node]string{}}
	w.directory("/", s.root.entries)
	return w.out
}

type changeWalk struct {
	s     *Session
	names map[*node]string // first names of regular files
	out   []Change
}

func (w *changeWalk) directory(dir string, entries map[string]*entry) {
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		w.entry(join(dir, name), entries[name])
	}
}

func (w *changeWalk) entry(name string, e *entry) {
	n := e.node
	if n != nil && (n.scratch || n.mount) {
		return
	}
	if n != nil && n.isDir() && (n.layer != nil || n.pinned) {
		w.attributes(name, e)
		w.directory(name, n.entries)
		return
	}
	if e.origin != nil && (n == nil || n.isDir() || e.origin.Info.IsDir()) {
		w.removal(name, e)
	}
	if n == nil {
		return
	}
	info, err := n.info()
	if err != nil {
		return
	}
	c := Change{Path: name, Info: info, Origin: e.origin, s: w.s, n: n}
	switch n.kind() {
	case syscall.S_IFDIR:
		c.Op = "mkdir"
		w.out = append(w.out, c)
		w.directory(name, n.entries)
	case syscall.S_IFLNK:
		c.Op, c.Target = "symlink", n.target
		if e.origin != nil && e.origin.Info.IsSymlink() && e.origin.Target == n.target {
			w.attributes(name, e)
			return
		}
		w.out = append(w.out, c)
	default:
		w.file(c, e)
	}
}

func (w *changeWalk) removal(name string, e *entry) {
	op := "delete"
	if e.origin.Info.IsDir() {
		op = "rmdir"
		w.directory(name, e.old)
	}
	w.out = append(w.out, Change{Op: op, Path: name, Origin: e.origin, s: w.s})
}

func (w *changeWalk) file(c Change, e *entry) {
	if first := w.names[c.n]; first != "" {
		c.Op, c.Target = "link", first
		w.out = append(w.out, c)
		return
	}
	w.names[c.n] = c.Path
	sum, err := digest(c.n.content)
	if err == nil && e.origin != nil && e.origin.Hashed && e.origin.SHA256 == sum {
		w.attributes(c.Path, e)
		return
	}
	c.Op, c.SHA256 = "write", sum
	w.out = append(w.out, c)
}

// attributes lists the attributes of a file of the target that differ.
func (w *changeWalk) attributes(name string, e *entry) {
	n := e.node
	if e.origin == nil || !n.chmodded && !n.chowned && !n.touched {
		return
	}
	info, err := n.info()
	if err != nil {
		return
	}
	add := func(op string, differs bool) {
		if differs {
			w.out = append(w.out, Change{Op: op, Path: name, Info: info, Origin: e.origin, s: w.s, n: n})
		}
	}
	was := e.origin.Info
	add("chmod", n.chmodded && info.Mode != was.Mode)
	add("chown", n.chowned && (info.UID != was.UID || info.GID != was.GID))
	add("utimes", n.touched && !info.Mtime.Equal(was.Mtime))
}

func digest(c *content) (sum [sha256.Size]byte, err error) {
	if c == nil {
		return sum, syscall.EINVAL
	}
	fd, err := c.descriptor(syscall.O_RDONLY)
	if err != nil {
		return sum, err
	}
	defer closeFD(fd)
	h := sha256.New()
	if _, err := io.Copy(h, descriptorReader(fd)); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
