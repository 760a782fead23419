package ssh

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// listing is a directory's entries, or those that are on their way.
type listing struct {
	ready   chan struct{}
	at      time.Time
	entries []vfs.Dirent // ordered by name
	err     error
	opened  int // files opened one after the other
	next    int // the first entry that was not read ahead
	visits  visits
}

// list returns a directory's listing, or asks for it: for the script itself, or ahead of it. It calls then, unless that
// is nil, once nothing is under way for it.
func (v *View) list(name string, byScript bool, then func()) (*listing, error) {
	if then == nil {
		then = func() {}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		then()
		return nil, syscall.EIO
	}
	if byScript { // it is told of the directory above, too
		v.cache.way, v.cache.setOff = name, v.target.now()
	}
	old := v.cache.listings[name]
	if old != nil && v.cache.answers(old, byScript) {
		then()
		return old, nil
	}
	l := &listing{ready: make(chan struct{})}
	if byScript {
		l.visits.first(v.target.now())
	}
	if len(v.cache.listings) >= maxListings || v.cache.listed >= maxListed {
		v.cache.forgetListings()
	}
	v.cache.listings[name] = l
	v.reading.Go(func() {
		defer then()
		v.fetchListing(name, l, old, v.target.now())
	})
	return l, nil
}

// answers reports whether a listing answers a question of the script, or one that reads ahead.
func (c *cache) answers(l *listing, byScript bool) bool {
	switch {
	case !done(l.ready):
		if byScript {
			l.visits.first(c.target.now())
		}
		return true
	case !c.believed(l.at, l.err):
		return false
	case byScript:
		return l.visits.more(l.at, c.target.now())
	}
	return !l.visits.due(l.at, c.target.now())
}

// fetchListing asks for a listing, and at the same time whether the name is still a directory: the server follows links,
// and somebody may have put one there.
func (v *View) fetchListing(name string, l, old *listing, began time.Time) {
	v.mu.Lock()
	age := v.cache.age
	v.mu.Unlock()
	entries, err := ask(v, func(r *relay) ([]sftp.Entry, error) {
		real, attrs := r.StartRealpath(v.ctx, name), r.StartLstat(v.ctx, name)
		entries, err := r.ReadDir(v.ctx, name)
		if is, lerr := attrs.Wait(v.ctx); lerr == nil {
			switch is.Mode & syscall.S_IFMT {
			case syscall.S_IFDIR:
			case syscall.S_IFLNK:
				return nil, syscall.ELOOP
			default:
				return nil, syscall.ENOTDIR
			}
		}
		if err == nil {
			err = canonical(v.ctx, real, name)
		}
		return entries, err
	})
	if errors.Is(err, syscall.ELOOP) {
		v.Forget() // what was a directory is a link now
	}
	l.err = err
	v.keepEntries(name, l, entries, func(fresh map[string]*cachedAttrs) {
		if v.cache.age != age {
			return // a command ran meanwhile
		}
		for name, found := range fresh {
			if known := v.cache.attrs[name]; known == nil || done(known.ready) && known.at.Before(began) {
				v.cache.remember(name, found)
			}
		}
		if old == nil || !done(old.ready) {
			return
		}
		for _, e := range old.entries { // those that are gone
			full := path.Join(name, e.Name)
			if known := v.cache.attrs[full]; fresh[full] == nil && known != nil && done(known.ready) && known.at.Before(began) {
				delete(v.cache.attrs, full)
			}
		}
	})
}

// canonical reports ELOOP where the server's own resolution of a name leads elsewhere.
func canonical(ctx context.Context, real sftp.Future[string], name string) error {
	got, err := real.Wait(ctx)
	if err != nil {
		return err
	}
	if got != name {
		return syscall.ELOOP
	}
	return nil
}

// keepEntries completes a listing. What the server said of each entry saves a question about it: keep gets that, with the
// lock held.
func (v *View) keepEntries(dir string, l *listing, entries []sftp.Entry, keep func(map[string]*cachedAttrs)) {
	seen := make(map[string]bool, len(entries))
	fresh := make(map[string]*cachedAttrs, len(entries))
	for _, e := range entries {
		full := path.Join(dir, e.Name)
		if seen[e.Name] || vfs.OfTheReader(full) {
			continue
		}
		seen[e.Name] = true
		d := vfs.Dirent{Name: e.Name, Ino: inode(full)}
		if info, err := sftp.Info(e.Attributes); err == nil {
			d.Type = info.Type()
			found := &cachedAttrs{ready: make(chan struct{}), attrs: e.Attributes}
			found.complete(full, v.target.now())
			fresh[full] = found
		}
		l.entries = append(l.entries, d)
	}
	slices.SortFunc(l.entries, func(a, b vfs.Dirent) int { return strings.Compare(a.Name, b.Name) })
	v.mu.Lock()
	if !v.closed {
		v.cache.listed += len(l.entries)
		keep(fresh)
	}
	v.mu.Unlock()
	l.at = v.target.now()
	close(l.ready)
}
