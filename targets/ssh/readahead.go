package ssh

import (
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// What the view reads ahead: scripts read the files of a directory one after the other, and walk trees.
const (
	filesAhead    = 32
	smallFile     = 64 << 10 // bytes; larger files are never read ahead
	maxContents   = 16 << 20 // bytes of files that were read ahead and not opened yet
	listingsAhead = 16
)

// contents are small files that the view has read ahead.
type contents struct {
	files map[string]*fetched
	order []string // oldest first
	bytes int
}

// fetched is a file that was read, or is being read.
type fetched struct {
	ready   chan struct{}
	at      time.Time // when it was asked for
	data    []byte
	err     error
	pattern *pattern // that it is part of, nil for none
}

func (c *contents) clear() {
	clear(c.files)
	c.order, c.bytes = nil, 0
}

// add keeps a file and drops the oldest ones beyond the bound. The caller holds the view's lock.
func (c *contents) add(name string, f *fetched) {
	if len(c.order) > 2*len(c.files)+filesAhead {
		c.order = slices.DeleteFunc(c.order, func(name string) bool { return c.files[name] == nil })
	}
	c.files[name] = f
	c.order = append(c.order, name)
}

// weigh counts a file's bytes once they are there.
func (c *contents) weigh(name string, f *fetched) {
	if c.files[name] != f {
		return
	}
	if f.err != nil {
		delete(c.files, name)
		return
	}
	c.bytes += len(f.data)
	for c.bytes > maxContents && len(c.order) > 0 {
		oldest := c.order[0]
		c.order = c.order[1:]
		if old := c.files[oldest]; old != nil && old != f {
			c.forget(oldest, old)
		}
	}
}

func (c *contents) forget(name string, f *fetched) {
	delete(c.files, name)
	select {
	case <-f.ready:
		c.bytes -= len(f.data)
	default:
	}
}

// take hands out a file that was read ahead, once: the next open reads it anew.
func (v *View) take(name string) *fetched {
	v.mu.Lock()
	f := v.contents.files[name]
	v.mu.Unlock()
	if f == nil {
		return nil
	}
	select {
	case <-f.ready:
	case <-v.ctx.Done():
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || v.contents.files[name] != f {
		return nil
	}
	v.contents.forget(name, f)
	if f.err != nil {
		return nil
	}
	life := contentLife
	if kernelFile(name) {
		life = kernelLife
	}
	inTime := v.target.now().Sub(f.at) < life
	if f.pattern != nil {
		f.pattern.adjust(inTime)
	}
	if !inTime {
		return nil
	}
	return f
}

// following notes that a file was opened, and reads its neighbours ahead once a script goes through a directory.
func (v *View) following(name string) {
	if v.o.Policy == nil || kernelFile(name) {
		return
	}
	dir := path.Dir(name)
	v.mu.Lock()
	defer v.mu.Unlock()
	l := v.cache.listings[dir]
	if l == nil || v.closed || !done(l.ready) || l.err != nil {
		return
	}
	l.opened++
	at, ok := slices.BinarySearchFunc(l.entries, path.Base(name), func(d vfs.Dirent, name string) int { return strings.Compare(d.Name, name) })
	if !ok || l.opened < 2 || l.next-at > filesAhead/2 {
		return
	}
	for i := max(l.next, at+1); i < len(l.entries) && i <= at+filesAhead; i++ {
		l.next = i + 1
		v.readAhead(path.Join(dir, l.entries[i].Name))
	}
}

func done(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// readAhead reads a small regular file in the background, if the session may see it. The caller holds the lock.
func (v *View) readAhead(name string) {
	l := v.cache.attrs[name]
	if l == nil || !done(l.ready) || l.err != nil || !l.info.IsRegular() || l.info.Size == 0 || l.info.Size > smallFile {
		return
	}
	if v.contents.files[name] != nil || v.o.Policy.Decide(name) != vfs.Visible || !v.background() {
		return
	}
	f := &fetched{ready: make(chan struct{})}
	v.contents.add(name, f)
	v.reading.Go(func() {
		defer func() { <-v.prefetches }()
		began := v.target.now()
		var err error
		f.data, err = v.readSibling(name, l)
		v.fetched(name, f, began, err)
	})
}

// background takes one of the places for questions that nobody waits for yet.
func (v *View) background() bool {
	select {
	case v.prefetches <- struct{}{}:
		return true
	default:
		return false
	}
}

// walking notes that the script listed a directory. Once that looks like a walk, it lists the next ones ahead.
func (v *View) walking(name string, l *listing) {
	if v.o.Policy == nil || kernelFile(name) {
		return
	}
	v.mu.Lock()
	up := v.cache.listings[path.Dir(name)]
	if name != "/" && up != nil && done(up.ready) && up.err == nil {
		v.walks++
	}
	walk := v.walks > 0
	v.mu.Unlock()
	if !walk {
		return
	}
	v.listAhead(name, l.entries)
	if up != nil {
		after, _ := slices.BinarySearchFunc(up.entries, path.Base(name), func(d vfs.Dirent, name string) int { return strings.Compare(d.Name, name) })
		v.listAhead(path.Dir(name), up.entries[min(after, len(up.entries)):])
	}
}

// listAhead lists the first directories among the entries.
func (v *View) listAhead(dir string, entries []vfs.Dirent) {
	n := 0
	for _, d := range entries {
		if d.Type != syscall.S_IFDIR {
			continue
		}
		if n++; n > listingsAhead {
			return
		}
		full := path.Join(dir, d.Name)
		v.mu.Lock()
		l := v.cache.listings[full]
		known := l != nil && v.cache.answers(l, false)
		v.mu.Unlock()
		if known || vfs.OfTheReader(full) || v.o.Policy.Decide(full) == vfs.Hidden || !v.background() {
			continue
		}
		if _, err := v.list(full, false, func() { <-v.prefetches }); err != nil {
			return
		}
	}
}

// kernelFile reports whether the kernel makes a file as it is read. Its size says nothing then, and reading it may cost
// the target something.
func kernelFile(name string) bool {
	for _, dir := range []string{"/proc", "/sys"} {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// fetchSmall reads a file of at most smallFile bytes that a listing described.
func (v *View) fetchSmall(r *relay, name string, attrs sftp.Attributes) ([]byte, error) {
	f, err := v.openRemote(r, name, int64(attrs.Size)) // #nosec G115 -- at most smallFile
	if err != nil {
		return nil, err
	}
	defer r.Forget(f.handle)
	return f.rest(v.ctx, smallFile)
}
