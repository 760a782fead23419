package ssh

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/vfs"
)

// A script that asks for the same name in one directory after the other (/proc/1/stat, /proc/2/stat) has an access
// pattern. The view asks ahead for what comes next: a few names first, more as long as the script takes in time what was
// fetched.
const (
	firstWindow   = 4
	maxWindow     = 32
	maxPatterns   = 16 // of a view
	maxBelow      = 4  // components of the name below the directories
	maxStride     = 8  // from one directory to the next, in those that the listing has: scripts leave some out
	kernelLife    = time.Second
	maxNumberSize = 18 // digits
)

// patternKey is what a pattern is found by: names are DIR/SIBLING/REST.
type patternKey struct {
	kind      accessKind
	dir, rest string
}

// accessKind is what a script does with the names.
type accessKind int

const (
	readsFiles accessKind = iota
	readsLinks
	listsDirs
)

// pattern is how far a script has come.
type pattern struct {
	last   string   // sibling
	order  []string // siblings as the script takes them, nil as long as that is not known
	less   func(a, b string) int
	next   int // in order: the first that was not asked for
	window int // how many are asked for
}

// noteAccess notes that a script asks for a name, and reads ahead where the name is part of a pattern.
func (v *View) noteAccess(kind accessKind, name string) {
	if v.o.Policy == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	key, sibling, l := v.patternOf(kind, name)
	if l == nil {
		return
	}
	t := v.patterns[key]
	if t == nil {
		if len(v.patterns) >= maxPatterns {
			clear(v.patterns)
		}
		v.patterns[key] = &pattern{last: sibling}
		return
	}
	if sibling == t.last {
		return
	}
	at, ok := t.step(sibling, l)
	if t.last = sibling; !ok {
		t.order = nil
		return
	}
	if t.next-at > t.window/2 {
		return
	}
	for i := max(t.next, at+1); i < len(t.order) && i <= at+t.window; i++ {
		if !v.prefetch(key, t, t.order[i]) {
			return
		}
		t.next = i + 1
	}
}

// patternOf parts a name at the nearest directory above it that the script has listed, but for its own. The listing is
// nil where there is none. The caller holds the lock.
func (v *View) patternOf(kind accessKind, name string) (key patternKey, sibling string, l *listing) {
	rest, dir := path.Base(name), path.Dir(name)
	for range maxBelow {
		if dir == "/" {
			return key, "", nil
		}
		up, base := path.Dir(dir), path.Base(dir)
		if l = v.cache.listings[up]; l != nil && done(l.ready) && l.err == nil {
			return patternKey{kind, up, rest}, base, l
		}
		rest, dir = path.Join(base, rest), up
	}
	return key, "", nil
}

// step is the place of a sibling, a few steps behind the last one, in the order of the pattern: that of the listing, or
// of the numbers that the names are.
func (t *pattern) step(sibling string, l *listing) (at int, ok bool) {
	if t.order != nil {
		return t.forward(sibling)
	}
	var dirs []string
	for _, d := range l.entries {
		if d.Type == syscall.S_IFDIR {
			dirs = append(dirs, d.Name)
		}
	}
	numbers := slices.DeleteFunc(slices.Clone(dirs), func(name string) bool { return !isNumber(name) })
	slices.SortFunc(numbers, byNumber)
	t.next, t.window = 0, firstWindow
	for _, try := range []struct {
		order []string
		less  func(a, b string) int
	}{{dirs, strings.Compare}, {numbers, byNumber}} {
		t.order, t.less = try.order, try.less
		if at, ok = t.forward(sibling); ok {
			return at, true
		}
	}
	return 0, false
}

// forward finds a sibling that is a few steps behind the last one.
func (t *pattern) forward(sibling string) (at int, ok bool) {
	at, ok = slices.BinarySearchFunc(t.order, sibling, t.less)
	before, known := slices.BinarySearchFunc(t.order, t.last, t.less)
	return at, ok && known && at > before && at-before <= maxStride
}

func isNumber(name string) bool {
	return name != "" && len(name) <= maxNumberSize && strings.Trim(name, "0123456789") == ""
}

