package vfs

import (
	"strings"
	"syscall"
)

// Bounds of path_resolution(7) and limits.h, in bytes and links.
const (
	maxPath  = 4095
	maxName  = 255
	maxLinks = 40
)

// spot is a file's place in the view.
type spot struct {
	path  string // canonical
	node  *node  // nil where only the layer has the file
	layer *layer // nil where only the overlay has it
	scope *scope // of a directory of the base
}

// found is what a name led to.
type found struct {
	spot
	kind uint32 // S_IFMT bits, where the name exists
	info Info   // what the source said, where known
	// known says that info is set.
	known bool

	exists   bool
	parent   spot   // the directory that holds the last component
	name     string // the last component, "" where it was ".", ".." or the root
	dot      string // "." or ".." where that was the last component
	trailing bool   // the name ended in a slash

	held *heldFile // what keeps hold of the file, nil for nothing
}

// heldFile is a file of a source that is being judged.
type heldFile struct{ fd int }

// let gives up the hold on the file.
func (f *found) let() {
	if f.held != nil {
		closeFD(f.held.fd)
		f.held = nil
	}
}

// ending says what a walk does with a link in the last component.
type ending int

const (
	followLast  ending = iota
	followSlash        // only where a slash follows it, as lstat(2)
	followNever        // the name itself is to be made or removed
	createLast         // open(2) with O_CREAT: as followLast, but no slash may follow the name
	createHere         // the same with O_EXCL or O_NOFOLLOW
)

// follows reports whether a link as the last component is followed.
func (e ending) follows(slash bool) bool {
	return e == followLast || e == createLast || e == followSlash && slash
}

// creates reports whether the name is to be made by open(2).
func (e ending) creates() bool { return e == createLast || e == createHere }

// walker is the state of one walk, kept for the next one's sake.
type walker struct {
	stack []spot
	links int
	steps int  // components that this walk has looked at, its retries included
	hold  bool // the file that the walk ends at is kept hold of, where its source can
	tells bool // nothing is done with the file that the walk ends at but telling its attributes
}

// retries bounds how often a walk starts again because the target changed under it.
const retries = 4

// walk resolves a name inside the view. It fails with ENOENT for a missing directory on the way; a missing last
// component is no error. Called with the lock held.
func (v *view) walk(name string, end ending, f *found) error {
	if v.closed {
		return syscall.EIO
	}
	switch {
	case name == "":
		return syscall.ENOENT
	case len(name) > maxPath:
		return syscall.ENAMETOOLONG
	case name[0] != '/' || strings.IndexByte(name, 0) >= 0:
		return syscall.EINVAL
	}
	v.walker.steps = 0
	for try := 0; ; try++ {
		moved, err := v.resolve(name, end, f)
		if !moved || try >= retries {
			return err
		}
		clear(v.dirs) // a directory that an earlier walk passed is a link now
	}
}

// stride is how many components a walk looks at between two questions to its meter. Few paths have as many.
const stride = 64

// metered asks the meter whether a long walk may go on.
func (v *view) metered(w *walker) error {
	if w.steps++; w.steps%stride != 0 || v.meter == nil {
		return nil
	}
	return v.meter(stride)
}

// rootSpot is where walks begin.
func (v *view) rootSpot() spot {
	return spot{path: "/", node: v.root, layer: v.root.layer, scope: v.root.scope}
}

// resolve is one try of walk. moved says that the source met a link where there was a directory.
func (v *view) resolve(rest string, end ending, f *found) (moved bool, err error) {
	w := &v.walker
	w.stack, w.links = append(w.stack[:0], v.rootSpot()), 0
	given := prefix{name: rest}
	for {
		component, slash, more := cut(rest)
		if component == "" {
			w.atDirectory(f, "")
			return false, nil
		}
		if err := v.metered(w); err != nil {
			return false, err
		}
		last := more == ""
		cur := &w.stack[len(w.stack)-1]
		if component == "." || component == ".." {
			if err := w.step(component); err != nil {
				return false, err
			}
			given.name = ""
			if last {
				w.atDirectory(f, component)
				return false, nil
			}
			rest = more
			continue
		}
		switch {
		case len(component) > maxName || len(cur.path)+1+len(component) > maxPath:
			return false, syscall.ENAMETOOLONG
		case last && slash && end.creates():
			return false, syscall.EISDIR
		}
		full := given.next(cur.path, component)
		v.tellAhead(cur, component, full, more)
		err := v.look(cur, component, full, last, f)
		switch {
		case err == syscall.ENOENT && last:
			*f = found{spot: spot{path: full}, parent: *cur, name: component, trailing: slash}
			return false, nil
		case err != nil:
			return err == syscall.ELOOP, err
		case f.kind == syscall.S_IFLNK && (!last || end.follows(slash)):
			target, moved, err := v.follow(f)
			if err != nil {
				return moved, err
			}
			if slash {
				target += "/"
			}
			rest, given.name = target+more, ""
		case last:
			f.exists, f.parent, f.name, f.dot, f.trailing = true, *cur, component, "", slash
			return false, nil
		case f.kind != syscall.S_IFDIR:
			return false, syscall.ENOTDIR
		default:
			w.stack = append(w.stack, f.spot)
			rest = more
		}
	}
}

// step goes by "." or "..", through a directory that may be passed where its source knows that.
func (w *walker) step(dot string) error {
	cur := &w.stack[len(w.stack)-1]
	if cur.layer != nil && cur.layer.rights != nil {
		if err := cur.may(wantExecute); err != nil {
			return err
		}
	}
	if dot == ".." && len(w.stack) > 1 {
		w.stack = w.stack[:len(w.stack)-1]
	}
	return nil
}

