package ssh

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// What was seen of a target is believed for as long as the session lasts, until one of its commands has run. So that a
// script that waits for something sees it happen, the gateway looks again
//   - after a pause: the script has asked for nothing for so long, as one that sleeps, or whose human thinks;
//   - when a script comes back to a name for the second time, the latest answer being older than a visit is long: one that
//     asks again and again gets a new answer every other visit, while one that walks a tree twice gets the same.
const (
	pauseLength = time.Second
	visitLength = time.Second
	failureLife = time.Second     // of an answer that did not come, or broke the protocol
	contentLife = 5 * time.Second // of what was read ahead of the script
)

// Bounds of what one session remembers of a target.
const (
	maxLooks    = 100_000
	maxListings = 4_096
	maxListed   = 2 * sftp.MaxEntries // entries of all listings in sum
)

// remoteDev is the device number of a target's files: major 4094, which Linux gives to no driver.
const remoteDev = 0xffe00

// View is a target's file tree as one session looks at it: a vfs.Source that remembers for moments what it saw, and
// asks ahead of the script. Close it.
type View struct {
	target  *Target
	o       targets.ViewOptions
	ctx     context.Context
	stop    context.CancelFunc
	ahead   chan struct{} // bounds what is asked ahead of the script
	reading sync.WaitGroup

	mu       sync.Mutex
	relay    *relay
	making   chan struct{} // holds one: who opens a channel
	closed   bool
	looks    map[string]*look
	listings map[string]*listing
	listed   int // entries of them in sum
	contents contents
	pieces   pieces
	trails   map[trailKey]*trail
	walks    int // listings of directories that a listing named, as a walk makes
	told     bool
	asking   int       // questions of the script under way
	asked    time.Time // when the last one ended
	way      string    // what the script is asking for, while the directories on the way to it are looked at
	setOff   time.Time // when it began to
	age      int       // how often everything was forgotten
}

// visits counts how often a script comes back to what was found.
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

// more reports whether what was found at a time is also the answer to a question of now.
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

// look is what Lstat found, or will find.
type look struct {
	ready chan struct{}
	at    time.Time // once ready
	attrs sftp.Attributes
	info  vfs.Info
	err   error

	// Guarded by the view's lock.
	visits visits
	text   *linkText // nil where nobody has asked for it
}

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

// aheadAtOnce is how many questions are asked ahead of the script at a time.
const aheadAtOnce = 48

// View makes a view. Without options it reads nothing ahead; with a policy it opens its channel at once and looks at where
// scripts begin, the root and the account's home directory.
func (t *Target) View(o targets.ViewOptions) targets.View {
	ctx, stop := context.WithCancel(context.Background())
	v := &View{
		making: make(chan struct{}, 1),
		target: t, o: o, ctx: ctx, stop: stop, ahead: make(chan struct{}, aheadAtOnce),
		looks: map[string]*look{}, listings: map[string]*listing{}, contents: contents{files: map[string]*fetched{}}, pieces: newPieces(),
		trails: map[trailKey]*trail{},
	}
	if o.Policy != nil { // what every script begins with
		_, _ = v.look("/")
		v.lookAhead(t.Account().Home)
	}
	return v
}

// Close ends what is under way and gives the connection back. Descriptors that were handed out stay valid.
func (v *View) Close() error {
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		return nil
	}
	v.closed = true
	v.mu.Unlock()
	v.stop()
	v.reading.Wait()
	v.mu.Lock()
	r := v.relay
	v.relay = nil
	var handles []sftp.Handle
	for _, f := range v.pieces.open {
		if f.r == r {
			handles = append(handles, f.handle)
		}
		f.r, f.handle, f.closed = nil, "", true
	}
	v.looks, v.listings, v.contents, v.pieces, v.trails = nil, nil, contents{}, newPieces(), nil
	v.mu.Unlock()
	if r != nil {
		for _, h := range handles {
			r.Forget(h)
		}
		v.target.pool.giveBack(r)
	}
	return nil
}

