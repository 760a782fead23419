//go:build linux && (amd64 || arm64)

package rehearsal

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// Bounds of a look at what has changed.
const (
	maxEntries = 200_000 // of upper layers
	maxCounted = 200_000 // files below what was deleted
	maxFile    = 8 << 20 // bytes of a file whose content is kept
	maxDepth   = 256     // directories in each other
)

// node is what an upper layer has at a path.
type node struct {
	is      *targets.State // nil where it was deleted
	opaque  bool           // a directory that hides what the host has there
	content []byte         // of a regular file, where whole
	whole   bool
	inode   uint64
	links   uint64
	changed unix.Timespec
}

// scanner reads what the world's upper layers hold, and remembers what they held before.
type scanner struct {
	*line
	place   *place
	limits  targets.RehearsalLimits
	masked  map[string][]byte
	before  map[string]*node
	kept    int64          // bytes of contents
	sizes   map[int64]bool // of the regular files that there are now
	tainted string
}

func newScanner(p *place, l *line, limits targets.RehearsalLimits) *scanner {
	return &scanner{line: l, place: p, limits: limits, masked: p.masked, before: map[string]*node{}}
}

// look finds what has changed since it looked last, and puts it into a command's effect; nil only remembers.
func (s *scanner) look(e *targets.Effect) {
	now, cut := s.read()
	if e == nil {
		s.before = now
		return
	}
	found := s.differences(now)
	e.ChangesCut = cut
	s.tell(found, now)
	if s.tainted != "" {
		e.Withheld = s.tainted
		e.Stdout, e.Stderr = nil, nil
	}
	for i := range found {
		if len(e.Changes) >= s.limits.Changes {
			e.ChangesCut = true
			break
		}
		e.Changes = append(e.Changes, found[i])
	}
	s.before = now
}

// read reads all upper layers. cut says that they hold more than it reads.
func (s *scanner) read() (now map[string]*node, cut bool) {
	now = map[string]*node{}
	w := &walker{scanner: s, now: now}
	for _, l := range s.place.layers {
		w.directory(l.upper, l.at, 0)
	}
	root, err := unix.Openat(s.place.root, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return now, true
	}
	defer func() { _ = unix.Close(root) }()
	there := map[string]bool{}
	w.each(root, func(name string) {
		at := "/" + name
		there[at] = true
		if !s.place.made[at] && !slices.Contains(own, at) {
			w.entry(root, name, at, 0)
		}
	})
	for at := range s.place.made {
		if !there[at] {
			now[at] = &node{}
		}
	}
	return now, w.cut
}

// walker reads one state of the upper layers.
type walker struct {
	*scanner
	now map[string]*node
	cut bool
}

// each calls fn with each name of a directory.
func (w *walker) each(dir int, fn func(name string)) {
	names, err := readNames(dir)
	if err != nil {
		w.cut = true
	}
	for _, name := range names {
		if len(w.now) >= maxEntries {
			w.cut = true
			return
		}
		fn(name)
	}
}

func (w *walker) directory(dir int, at string, depth int) {
	if depth > maxDepth {
		w.cut = true
		return
	}
	w.each(dir, func(name string) { w.entry(dir, name, path.Join(at, name), depth) })
}

func (w *walker) entry(dir int, name, at string, depth int) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		w.cut = true
		return
	}
	n := &node{inode: st.Ino, links: uint64(st.Nlink), changed: st.Ctim} // #nosec G115 -- not negative
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 {
		w.now[at] = n // a whiteout: it is deleted
		return
	}
	w.now[at] = n
	if old := w.before[at]; old != nil && old.is != nil && !old.is.IsDir() && old.inode == n.inode && old.changed == n.changed {
		*n = *old
		n.links = uint64(st.Nlink) // #nosec G115 -- not negative
		return
	}
	n.is = stateOf(&st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		n.is.Link = readLink(dir, name)
	case unix.S_IFREG:
		w.regular(dir, name, n)
	case unix.S_IFDIR:
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			w.cut = true // no right to read it: an unprivileged world's own, of mode 0
			return
		}
		defer func() { _ = unix.Close(fd) }()
		n.opaque = opaque(fd)
		w.directory(fd, at, depth+1)
	}
}

// regular hashes a file, and keeps its content where that is small.
func (w *walker) regular(dir int, name string, n *node) {
	content, sum, err := hash(dir, name, min(maxFile, w.limits.Content-w.kept))
	if err != nil {
		w.cut = true
		return
	}
	n.is.SHA256, n.is.Hashed = sum, true
	if int64(len(content)) == n.is.Size {
		n.content, n.whole = content, true
		w.kept += n.is.Size
	}
}

// was is what was at a path before, and its content where it has one and that is kept.
func (s *scanner) was(at string, want bool) (*targets.State, []byte, bool) {
	if n := s.before[at]; n != nil {
		return n.is, n.content, n.whole
	}
	for up := path.Dir(at); up != "/"; up = path.Dir(up) {
		if n := s.before[up]; n != nil && (n.is == nil || n.opaque || !n.is.IsDir()) {
			return nil, nil, false
		}
	}
	return s.host(at, want)
}

