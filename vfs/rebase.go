package vfs

import (
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Rebase says that changes of this session's list were made on the target, or certainly will be. Changes lists them no
// more, and what the script changes after them is a change against them. The view stays as it is.
func (s *Session) Rebase(changes []Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, c := range changes {
		switch c.Op {
		case "delete", "rmdir":
			s.rebaseToNothing(c.Path)
		case "rename":
			s.rebaseToNothing(c.Path)
			s.rebase(c.Target, c, &Origin{Info: c.Info, SHA256: c.SHA256, Hashed: true})
		case "mkdir":
			s.rebase(c.Path, c, &Origin{Info: c.Info})
		case "symlink":
			s.rebase(c.Path, c, &Origin{Info: c.Info, Target: c.Target})
		case "write", "link":
			s.rebase(c.Path, c, &Origin{Info: c.Info, SHA256: c.SHA256, Hashed: true})
		case "chmod", "chown", "utimes":
			o := &Origin{Info: c.Info}
			if e := s.entryAt(c.Path); e != nil && e.origin != nil {
				o.SHA256, o.Hashed, o.Target = e.origin.SHA256, e.origin.Hashed, e.origin.Target
			}
			s.rebase(c.Path, c, o)
		}
	}
}

// rebase notes what the target has at a path by now. The script may have removed it in the meantime.
func (v *view) rebase(name string, c Change, now *Origin) {
	e := v.entryAt(name)
	if e == nil {
		dir := v.entryAt(path.Dir(name))
		if dir == nil || dir.node == nil || !dir.node.isDir() {
			return
		}
		e = &entry{}
		dir.node.entries[strings.Clone(path.Base(name))] = e
		v.nodes++
	}
	e.origin, e.old, e.gone, e.rebased = now, nil, false, true
	n := e.node
	switch {
	case n == nil:
	case n.isDir() && c.Op == "mkdir":
		n.rebased = true
	case n == c.n && n.content != nil:
		n.from = strings.Clone(name)
	}
}

// rebaseToNothing notes that the target has nothing at a path by now.
func (v *view) rebaseToNothing(name string) {
	if e := v.entryAt(name); e != nil {
		e.origin, e.old, e.gone = nil, nil, true
	}
}

// Forgetter is a Source that remembers what it read of the target.
type Forgetter interface {
	// Forget makes it ask anew.
	Forget()
}

// Refresh lets the view show what the target has now, where the session itself has nothing that differs: a command may
// have changed it. Files that a handle holds open stay as they are in the view.
func (s *Session) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.base == nil {
		return
	}
	clear(s.dirs)
	if f, ok := s.base.source.(Forgetter); ok {
		f.Forget()
	}
	s.refresh("/", s.root)
}

func (v *view) refresh(dir string, parent *node) {
	for _, name := range slices.Collect(maps.Keys(parent.entries)) {
		e, full := parent.entries[name], join(dir, name)
		n := e.node
		switch {
		case n == nil && e.gone:
			delete(parent.entries, name)
			v.nodes--
		case n == nil, n.scratch, n.mount:
		case n.isDir():
			v.refreshDirectory(parent, name, full, e)
		case n.opens == 0 && n.nlink == 1 && v.unchanged(full, e):
			delete(parent.entries, name)
			v.unlinked(n)
		}
	}
}

// unchanged reports whether a file is what the target had when it was last rebased or copied.
func (v *view) unchanged(name string, e *entry) bool {
	if e.origin == nil {
		return false
	}
	w := changeWalk{names: map[*node]string{}} // whose list nobody gets
	w.entry(name, e)
	return len(w.out) == 0
}

func (v *view) refreshDirectory(parent *node, name, full string, e *entry) {
	n := e.node
	if n.rebased && parent.layer == v.base {
		n.rebased, n.layer, n.scope = false, v.base, parent.scope.enter(name)
		if n.scope.verdict == Hidden {
			n.rebased, n.layer, n.scope = true, nil, nil // not to be seen below
		}
	}
	v.refresh(full, n)
	if n.layer != v.base || n.chmodded || n.chowned || n.touched {
		return
	}
	info, err := v.base.lstat(full)
	there := err == nil && info.IsDir()
	if !n.pinned && n.opens == 0 && len(n.entries) == 0 && (there || err != nil && errno(err) == syscall.ENOENT) {
		delete(parent.entries, name)
		v.nodes--
		return
	}
	if there {
		n.adopt(info)
		e.origin = &Origin{Info: info}
	}
}

// maxScratch bounds the files that Scratch lists.
const maxScratch = 4096

// Scratch lists what the session has in scratch at a path and below: directories before what is in them, files as
// writes without their hash, links as symlinks. A link that the path leads through is listed too. Nothing in scratch there is an empty
// list, more than 4,096 files are EFBIG.
func (s *Session) Scratch(name string) ([]Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Change
	first := ""
	for _, end := range []ending{followNever, followLast} {
		var f found
		if s.walk(name, end, &f) != nil || !f.exists || f.node == nil || f.path == first || !s.c.inScratch(f.path) {
			continue
		}
		first = f.path
		if slices.ContainsFunc(out, func(c Change) bool { return c.Path == f.path }) {
			continue
		}
		w := scratchWalk{s: s, out: out}
		w.above(f.path)
		if err := w.add(f.path, f.node); err != nil {
			return nil, err
		}
		out = w.out
	}
	return out, nil
}

// inScratch reports whether a canonical path is below a scratch directory or is one.
func (c *Config) inScratch(name string) bool {
	return slices.ContainsFunc(c.Scratch, func(dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") })
}

type scratchWalk struct {
	s   *Session
	out []Change
}

// above lists the directories between the scratch directory and a path.
func (w *scratchWalk) above(name string) {
	var up []string
	for dir := path.Dir(name); w.s.c.inScratch(dir) && !slices.Contains(w.s.c.Scratch, dir); dir = path.Dir(dir) {
		up = append(up, dir)
	}
	for _, dir := range slices.Backward(up) {
		e := w.s.entryAt(dir)
		if e == nil || e.node == nil || slices.ContainsFunc(w.out, func(c Change) bool { return c.Path == dir }) {
			continue
		}
		if info, err := e.node.info(); err == nil {
			w.out = append(w.out, Change{Op: "mkdir", Path: dir, Info: info, s: w.s, n: e.node})
		}
	}
}

func (w *scratchWalk) add(name string, n *node) error {
	if len(w.out) >= maxScratch {
		return syscall.EFBIG
	}
	if n.mount {
		return nil
	}
	info, err := n.info()
	if err != nil {
		return nil
	}
	c := Change{Path: name, Info: info, s: w.s, n: n}
	switch n.kind() {
	case syscall.S_IFDIR:
		c.Op = "mkdir"
		if !slices.Contains(w.s.c.Scratch, name) {
			w.out = append(w.out, c)
		}
		for _, child := range slices.Sorted(maps.Keys(n.entries)) {
			if e := n.entries[child]; e.node != nil {
				if err := w.add(join(name, child), e.node); err != nil {
					return err
				}
			}
		}
	case syscall.S_IFLNK:
		c.Op, c.Target = "symlink", n.target
		w.out = append(w.out, c)
	case syscall.S_IFREG:
		c.Op = "write"
		w.out = append(w.out, c)
	}
	return nil
}