// Forget drops everything that the view remembers: a command may have changed it.
func (v *View) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed {
		v.forgetLooks()
		v.contents.clear()
		clear(v.pieces.all)
		v.pieces.order.Init()
	}
}

// forgetLooks drops what was seen, and what is on its way. The caller holds the lock.
func (v *View) forgetLooks() {
	v.age++
	clear(v.looks)
	v.forgetListings()
}

// question begins one of the script's, and answered ends it.
func (v *View) question() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asking == 0 && !v.closed && !v.asked.IsZero() && v.target.now().Sub(v.asked) >= pauseLength {
		v.forgetLooks()
	}
	v.asking++
}

func (v *View) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asking--
	v.asked = v.target.now()
}

// forgetListings drops what was listed. The caller holds the lock.
func (v *View) forgetListings() {
	clear(v.listings)
	v.listed = 0
}

// channel returns the view's SFTP channel, a new one where it has none that works. One is opened at a time.
func (v *View) channel() (*relay, error) {
	if r, err := v.standing(); r != nil || err != nil {
		return r, err
	}
	select {
	case v.making <- struct{}{}:
	case <-v.ctx.Done():
		return nil, syscall.EIO
	}
	defer func() { <-v.making }()
	if r, err := v.standing(); r != nil || err != nil { // by somebody else
		return r, err
	}
	fresh, err := v.target.pool.relay(v.ctx)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	if v.closed {
		v.mu.Unlock()
		v.target.pool.giveBack(fresh)
		return nil, syscall.EIO
	}
	old := v.relay
	v.relay = fresh
	v.mu.Unlock()
	if old != nil {
		v.target.pool.end(old)
	}
	return fresh, nil
}

// standing is the channel that there is, nil where none works.
func (v *View) standing() (*relay, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, syscall.EIO
	}
	if v.relay != nil && v.relay.Err() == nil {
		return v.relay, nil
	}
	return nil, nil
}

// maxAsked is how often a view asks a question over connections that break. Each idle channel of the pool may be one that
// broke unnoticed, and then a fresh one must have its chance.
const maxAsked = maxIdleRelays + 2

// ask runs a question, and asks it again where the connection broke under it: a question changes nothing.
func ask[T any](v *View, question func(*relay) (T, error)) (T, error) {
	for try := 1; ; try++ {
		r, err := v.channel()
		if err != nil {
			var none T
			return none, v.failure(err)
		}
		answer, err := question(r)
		if err == nil || r.Err() == nil {
			return answer, v.failure(err)
		}
		if try >= maxAsked || errors.Is(err, sftp.ErrTimeout) || errors.Is(err, sftp.ErrProtocol) {
			return answer, v.failure(err)
		}
	}
}

// failure turns what went wrong into the errno that a script sees. Of a failing connection it tells the agent once, in
// words.
func (v *View) failure(err error) error {
	if err == nil {
		return nil
	}
	var unreachable *UnreachableError
	out := syscall.EIO
	switch {
	case errors.As(err, &unreachable):
		out = syscall.EHOSTUNREACH
	case errors.Is(err, sftp.ErrTimeout):
		out = syscall.ETIMEDOUT
	case errors.Is(err, sftp.ErrProtocol):
		out = syscall.EPROTO
	case errors.Is(err, sftp.ErrEnded):
		out = syscall.ECONNRESET
	default:
		var e syscall.Errno
		if errors.As(err, &e) {
			return e
		}
		if v.ctx.Err() != nil {
			return syscall.EINTR
		}
	}
	v.tell(err)
	return out
}

func (v *View) tell(err error) {
	v.mu.Lock()
	first := !v.told
	v.told = true
	v.mu.Unlock()
	v.target.log.Warn("read from a target", "target", v.target.Name(), "error", err)
	if first && v.o.Tell != nil {
		v.o.Tell(fmt.Sprintf("reading from the target %s failed: %v", v.target.Name(), err))
	}
}