// layerOf is the layer that a path belongs to, and the path seen from it.
func (s *scanner) layerOf(at string) (l *layer, rest string) {
	for i := range s.place.layers { // the longest is the last
		below, ok := strings.CutPrefix(at, s.place.layers[i].at)
		if ok && (below == "" || below[0] == '/') {
			l, rest = &s.place.layers[i], strings.TrimPrefix(below, "/")
		}
	}
	return l, cmp.Or(rest, ".")
}

// host is what the host has at a path; with want, its content and hash, too.
func (s *scanner) host(at string, want bool) (*targets.State, []byte, bool) {
	l, rest := s.layerOf(at)
	if l == nil {
		return nil, nil, false
	}
	dir, name := openParent(l.lower, rest)
	if dir < 0 {
		return nil, nil, false
	}
	defer func() { _ = unix.Close(dir) }()
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, nil, false
	}
	state := stateOf(&st)
	if content, is := s.masked[at]; is && state.IsRegular() {
		state.Size, state.SHA256, state.Hashed = int64(len(content)), sum(content), true
		return state, content, true
	}
	switch {
	case state.IsLink():
		state.Link = readLink(dir, name)
	case state.IsRegular() && want && state.Size <= s.limits.Disk:
		content, sum, err := hash(dir, name, min(maxFile, s.limits.Content-s.kept))
		if err != nil {
			return state, nil, false
		}
		state.SHA256, state.Hashed = sum, true
		if int64(len(content)) == state.Size {
			s.kept += state.Size
			return state, content, true
		}
	}
	return state, nil, false
}

