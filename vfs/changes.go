package vfs

import (
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"
)

// Change is one thing that differs from the target.
type Change struct {
	// Op is "write", "link" (a second name of a written file, Target says of which), "symlink", "mkdir", "delete",
	// "rmdir", "rename" (a file of the target, as it is there, Target says whereto), "chmod", "chown" or "utimes".
	Op     string
	Path   string  // canonical in the view
	Info   Info    // what the view has there now, with "rename" at Target; zero for "delete" and "rmdir"
	Target string  // text of a symbolic link, the first name of a linked file, or the new name of a renamed one
	Origin *Origin // what the target had there when it was first changed, nil for nothing
	Over   *Origin // for "rename": what the target had at the new name
	// SHA256 is the content's, for "write" and "link".
	SHA256 [sha256.Size]byte
	// Touched says that the script has set the times that Info has, or had before it wrote again.
	Touched bool

	s *Session
	n *node
}

// Open returns a new read-only descriptor of what a "write" put there: the bytes as they are now, not as they were
// when the list was made. EINVAL for other changes than "write" and "link".
func (c Change) Open() (fd int, err error) {
	if c.Op != "write" && c.Op != "link" {
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
// before what is in it, removals within a directory before its own. It leaves out a file that was opened for writing and
// holds what it held. It reads everything that was written, and holds the session's lock meanwhile.
func (s *Session) Changes() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := changeWalk{s: s, names: map[*node]string{}}
	w.directory("/", s.root.entries)
	return w.renames()
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
	if n != nil && n.isDir() && (n.layer != nil || n.pinned || n.rebased) {
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
	c := Change{Path: name, Info: info, Origin: e.origin, Touched: n.touched, s: w.s, n: n}
	if e.origin != nil && (n.isDir() || e.origin.Info.IsDir()) {
		c.Origin = nil // it is removed before
	}
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
	sum, err := digest(c.n.content)
	c.SHA256 = sum
	if first := w.names[c.n]; first != "" {
		if err == nil && e.rebased && e.origin.holds(c, sum) && e.origin.sameOwner(c) {
			return
		}
		c.Op, c.Target = "link", first
		w.out = append(w.out, c)
		return
	}
	w.names[c.n] = c.Path
	if err == nil && e.origin.holds(c, sum) {
		w.attributes(c.Path, e)
		return
	}
	c.Op = "write"
	w.out = append(w.out, c)
}

// holds reports whether a file is the origin with its content unchanged. A file of the script's own in its place is not,
// unless mode and owner are the same.
func (o *Origin) holds(c Change, sum [sha256.Size]byte) bool {
	if o == nil || !o.Hashed || o.SHA256 != sum {
		return false
	}
	return c.n.from == c.Path || o.sameOwner(c)
}

// sameOwner reports whether mode and owner are the origin's.
func (o *Origin) sameOwner(c Change) bool {
	return o.Info.Mode == c.Info.Mode && o.Info.UID == c.Info.UID && o.Info.GID == c.Info.GID
}

// renames turns a removal and a write of the same, unchanged file of the target into one renaming, where the
// directory that the file was in stays.
func (w *changeWalk) renames() []Change {
	removed := map[string]int{}
	for i, c := range w.out {
		if c.Op != "delete" || !c.Origin.Hashed {
			continue
		}
		if e := w.s.entryAt(c.Path); e != nil && e.node == nil {
			removed[c.Path] = i
		}
	}
	drop := map[int]bool{}
	var more []Change
	for i := range w.out {
		c := &w.out[i]
		if c.Op != "write" || c.n.from == "" {
			continue
		}
		at, ok := removed[c.n.from]
		if !ok || drop[at] || w.out[at].Origin.SHA256 != c.SHA256 || c.n.nlink > 1 {
			continue
		}
		was := w.out[at].Origin
		drop[at] = true
		new := *c
		new.Origin = &Origin{Info: was.Info, SHA256: was.SHA256, Hashed: true}
		c.Op, c.Path, c.Target, c.Origin, c.Over = "rename", c.n.from, c.Path, was, c.Origin
		more = append(more, w.differences(new)...)
	}
	out := w.out[:0]
	for i, c := range w.out {
		if !drop[i] {
			out = append(out, c)
		}
	}
	return append(out, more...)
}

// entryAt is what the overlay has at a path, nil for nothing or where the path leads through what it removed.
func (v *view) entryAt(name string) *entry {
	n := v.root
	for at := 1; ; {
		end := at + strings.IndexByte(name[at:]+"/", '/')
		e := n.entries[name[at:end]]
		if e == nil || end >= len(name) {
			return e
		}
		if e.node == nil || !e.node.isDir() {
			return nil
		}
		n, at = e.node, end+1
	}
}

// attributes lists the attributes of a file of the target that differ.
func (w *changeWalk) attributes(name string, e *entry) {
	if e.origin == nil {
		return
	}
	if info, err := e.node.info(); err == nil {
		w.out = append(w.out, w.differences(Change{Path: name, Info: info, Origin: e.origin, n: e.node})...)
	}
}

// differences are the changes of attributes between a file and its origin, where the script asked for them.
func (w *changeWalk) differences(c Change) (out []Change) {
	n, was := c.n, c.Origin.Info
	c.s, c.SHA256 = w.s, [sha256.Size]byte{}
	add := func(op string, differs bool) {
		if differs {
			c.Op = op
			out = append(out, c)
		}
	}
	add("chmod", n.chmodded && c.Info.Mode != was.Mode)
	add("chown", n.chowned && (c.Info.UID != was.UID || c.Info.GID != was.GID))
	add("utimes", n.touched && !c.Info.Mtime.Equal(was.Mtime))
	return out
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