func byNumber(a, b string) int {
	if !isNumber(a) || !isNumber(b) {
		return strings.Compare(a, b)
	}
	x, _ := strconv.Atoi(a)
	y, _ := strconv.Atoi(b)
	return cmp.Compare(x, y)
}

// adjust sets how far the view reads ahead. What the script took too late was asked for too early.
func (t *pattern) adjust(inTime bool) {
	if inTime {
		t.window = min(2*t.window, maxWindow)
	} else {
		t.window = max(t.window/2, 1)
	}
}

// prefetch asks for the next name of a pattern in the background, if the session may see it. It reports false where too
// much is under way already. The caller holds the lock.
func (v *View) prefetch(key patternKey, t *pattern, sibling string) bool {
	way := v.visible(path.Join(key.dir, sibling), key.rest)
	if way == nil {
		return true
	}
	name := way[len(way)-1]
	if key.kind == readsFiles && v.contents.files[name] != nil {
		return true
	}
	if !v.background() {
		return false
	}
	var f *fetched
	if key.kind == readsFiles {
		f = &fetched{ready: make(chan struct{}), pattern: t}
		v.contents.add(name, f)
	}
	v.reading.Go(func() {
		defer func() { <-v.prefetches }()
		l, err := v.wayTo(way)
		switch key.kind {
		case readsFiles:
			began := v.target.now()
			if err == nil {
				f.data, err = v.readSibling(name, l)
			}
			v.fetched(name, f, began, err)
		case readsLinks:
			if err == nil && l.info.IsSymlink() {
				_, _ = v.readLink(name, l)
			}
		case listsDirs:
			if err == nil && l.info.IsDir() {
				if listed, err := v.list(name, false, nil); err == nil {
					<-listed.ready
				}
			}
		}
	})
	return true
}

// visible is every step from a directory to what is below it, nil where the session does not see one of them, or where
// the last is but a way to something that it sees.
func (v *View) visible(dir, rest string) (way []string) {
	for at := dir; ; {
		verdict := v.o.Policy.Decide(at)
		if verdict == vfs.Hidden || vfs.OfTheReader(at) || rest == "" && verdict != vfs.Visible {
			return nil
		}
		way = append(way, at)
		if rest == "" {
			return way
		}
		var component string
		component, rest, _ = strings.Cut(rest, "/")
		at = path.Join(at, component)
	}
}

// wayTo asks for the attributes of every step at once. It returns the last one where those before it are directories.
func (v *View) wayTo(way []string) (*cachedAttrs, error) {
	found := make([]*cachedAttrs, len(way))
	for i, name := range way {
		l, err := v.lstat(name)
		if err != nil {
			return nil, err
		}
		found[i] = l
	}
	for i, l := range found {
		<-l.ready
		switch {
		case l.err != nil:
			return nil, l.err
		case i < len(found)-1 && !l.info.IsDir():
			return nil, syscall.ENOTDIR
		}
	}
	return found[len(found)-1], nil
}

// readSibling reads a small regular file.
func (v *View) readSibling(name string, l *cachedAttrs) ([]byte, error) {
	if !l.info.IsRegular() || l.info.Size > smallFile {
		return nil, syscall.EFBIG
	}
	return ask(v, func(r *relay) ([]byte, error) { return v.fetchSmall(r, name, l.attrs) })
}

// fetched completes a file that was read ahead.
func (v *View) fetched(name string, f *fetched, began time.Time, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f.at, f.err = began, err
	close(f.ready)
	if !v.closed {
		v.contents.weigh(name, f)
	}
}

// linkText is the text of a link, or on its way.
type linkText struct {
	ready chan struct{}
	text  string
	err   error
}

// readLink is the text of a link, asked for once.
func (v *View) readLink(name string, l *cachedAttrs) (string, error) {
	v.mu.Lock()
	t := l.text
	if t != nil && (!done(t.ready) || t.err == nil) {
		v.mu.Unlock()
		<-t.ready
		return t.text, t.err
	}
	t = &linkText{ready: make(chan struct{})}
	l.text = t
	v.mu.Unlock()
	defer close(t.ready)
	t.text, t.err = ask(v, func(r *relay) (string, error) { return r.Readlink(v.ctx, name) })
	return t.text, t.err
}