// differences compares what there is now with what there was.
func (s *scanner) differences(now map[string]*node) (found []targets.RehearsedChange) {
	s.sizes = map[int64]bool{}
	for _, n := range now {
		if n.is.IsRegular() {
			s.sizes[n.is.Size] = true
		}
	}
	for _, at := range slices.Sorted(maps.Keys(now)) {
		n := now[at]
		if n.is == nil && deletedAbove(now, at) {
			continue
		}
		if d, differs := s.compare(at, n); differs {
			found = append(found, d)
		}
		if n.is != nil && n.opaque {
			found = append(found, s.replaced(at, now)...)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(s.before)) {
		if old := s.before[at]; old.is != nil && now[at] == nil && !deletedAbove(now, at) && (now[path.Dir(at)] != nil || s.before[path.Dir(at)] == nil) {
			found = append(found, targets.RehearsedChange{Kind: targets.Deleted, Path: at, Was: old.is, Counted: true})
		}
	}
	slices.SortFunc(found, func(a, b targets.RehearsedChange) int { return strings.Compare(a.Path, b.Path) })
	return pairRenames(found, now)
}

// deletedAbove reports whether a directory above a path is gone, too: it tells of what was below it.
func deletedAbove(now map[string]*node, at string) bool {
	for up := path.Dir(at); up != "/"; up = path.Dir(up) {
		if n := now[up]; n != nil && n.is == nil {
			return true
		}
	}
	return false
}

// compare is the difference of one path.
func (s *scanner) compare(at string, n *node) (targets.RehearsedChange, bool) {
	if s.before[at] == n {
		return targets.RehearsedChange{}, false
	}
	was, content, whole := s.was(at, n.is.IsRegular())
	d := targets.RehearsedChange{Path: at, Was: was, Is: n.is}
	switch {
	case n.is == nil && was == nil:
		return d, false
	case n.is == nil:
		d.Kind, d.Counted = targets.Deleted, true
		if was.IsRegular() {
			if s.sizes[was.Size] { // it may have another name now
				was, content, whole = s.was(at, true)
				d.Was = was
			}
			d.Bytes = was.Size
			d.Before, d.Contents = content, whole
		}
		return d, true
	case was == nil:
		d.Kind = targets.Made
	case was.Type() != n.is.Type() || was.Link != n.is.Link:
		d.Kind = targets.Changed
	case n.is.IsRegular() && (was.Size != n.is.Size || was.Hashed != n.is.Hashed || was.SHA256 != n.is.SHA256):
		d.Kind = targets.Changed
	case was.Perm() != n.is.Perm() || was.UID != n.is.UID || was.GID != n.is.GID:
		d.Kind = targets.Attributes
		return d, true
	case !was.IsDir() && !was.Mtime.Equal(n.is.Mtime):
		d.Kind = targets.Touched
		return d, true
	default:
		return d, false
	}
	if n.is.IsRegular() {
		d.Before, d.After = content, n.content
		d.Contents = n.whole && (whole || !was.IsRegular())
	}
	return d, true
}

// replaced are the host's entries of a directory that was deleted and made again, as far as they are not there again.
func (s *scanner) replaced(at string, now map[string]*node) (found []targets.RehearsedChange) {
	if old := s.before[at]; old != nil && (old.is == nil || old.opaque) {
		return nil
	}
	l, rest := s.layerOf(at)
	if l == nil {
		return nil
	}
	dir, err := vfs.OpenBeneath(l.lower, rest, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(dir) }()
	names, _ := readNames(dir)
	for _, name := range names {
		child := path.Join(at, name)
		if now[child] != nil {
			continue
		}
		if was, _, _ := s.was(child, false); was != nil {
			found = append(found, targets.RehearsedChange{Kind: targets.Deleted, Path: child, Was: was, Bytes: was.Size, Counted: true})
		}
	}
	return found
}

// pairRenames makes one of a file that is gone and of one with the same content that is new. A second name of the same file says so.
func pairRenames(found []targets.RehearsedChange, now map[string]*node) []targets.RehearsedChange {
	gone := map[[32]byte]int{}
	for i := range found {
		if d := &found[i]; d.Kind == targets.Deleted && d.Was.IsRegular() && d.Was.Hashed && d.Was.Size > 0 {
			gone[d.Was.SHA256] = i
		}
	}
	first := map[uint64]string{} // the first name of each file that has several
	for _, at := range slices.Sorted(maps.Keys(now)) {
		if n := now[at]; n.links > 1 && n.is.IsRegular() && first[n.inode] == "" {
			first[n.inode] = at
		}
	}
	drop := map[int]bool{}
	for i := range found {
		d := &found[i]
		if n := now[d.Path]; n != nil && n.links > 1 && n.is.IsRegular() && d.Kind == targets.Made && first[n.inode] != d.Path {
			d.From = first[n.inode]
			continue
		}
		if d.Kind != targets.Made || !d.Is.IsRegular() || !d.Is.Hashed {
			continue
		}
		if j, is := gone[d.Is.SHA256]; is && !drop[j] {
			d.Kind, d.From, d.Was, d.Contents = targets.Renamed, found[j].Path, found[j].Was, false
			drop[j] = true
		}
	}
	kept := found[:0]
	for i := range found {
		if !drop[i] {
			kept = append(kept, found[i])
		}
	}
	return kept
}

// tell says of each difference whether it is hidden, counts what was deleted, and finds out whether hidden contents may be anywhere in
// the world by now: a hidden file that was renamed, linked or opened to be written leaves its mark at its own name.
func (s *scanner) tell(found []targets.RehearsedChange, now map[string]*node) {
	names := slices.Sorted(maps.Keys(now))
	for i, hidden := range s.hidden(names...) {
		if hidden {
			s.taint(names[i])
		}
	}
	for i := range found {
		d := &found[i]
		d.Hidden = s.hides1(d.Path) || d.From != "" && s.hides1(d.From)
		if d.Hidden { // it may be one that the directory above tells of
			s.taint(d.Path)
		}
		if d.Kind == targets.Deleted && d.Was.IsDir() {
			s.count(d)
		}
	}
	for i := range found {
		if d := &found[i]; d.Hidden || s.tainted != "" {
			d.Before, d.After, d.Contents = nil, nil, false
			if d.Hidden && d.Is != nil {
				d.Is.Link = ""
			}
		}
	}
}

// taint notes that what a hidden file of the host holds may be anywhere.
func (s *scanner) taint(at string) {
	if _, stand := s.masked[at]; stand || s.tainted != "" {
		return
	}
	l, rest := s.layerOf(at)
	if l == nil {
		return
	}
	dir, name := openParent(l.lower, rest)
	if dir < 0 {
		return
	}
	defer func() { _ = unix.Close(dir) }()
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	if unix.Faccessat(dir, name, unix.R_OK, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	s.tainted = "the command has moved, linked or changed " + at + ", which is hidden"
}

// count counts what a deleted directory of the host held.
func (s *scanner) count(d *targets.RehearsedChange) {
	c := &counter{scanner: s}
	if l, rest := s.layerOf(d.Path); l != nil {
		if dir, err := vfs.OpenBeneath(l.lower, rest, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW); err == nil {
			c.directory(dir, d.Path, 0)
			c.flush()
			_ = unix.Close(dir)
		} else if !errors.Is(err, unix.ENOENT) {
			c.cut = true
		}
	}
	d.Files, d.Bytes, d.Counted = c.files, c.bytes, !c.cut
	if c.cut && s.hides && s.tainted == "" {
		s.tainted = "what the command has deleted below " + d.Path + " is too much to look for hidden files there"
	}
}

// counter counts files below a directory of the host.
type counter struct {
	*scanner
	files, bytes int64
	cut          bool
	pending      []string // regular files that may be hidden
}

func (c *counter) directory(dir int, at string, depth int) {
	names, err := readNames(dir)
	if err != nil || depth > maxDepth {
		c.cut = true
		return
	}
	for _, name := range names {
		if c.files >= maxCounted {
			c.cut = true
			return
		}
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
			continue
		}
		c.files++
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			c.bytes += st.Size
			if c.pending = append(c.pending, path.Join(at, name)); len(c.pending) >= 1000 {
				c.flush()
			}
		case unix.S_IFDIR:
			fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				c.cut = true
				continue
			}
			c.directory(fd, path.Join(at, name), depth+1)
			_ = unix.Close(fd)
		}
	}
}

// flush asks which of the pending files are hidden.
func (c *counter) flush() {
	for i, hidden := range c.hidden(c.pending...) {
		if hidden {
			c.taint(c.pending[i])
		}
	}
	c.pending = c.pending[:0]
}