// Lstat describes the file itself.
func (v *View) Lstat(name string) (vfs.Info, error) {
	v.question()
	defer v.answered()
	l, err := v.comeBack(name)
	if err != nil {
		return vfs.Info{}, err
	}
	<-l.ready
	return l.info, l.err
}

// comeBack is look for the script itself, which does not get the same answer too often. The directories on the way to
// another name do not count.
func (v *View) comeBack(name string) (*look, error) {
	v.mu.Lock()
	now := v.target.now()
	onTheWay := strings.HasPrefix(v.way, name+"/") && now.Sub(v.setOff) < visitLength
	if l := v.looks[name]; l != nil && done(l.ready) && !onTheWay && !l.visits.more(l.at, now) {
		delete(v.looks, name)
	}
	v.mu.Unlock()
	l, err := v.look(name)
	if err == nil {
		v.mu.Lock()
		l.visits.first(now)
		v.mu.Unlock()
	}
	return l, err
}

// look returns what is known of a file, or asks.
func (v *View) look(name string) (*look, error) {
	if vfs.OfTheReader(name) {
		return nil, syscall.ENOENT
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, syscall.EIO
	}
	if l := v.looks[name]; l != nil && v.fresh(l) {
		return l, nil
	}
	l := &look{ready: make(chan struct{})}
	v.remember(name, l)
	v.reading.Go(func() {
		l.attrs, l.err = ask(v, func(r *relay) (sftp.Attributes, error) { return r.Lstat(v.ctx, name) })
		v.complete(name, l)
	})
	return l, nil
}

// fresh reports whether a look is still to be believed, or on its way.
func (v *View) fresh(l *look) bool { return !done(l.ready) || v.believed(l.at, l.err) }

// believed reports whether an answer is one still.
func (v *View) believed(at time.Time, err error) bool {
	age := v.target.now().Sub(at)
	if failed(err) {
		return age < failureLife
	}
	return v.target.cache <= 0 || age < v.target.cache
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

// remember keeps a look. The caller holds the lock.
func (v *View) remember(name string, l *look) {
	if len(v.looks) >= maxLooks {
		clear(v.looks)
	}
	v.looks[name] = l
}

// complete makes a look from its attributes and ends the waiting for it.
func (v *View) complete(name string, l *look) {
	if l.err == nil {
		l.info, l.err = sftp.Info(l.attrs)
		l.info.Dev, l.info.Ino = remoteDev, inode(name)
	}
	l.at = v.target.now()
	close(l.ready)
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
	v.setOut(name)
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
		if _, err := v.look(prefix); err != nil {
			return
		}
		at = end + 1
	}
}

// setOut notes where the script is going. Where it has been there too often, the view looks at the way anew: what changed
// may be a link on it.
func (v *View) setOut(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if path.Clean(name) != name {
		return
	}
	v.way, v.setOff = name, v.target.now()
	l := v.looks[name]
	if l == nil || !done(l.ready) || l.visits.more(l.at, v.target.now()) {
		return
	}
	for ; name != "/"; name = path.Dir(name) {
		delete(v.looks, name)
	}
}

// ReadDir lists a directory.
func (v *View) ReadDir(name string) ([]vfs.Dirent, error) {
	if vfs.OfTheReader(name) {
		return nil, syscall.ENOENT
	}
	v.question()
	defer v.answered()
	v.leaveTrail(listsDirs, name)
	l, err := v.list(name, true, nil)
	if err != nil {
		return nil, err
	}
	<-l.ready
	if l.err == nil {
		v.walking(name, l)
	}
	return slices.Clone(l.entries), l.err
}

