package ssh

import (
	"errors"
	"path"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// visits counts how often a script comes back to a cached answer.
type visits struct {
	since time.Time // when the present one began; zero before the first
	again bool      // there was one before
}

// first notes the first question, which may be the one that asked for it.
func (s *visits) first(now time.Time) {
	if s.since.IsZero() {
		s.since = now
	}
}

// more reports whether an answer of the time at also answers a question of now.
func (s *visits) more(at, now time.Time) bool {
	s.first(now)
	switch {
	case s.due(at, now):
		return false
	case now.Sub(s.since) >= visitLength && now.Sub(at) >= visitLength:
		s.since, s.again = now, true
	}
	return true
}

// due reports whether more would say no.
func (s *visits) due(at, now time.Time) bool {
	return s.again && now.Sub(s.since) >= visitLength && now.Sub(at) >= visitLength
}

// cachedAttrs are the attributes that Lstat found, or will find.
type cachedAttrs struct {
	ready chan struct{}
	at    time.Time // once ready
	attrs sftp.Attributes
	info  vfs.Info
	err   error

	// Guarded by the view's lock.
	visits visits
	text   *linkText // nil where nobody has asked for it
}

// lstatForScript is lstat for the script itself, which does not get the same answer too often. The directories on the way
// to another name do not count.
func (v *View) lstatForScript(name string) (*cachedAttrs, error) {
	v.mu.Lock()
	now := v.target.now()
	onTheWay := strings.HasPrefix(v.cache.way, name+"/") && now.Sub(v.cache.setOff) < visitLength
	if l := v.cache.attrs[name]; l != nil && done(l.ready) && !onTheWay && !l.visits.more(l.at, now) {
		delete(v.cache.attrs, name)
	}
	v.mu.Unlock()
	l, err := v.lstat(name)
	if err == nil {
		v.mu.Lock()
		l.visits.first(now)
		v.mu.Unlock()
	}
	return l, err
}

// lstat returns the cached attributes of a file, or asks for them.
func (v *View) lstat(name string) (*cachedAttrs, error) {
	if vfs.OfTheReader(name) {
		return nil, syscall.ENOENT
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, syscall.EIO
	}
	if l := v.cache.attrs[name]; l != nil && v.cache.fresh(l) {
		return l, nil
	}
	l := &cachedAttrs{ready: make(chan struct{})}
	v.cache.remember(name, l)
	v.reading.Go(func() {
		l.attrs, l.err = ask(v, func(r *relay) (sftp.Attributes, error) { return r.Lstat(v.ctx, name) })
		l.complete(name, v.target.now())
	})
	return l, nil
}

// fresh reports whether cached attributes still count, or are on their way.
func (c *cache) fresh(l *cachedAttrs) bool { return !done(l.ready) || c.believed(l.at, l.err) }

// believed reports whether an answer still counts.
func (c *cache) believed(at time.Time, err error) bool {
	age := c.target.now().Sub(at)
	if failed(err) {
		return age < failureLife
	}
	return c.target.cache <= 0 || age < c.target.cache
}

// failed reports whether an error says nothing of the file: it is the connection's.
func failed(err error) bool {
	for _, e := range []error{syscall.EHOSTUNREACH, syscall.ETIMEDOUT, syscall.EPROTO, syscall.ECONNRESET, syscall.EINTR, syscall.EIO} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// remember caches attributes.
func (c *cache) remember(name string, l *cachedAttrs) {
	if len(c.attrs) >= maxAttrs {
		clear(c.attrs)
	}
	c.attrs[name] = l
}

// complete fills in what follows from the attributes, and ends the waiting for them.
func (l *cachedAttrs) complete(name string, now time.Time) {
	if l.err == nil {
		l.info, l.err = sftp.Info(l.attrs)
		l.info.Dev, l.info.Ino = remoteDev, inode(name)
	}
	l.at = now
	close(l.ready)
}

// learned caches what an open has told of a file.
func (v *View) learned(name string, attrs sftp.Attributes) {
	found := &cachedAttrs{ready: make(chan struct{}), attrs: attrs}
	found.complete(name, v.target.now())
	v.mu.Lock()
	defer v.mu.Unlock()
	if l := v.cache.attrs[name]; !v.closed && l != nil && done(l.ready) && found.err == nil {
		found.visits = l.visits
		v.cache.attrs[name] = found
	}
}

// inode numbers a file by its path (FNV-1a): the protocol has no such number.
func inode(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return h>>1 | 1
}

// Ahead asks for every directory on the way to a name at once, as far as the session may see them.
func (v *View) Ahead(name string) {
	if v.o.Policy == nil {
		return
	}
	v.question()
	defer v.answered()
	v.revalidateWay(name)
	v.lookAhead(name)
}

// lookAhead is Ahead on nobody's behalf.
func (v *View) lookAhead(name string) {
	for at := 1; at < len(name); {
		end := at + strings.IndexByte(name[at:]+"/", '/')
		prefix := name[:end]
		if component := name[at:end]; component == "" || component == "." || component == ".." {
			return // what it means depends on what stands before it
		}
		if v.o.Policy.Decide(prefix) == vfs.Hidden {
			return
		}
		if _, err := v.lstat(prefix); err != nil {
			return
		}
		at = end + 1
	}
}

// revalidateWay notes where the script is going. Where it has been there too often, the view forgets the attributes on
// the way: what changed may be a link on it.
func (v *View) revalidateWay(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if path.Clean(name) != name {
		return
	}
	v.cache.way, v.cache.setOff = name, v.target.now()
	l := v.cache.attrs[name]
	if l == nil || !done(l.ready) || l.visits.more(l.at, v.target.now()) {
		return
	}
	for ; name != "/"; name = path.Dir(name) {
		delete(v.cache.attrs, name)
	}
}
