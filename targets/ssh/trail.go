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

// A script that asks for the same name in one directory after the other (/proc/1/stat, /proc/2/stat) leaves a trail, and
// what comes next on it is asked for ahead: a few names first, more as long as the script takes what was fetched in time.
const (
	firstAhead    = 4
	mostAhead     = 32
	maxTrails     = 16 // of a view
	maxBelow      = 4  // components of the name below the directories
	nearOnTrail   = 8  // from one directory to the next, in those that the listing has: scripts leave some out
	kernelLife    = time.Second
	maxNumberSize = 18 // digits
)

// trailKey is what a trail is found by: names are DIR/SIBLING/REST.
type trailKey struct {
	kind      trailKind
	dir, rest string
}

// trailKind is what a script does with the names.
type trailKind int

const (
	readsFiles trailKind = iota
	readsLinks
	listsDirs
)

// trail is how far a script has come.
type trail struct {
	last  string   // sibling
	order []string // siblings as the script takes them, nil as long as that is not known
	less  func(a, b string) int
	next  int // in order: the first that was not asked for
	ahead int // how many are asked for
}

// leaveTrail notes that a script asks for a name, and asks ahead where that is on a trail.
func (v *View) leaveTrail(kind trailKind, name string) {
	if v.o.Policy == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	key, sibling, l := v.onTrail(kind, name)
	if l == nil {
		return
	}
	t := v.trails[key]
	if t == nil {
		if len(v.trails) >= maxTrails {
			clear(v.trails)
		}
		v.trails[key] = &trail{last: sibling}
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
	if t.next-at > t.ahead/2 {
		return
	}
	for i := max(t.next, at+1); i < len(t.order) && i <= at+t.ahead; i++ {
		if !v.fetchAhead(key, t, t.order[i]) {
			return
		}
		t.next = i + 1
	}
}

// onTrail parts a name at the nearest directory above it that the script has listed, but for its own. The listing is nil
// where there is none. The caller holds the lock.
func (v *View) onTrail(kind trailKind, name string) (key trailKey, sibling string, l *listing) {
	rest, dir := path.Base(name), path.Dir(name)
	for range maxBelow {
		if dir == "/" {
			return key, "", nil
		}
		up, base := path.Dir(dir), path.Base(dir)
		if l = v.listings[up]; l != nil && done(l.ready) && l.err == nil {
			return trailKey{kind, up, rest}, base, l
		}
		rest, dir = path.Join(base, rest), up
	}
	return key, "", nil
}

// step is the place of a sibling, a few steps behind the last one, in the order of the trail: that of the listing, or of
// the numbers that the names are.
func (t *trail) step(sibling string, l *listing) (at int, ok bool) {
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
	t.next, t.ahead = 0, firstAhead
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
func (t *trail) forward(sibling string) (at int, ok bool) {
	at, ok = slices.BinarySearchFunc(t.order, sibling, t.less)
	before, known := slices.BinarySearchFunc(t.order, t.last, t.less)
	return at, ok && known && at > before && at-before <= nearOnTrail
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

// taken adjusts how far a trail is asked ahead: what came too late was asked for too early.
func (t *trail) taken(inTime bool) {
	if inTime {
		t.ahead = min(2*t.ahead, mostAhead)
	} else {
		t.ahead = max(t.ahead/2, 1)
	}
}

// fetchAhead asks for a name on a trail in the background, if the session may see it. It reports false where too much is
// under way already. The caller holds the lock.
func (v *View) fetchAhead(key trailKey, t *trail, sibling string) bool {
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
		f = &fetched{ready: make(chan struct{}), trail: t}
		v.contents.add(name, f)
	}
	v.reading.Go(func() {
		defer func() { <-v.ahead }()
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

// wayTo looks at every step at once, and returns the last one where those before it are directories.
func (v *View) wayTo(way []string) (*look, error) {
	looks := make([]*look, len(way))
	for i, name := range way {
		l, err := v.look(name)
		if err != nil {
			return nil, err
		}
		looks[i] = l
	}
	for i, l := range looks {
		<-l.ready
		switch {
		case l.err != nil:
			return nil, l.err
		case i < len(looks)-1 && !l.info.IsDir():
			return nil, syscall.ENOTDIR
		}
	}
	return looks[len(looks)-1], nil
}

// readSibling reads a small regular file.
func (v *View) readSibling(name string, l *look) ([]byte, error) {
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
func (v *View) readLink(name string, l *look) (string, error) {
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
