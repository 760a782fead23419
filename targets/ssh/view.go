package ssh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// A view believes what it saw of a target for as long as the session lasts, until one of its commands has run. A script
// that waits for something must see it happen, so the gateway asks again
//
//   - after a pause: the script has asked for nothing for so long, as one that sleeps, or whose human thinks;
//   - when a script comes back to a name for the second time, and the latest answer is older than a visit is long. A
//     script that asks again and again gets a new answer every other visit; one that walks a tree twice gets the same.
const (
	pauseLength = time.Second
	visitLength = time.Second
	failureLife = time.Second     // of an answer that did not come, or broke the protocol
	contentLife = 5 * time.Second // of what was read ahead of the script
)

// Bounds of what one session remembers of a target.
const (
	maxAttrs    = 100_000
	maxListings = 4_096
	maxListed   = 2 * sftp.MaxEntries // entries of all listings in sum
)

// remoteDev is the device number of a target's files: major 4094, which Linux gives to no driver.
const remoteDev = 0xffe00

// View is a target's file tree as one session looks at it: a vfs.Source with a cache of attributes and listings, which
// reads ahead of the script. Close it.
type View struct {
	target     *Target
	o          targets.ViewOptions
	ctx        context.Context
	stop       context.CancelFunc
	prefetches chan struct{} // bounds what is asked ahead of the script
	reading    sync.WaitGroup

	mu       sync.Mutex
	relay    *relay
	making   chan struct{} // holds one: who opens a channel
	closed   bool
	attrs    map[string]*cachedAttrs
	listings map[string]*listing
	listed   int // entries of them in sum
	contents contents
	pieces   pieces
	patterns map[patternKey]*pattern
	walks    int // listings of directories that a listing named, as a walk makes
	told     bool
	asking   int       // questions of the script under way
	asked    time.Time // when the last one ended
	way      string    // what the script is asking for, while the directories on the way to it are looked at
	setOff   time.Time // when it began to
	age      int       // how often everything was forgotten
}

// maxPrefetches is how many questions are asked ahead of the script at a time.
const maxPrefetches = 48

// View makes a view. Without options it reads nothing ahead. With a policy it opens its channel at once, and asks for the
// attributes of where scripts begin: the root and the account's home directory.
func (t *Target) View(o targets.ViewOptions) targets.View {
	ctx, stop := context.WithCancel(context.Background())
	v := &View{
		making: make(chan struct{}, 1),
		target: t, o: o, ctx: ctx, stop: stop, prefetches: make(chan struct{}, maxPrefetches),
		attrs: map[string]*cachedAttrs{}, listings: map[string]*listing{}, contents: contents{files: map[string]*fetched{}}, pieces: newPieces(),
		patterns: map[patternKey]*pattern{},
	}
	if o.Policy != nil { // what every script begins with
		_, _ = v.lstat("/")
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
	v.attrs, v.listings, v.contents, v.pieces, v.patterns = nil, nil, contents{}, newPieces(), nil
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
	clear(v.attrs)
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
	l, err := v.lstatForScript(name)
	if err != nil {
		return vfs.Info{}, err
	}
	<-l.ready
	return l.info, l.err
}

// ReadDir lists a directory.
func (v *View) ReadDir(name string) ([]vfs.Dirent, error) {
	if vfs.OfTheReader(name) {
		return nil, syscall.ENOENT
	}
	v.question()
	defer v.answered()
	v.noteAccess(listsDirs, name)
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

// Readlink returns a link's text.
func (v *View) Readlink(name string) (string, error) {
	if vfs.OfTheReader(name) {
		return "", syscall.ENOENT
	}
	v.question()
	defer v.answered()
	l, err := v.lstatForScript(name)
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
	v.noteAccess(readsLinks, name)
	return v.readLink(name, l)
}
