package ssh

import (
	"context"
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

	channel *channel

	mu       sync.Mutex
	closed   bool
	cache    cache
	contents contents
	pieces   pieces
	patterns map[patternKey]*pattern
	walks    int // listings of directories that a listing named, as a walk makes
}

// maxPrefetches is how many questions are asked ahead of the script at a time.
const maxPrefetches = 48

// View makes a view. Without options it reads nothing ahead. With a policy it opens its channel at once, and asks for the
// attributes of where scripts begin: the root and the account's home directory.
func (t *Target) View(o targets.ViewOptions) targets.View {
	ctx, stop := context.WithCancel(context.Background())
	v := &View{
		channel: newChannel(ctx, t, o.Tell), cache: newCache(t),
		target: t, o: o, ctx: ctx, stop: stop, prefetches: make(chan struct{}, maxPrefetches),
		contents: contents{files: map[string]*fetched{}}, pieces: newPieces(),
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
	v.channel.close()
	v.stop()
	v.reading.Wait()
	r := v.channel.take()
	v.mu.Lock()
	var handles []sftp.Handle
	for _, f := range v.pieces.open {
		if f.r == r {
			handles = append(handles, f.handle)
		}
		f.r, f.handle, f.closed = nil, "", true
	}
	v.cache.attrs, v.cache.listings, v.contents, v.pieces, v.patterns = nil, nil, contents{}, newPieces(), nil
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
		v.cache.forget()
		v.contents.clear()
		clear(v.pieces.all)
		v.pieces.order.Init()
	}
}

// question begins one of the script's, and answered ends it.
func (v *View) question() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := &v.cache; c.asking == 0 && !v.closed && !c.asked.IsZero() && v.target.now().Sub(c.asked) >= pauseLength {
		c.forget()
	}
	v.cache.asking++
}

func (v *View) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cache.asking--
	v.cache.asked = v.target.now()
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