// list returns a directory's listing, or asks for it; by the script itself, or ahead of it. What is not nil is called
// once nothing is under way for it.
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
		v.way, v.setOff = name, v.target.now()
	}
	old := v.listings[name]
	if old != nil && v.answers(old, byScript) {
		then()
		return old, nil
	}
	l := &listing{ready: make(chan struct{})}
	if byScript {
		l.visits.first(v.target.now())
	}
	if len(v.listings) >= maxListings || v.listed >= maxListed {
		v.forgetListings()
	}
	v.listings[name] = l
	v.reading.Go(func() {
		defer then()
		v.fetchListing(name, l, old, v.target.now())
	})
	return l, nil
}

// answers reports whether a listing answers a question of the script, or of somebody ahead of it. The caller holds the
// lock.
func (v *View) answers(l *listing, byScript bool) bool {
	switch {
	case !done(l.ready):
		if byScript {
			l.visits.first(v.target.now())
		}
		return true
	case !v.believed(l.at, l.err):
		return false
	case byScript:
		return l.visits.more(l.at, v.target.now())
	}
	return !l.visits.due(l.at, v.target.now())
}

// fetchListing asks for a listing, and at the same time whether the name is still a directory: the server follows links,
// and somebody may have put one there.
func (v *View) fetchListing(name string, l, old *listing, began time.Time) {
	v.mu.Lock()
	age := v.age
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
	v.keepEntries(name, l, entries, func(fresh map[string]*look) {
		if v.age != age {
			return // a command ran meanwhile
		}
		for name, found := range fresh {
			if known := v.looks[name]; known == nil || done(known.ready) && known.at.Before(began) {
				v.remember(name, found)
			}
		}
		if old == nil || !done(old.ready) {
			return
		}
		for _, e := range old.entries { // those that are gone
			full := path.Join(name, e.Name)
			if known := v.looks[full]; fresh[full] == nil && known != nil && done(known.ready) && known.at.Before(began) {
				delete(v.looks, full)
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
func (v *View) keepEntries(dir string, l *listing, entries []sftp.Entry, keep func(map[string]*look)) {
	seen := make(map[string]bool, len(entries))
	fresh := make(map[string]*look, len(entries))
	for _, e := range entries {
		full := path.Join(dir, e.Name)
		if seen[e.Name] || vfs.OfTheReader(full) {
			continue
		}
		seen[e.Name] = true
		d := vfs.Dirent{Name: e.Name, Ino: inode(full)}
		if info, err := sftp.Info(e.Attributes); err == nil {
			d.Type = info.Type()
			found := &look{ready: make(chan struct{}), attrs: e.Attributes}
			v.complete(full, found)
			fresh[full] = found
		}
		l.entries = append(l.entries, d)
	}
	slices.SortFunc(l.entries, func(a, b vfs.Dirent) int { return strings.Compare(a.Name, b.Name) })
	v.mu.Lock()
	if !v.closed {
		v.listed += len(l.entries)
		keep(fresh)
	}
	v.mu.Unlock()
	l.at = v.target.now()
	close(l.ready)
}

// Readlink returns a link's text.
func (v *View) Readlink(name string) (string, error) {
	if vfs.OfTheReader(name) {
		return "", syscall.ENOENT
	}
	v.question()
	defer v.answered()
	l, err := v.comeBack(name)
	if err != nil {
		return "", err
	}
	<-l.ready
	switch {
	case l.err != nil:
		return "", l.err
	case !l.info.IsSymlink():
		return "", syscall.EINVAL
	}
	v.leaveTrail(readsLinks, name)
	return v.readLink(name, l)
}

// learned keeps what an open has told of a file.
func (v *View) learned(name string, attrs sftp.Attributes) {
	found := &look{ready: make(chan struct{}), attrs: attrs}
	v.complete(name, found)
	v.mu.Lock()
	defer v.mu.Unlock()
	if l := v.looks[name]; !v.closed && l != nil && done(l.ready) && found.err == nil {
		found.visits = l.visits
		v.looks[name] = found
	}
}