// follow goes to where the walk goes on after a link, and is the link's text. moved is as with resolve.
func (v *view) follow(f *found) (target string, moved bool, err error) {
	w := &v.walker
	f.let()
	if w.links++; w.links > maxLinks {
		return "", false, syscall.ELOOP
	}
	target, err = v.readlink(f)
	if err != nil {
		return "", err == syscall.EINVAL || err == syscall.ELOOP, err
	}
	if target[0] == '/' {
		w.stack = w.stack[:1]
	}
	return target, false, nil
}

// tellAhead tells a distant source the rest of the way, if there is more, unless the overlay has the next step of it.
func (v *view) tellAhead(cur *spot, component, full, more string) {
	l := cur.layer
	if more == "" || l == nil || l.distant == nil || cur.node != nil && cur.node.entries[component] != nil {
		return
	}
	l.distant.Ahead(full + "/" + more)
}

// cut splits off the first component. more is what follows its slashes.
func cut(p string) (component string, slash bool, more string) {
	for p != "" && p[0] == '/' {
		p = p[1:]
	}
	at := strings.IndexByte(p, '/')
	if at < 0 {
		return p, false, ""
	}
	more = p[at:]
	for more != "" && more[0] == '/' {
		more = more[1:]
	}
	return p[:at], true, more
}

// prefix is how far a name is canonical itself, so that no path has to be made: name[:end] is the path so far. The name is ""
// where it is not.
type prefix struct {
	name string
	end  int
}

// next is the path of a component of the directory that the walk stands in.
func (p *prefix) next(dir, component string) string {
	end := p.end + 1 + len(component)
	if p.name == "" || len(p.name) < end || p.name[p.end] != '/' || p.name[p.end+1:end] != component {
		p.name = ""
		return join(dir, component)
	}
	p.end = end
	return p.name[:end]
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}

// atDirectory ends a walk on the directory that it stands in.
func (w *walker) atDirectory(f *found, dot string) {
	*f = found{
		spot: w.stack[len(w.stack)-1], parent: w.stack[max(0, len(w.stack)-2)],
		kind: syscall.S_IFDIR, exists: true, dot: dot,
	}
}

// maxDirs bounds the directories that a session remembers.
const maxDirs = 4096

// look finds one component in a directory. Where the name is the last, look looks at a directory again even if an earlier
// walk passed it. A source never follows a link, so trusting the earlier look can only fail closed.
func (v *view) look(dir *spot, name, full string, last bool, f *found) error {
	f.known = false
	if dir.node != nil {
		if e := dir.node.entries[name]; e != nil {
			if e.node == nil {
				return syscall.ENOENT
			}
			f.spot = spot{path: full, node: e.node, layer: e.node.layer, scope: e.node.scope}
			f.kind = e.node.kind()
			return nil
		}
		if l := dir.node.front; l != nil {
			if info, err := l.lstat(full); err == nil {
				f.spot = spot{path: full, layer: l}
				f.info, f.known, f.kind = info, true, info.Type()
				return nil
			}
		}
	}
	l := dir.layer
	if l == nil {
		return syscall.ENOENT
	}
	f.spot = spot{path: full, layer: l}
	verdict := Visible
	if l.base {
		if !last {
			if sc := v.dirs[full]; sc != nil {
				f.scope, f.kind = sc, syscall.S_IFDIR
				return nil
			}
		}
		if verdict = dir.scope.judge(name); verdict == Hidden {
			return v.lookHidden(name, full, last, f)
		}
	}
	info, err := Info{}, error(nil)
	if last && v.walker.hold && l.holding != nil {
		var fd int
		if fd, info, err = l.hold(full); err == nil {
			f.held = &heldFile{fd}
		}
	} else {
		info, err = l.lstat(full)
	}
	if err != nil {
		return err
	}
	if verdict == Ancestor && !info.IsDir() {
		f.let()
		return syscall.ENOENT
	}
	if l.base && info.IsDir() {
		f.scope = v.remember(dir.scope, name, full)
	}
	f.info, f.known, f.kind = info, true, info.Type()
	return nil
}

// remember notes a directory of the base and its place in the policy.
func (v *view) remember(parent *scope, name, full string) *scope {
	if sc := v.dirs[full]; sc != nil {
		return sc
	}
	if len(v.dirs) >= maxDirs {
		clear(v.dirs)
	}
	sc := parent.enter(name)
	v.dirs[strings.Clone(full)] = sc
	return sc
}

// stat is the Info of what a walk found.
func (v *view) stat(f *found) (Info, error) {
	if f.known {
		return f.info, nil
	}
	if f.node != nil {
		return f.node.info()
	}
	info, err := f.layer.lstat(f.path)
	if err == nil && !info.IsDir() && f.scope != nil && f.scope.verdict == Ancestor {
		return Info{}, syscall.ENOENT // it was a directory when the walk passed it
	}
	return info, err
}

// readlink is the text of a link that a walk found; never empty, never longer than a path.
func (v *view) readlink(f *found) (string, error) {
	target := ""
	if f.node != nil {
		target = f.node.target
	} else {
		var err error
		if target, err = f.layer.source.Readlink(f.layer.rel(f.path)); err != nil {
			return "", errno(err)
		}
	}
	switch {
	case target == "" || strings.IndexByte(target, 0) >= 0:
		return "", syscall.ENOENT
	case len(target) > maxPath:
		return "", syscall.ENAMETOOLONG
	}
	return target, nil
}
