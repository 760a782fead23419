package vfs

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// defaultMaxNodes is Config.MaxNodes where it is 0.
const defaultMaxNodes = 65536

// overlayDev is the device number of what sessions make: major 4095, which Linux gives to no driver. Mounts follow it
// with minors from 1.
const overlayDev = 0xfff00

// Mount is a Source placed at an absolute path of the view. It is visible whatever the policy says, wins over the
// target and the overlay, and is never written to.
type Mount struct {
	Path   string
	Source Source
	// Union leaves the directory the target's. What the source has under its root at the moment stands in front of what the
	// target has under the same name.
	Union bool
}

// Config is what a session's view is made of.
type Config struct {
	Base    Source   // the target's files; nil for none
	Policy  *Policy  // read policy over Base; nil shows all of it
	Scratch []string // private, initially empty directories, mode 01777
	// MaxBytes is what the overlay and scratch may hold in sum, MaxFile the size of one file, both in bytes; 0 means
	// no limit. What a script writes through a descriptor counts in Used, where the engine has to look.
	MaxBytes, MaxFile int64
	// MaxNodes bounds the files that are made, copied up or removed; 0 means 65,536.
	MaxNodes int
	// Opened hears of each file of Base whose content the session shows: its path, links resolved. It must return at
	// once; nil for none. The path is valid until it returns.
	Opened   func(name string)
	UID, GID uint32           // owner of what the session makes
	Now      func() time.Time // nil means time.Now
}

// Session is one script's view of a target's files. All its paths are absolute and may hold ".", ".." and links. Its
// errors are syscall.Errno. Several goroutines may call its methods. It checks no permission bits against its user: the
// policy says what a script may see, and what it writes goes nowhere.
type Session struct {
	c Config

	mu sync.Mutex
	view
	mounts int
}

// view is what a session shows: the base, and what the session made in front of it. It leads through names, and makes what
// a change needs. The session's lock guards it, and is held whenever a method is called.
type view struct {
	overlay
	base   *layer
	closed bool
	walker walker
	dirs   map[string]*scope // directories of the base that walks went through, with their place in the policy
	meter  func(components int) error
	denied denied // of what everybody knows to be there
	absent denied // of what looks absent
}

// overlay is what a session made: its nodes, and what they take of its limits. The session's lock guards it, but for held,
// which has a lock of its own.
type overlay struct {
	config *Config // the session's
	root   *node
	ino    uint64
	nodes  int
	moves  uint64 // directories that were renamed or removed so far
	held   contents
}

// layer is a source and where in the view its root is.
type layer struct {
	source   Source
	base     bool    // under the read policy and the overlay
	filtered bool    // a policy hides some of it
	prefix   string  // "/" or the mount's path
	distant  distant // nil where the source is at hand
	holding  holding // nil where the source opens by name alone
	rights   *Rights // by which the source is read, nil for the process's own
	dev      uint64  // 0 keeps the source's device numbers
}

// distant is a source that takes long to answer, and is told what a walk is going to ask for.
type distant interface {
	// Ahead is told a path, not yet clean, before its components are looked at one after the other. It returns at once.
	Ahead(name string)
}

// holding is a source that keeps hold of a file while the session judges it. So what the session then opens is the file
// that it judged, and the source looks its name up once.
type holding interface {
	// Hold is Lstat, and returns a descriptor that stands for the file without opening it. The caller closes it.
	Hold(name string) (held int, info Info, err error)
	// MayList reports whether the directory that Hold returned may be listed. EACCES.
	MayList(held int, name string) error
	// OpenHeld is Open of the file that Hold returned with info, which it leaves held.
	OpenHeld(held int, name string, info Info, flags int) (fd int, err error)
}

// living is a holding source some of whose files are made anew each time that they are read.
type living interface {
	// OpenLive opens the file that Hold returned with info, which it leaves held. nil where the file is an ordinary one.
	OpenLive(held int, name string, info Info) (Stream, error)
}

// rightful is a source that is read by an account's rights.
type rightful interface{ Rights() *Rights }

// rel is the source's name for a path of the view.
func (l *layer) rel(name string) string {
	if l.prefix == "/" {
		return name
	}
	if len(name) == len(l.prefix) {
		return "/"
	}
	return name[len(l.prefix):]
}

func (l *layer) lstat(name string) (Info, error) { return l.told(l.source.Lstat(l.rel(name))) }

// hold is lstat of a file that is kept hold of.
func (l *layer) hold(name string) (held int, info Info, err error) {
	held, info, err = l.holding.Hold(l.rel(name))
	info, err = l.told(info, err)
	return held, info, err
}

// told is what the source says of a file as the view tells it.
func (l *layer) told(info Info, err error) (Info, error) {
	if err != nil {
		return Info{}, errno(err)
	}
	if l.dev != 0 {
		info.Dev = l.dev
	}
	if l.filtered && info.IsDir() {
		info.Nlink = 1 // the real number would tell how many hidden directories there are
	}
	return info, nil
}

// Hold gives the calling thread, for good, the rights by which the target's files are read. So no call about them needs
// another thread: see Rights.Hold. Where the process's own rights read them it does nothing.
func (s *Session) Hold() error {
	if s.base == nil {
		return nil
	}
	return s.base.rights.Hold()
}

// rightsOf are the rights by which a source is read, nil for the process's own.
func rightsOf(source Source) *Rights {
	if r, ok := source.(rightful); ok {
		return r.Rights()
	}
	return nil
}

// NewSession makes a view. Close it.
func NewSession(c Config) (*Session, error) {
	if c.MaxNodes <= 0 {
		c.MaxNodes = defaultMaxNodes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Session{c: c, view: view{dirs: map[string]*scope{}}}
	s.config = &s.c
	s.root = s.newNode(syscall.S_IFDIR | 0o755)
	s.root.uid, s.root.gid, s.root.pinned = 0, 0, true
	if c.Base != nil {
		s.base = &layer{source: c.Base, base: true, filtered: c.Policy.start() != everything, prefix: "/"}
		s.base.distant, _ = c.Base.(distant)
		s.base.holding, _ = c.Base.(holding)
		s.base.rights = rightsOf(c.Base)
		s.root.layer, s.root.scope = s.base, c.Policy.start()
		if info, err := s.base.lstat("/"); err == nil && info.IsDir() {
			s.root.adopt(info)
		}
	}
	for _, name := range c.Scratch {
		if err := s.AddScratch(name); err != nil {
			return nil, fmt.Errorf("make scratch directory %q: %w", name, err)
		}
	}
	return s, nil
}

// SetMeter has every long walk ask whether it may go on. meter hears how many components the walk has looked at since the
// last question. Its error, a syscall.Errno, ends the walk. Forty links of 4096 bytes lead a walk through some eighty
// thousand components. The caller of meter holds the session's lock: meter must not call the session.
func (s *Session) SetMeter(meter func(components int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter = meter
}

// AddScratch makes one more private, initially empty directory, as Config.Scratch does. Within a mount it needs a
// directory of that one. EINVAL for a path that is not clean and absolute, or that is "/".
func (s *Session) AddScratch(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "/" {
		return syscall.EINVAL
	}
	n, err := s.pin(name)
	if err != nil {
		return err
	}
	n.mode = syscall.S_IFDIR | 0o1777
	n.uid, n.gid, n.dev, n.ino = 0, 0, overlayDev, s.nextIno()
	n.layer, n.scope, n.scratch, n.nlink = nil, nil, true, 2
	return nil
}

// Mount adds an engine's tree. Call it before any other method. The directories above the mount become directories
// whatever the target has there; a mount within a mount needs a directory of that one. EINVAL for a path that is not
// clean and absolute, or that is "/"; EBUSY where a mount or a scratch directory is there or below already: mount the
// outer one first.
func (s *Session) Mount(m Mount) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Source == nil || m.Path == "/" {
		return syscall.EINVAL
	}
	n, err := s.pin(m.Path)
	if err != nil {
		return err
	}
	if n.mount || n.front != nil || len(n.entries) > 0 || slices.Contains(s.c.Scratch, m.Path) {
		return syscall.EBUSY
	}
	s.mounts++
	placed := &layer{source: m.Source, prefix: m.Path, dev: overlayDev + uint64(s.mounts)}
	if m.Union {
		n.front = placed
		return nil
	}
	n.mount, n.scope, n.layer = true, nil, placed
	if info, err := n.layer.lstat(m.Path); err == nil {
		n.adopt(info)
	}
	return nil
}

// pin makes a path that stays: each of its directories is in the overlay's tree, whatever the target has there.
func (v *view) pin(name string) (*node, error) {
	if !strings.HasPrefix(name, "/") || path.Clean(name) != name || strings.ContainsRune(name, 0) {
		return nil, syscall.EINVAL
	}
	n := v.root
	for at := 1; at < len(name); {
		end := at + strings.IndexByte(name[at:]+"/", '/')
		child, err := v.pinChild(n, name[at:end], name[:end])
		if err != nil {
			return nil, err
		}
		n, at = child, end+1
	}
	return n, nil
}

// pinChild is one step of pin. ENOENT where a mount above has no such directory.
func (v *view) pinChild(parent *node, name, full string) (*node, error) {
	if e := parent.entries[name]; e != nil && e.node != nil && e.node.isDir() {
		e.node.pinned = true
		return e.node, nil
	}
	n := v.newNode(syscall.S_IFDIR | 0o755)
	n.uid, n.gid, n.pinned, n.scratch = 0, 0, true, parent.scratch
	e := &entry{node: n}
	parent.entries[name] = e
	l, sc := parent.layer, parent.scope
	if l == nil {
		return n, nil
	}
	if l.base {
		if sc = sc.enter(name); sc.verdict == Hidden {
			return n, nil
		}
	}
	info, err := l.lstat(full)
	switch {
	case err == nil && info.IsDir():
		n.layer, n.scope = l, sc
		n.adopt(info)
		e.origin = &Origin{Info: info}
	case !l.base:
		delete(parent.entries, name)
		return nil, syscall.ENOENT
	}
	return n, nil
}

// Close drops everything that the session holds. Descriptors that were handed out stay valid, for who holds them.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.root = s.newNode(syscall.S_IFDIR | 0o755)
	s.dirs = map[string]*scope{}
	s.held.closeAll()
	return nil
}

// Used returns the bytes that overlay and scratch hold right now: for each file its size, or the memory behind it
// where that is more. It looks at every file that the session made, and waits for no source.
func (s *Session) Used() int64 { return s.held.sum() }

// contents are the file contents of a session, with a lock of their own, so that counting never waits for a source.
type contents struct {
	mu     sync.Mutex
	all    map[*content]struct{}
	text   int64 // bytes of link texts
	last   int64 // the sum when it was last taken
	since  int   // operations since then
	closed bool
}

// modest is how many files a session can make however many others have. Beyond it no session takes the last quarter of
// what this process can hold.
const modest = 128

// add counts a new file, or closes it. ENFILE where the session has many and the process little room left.
func (c *contents) add(one *content) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		one.close()
		return syscall.EIO
	}
	if len(c.all) >= modest && nearlyFull() {
		one.close()
		return syscall.ENFILE
	}
	if c.all == nil {
		c.all = map[*content]struct{}{}
	}
	c.all[one] = struct{}{}
	return nil
}

func (c *contents) drop(one *content) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.all[one]; ok {
		delete(c.all, one)
		c.last = max(0, c.last-one.bytes())
		one.close()
	}
}

func (c *contents) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for one := range c.all {
		one.close()
	}
	c.all, c.text, c.last, c.closed = nil, 0, 0, true
}

func (c *contents) addText(n int) {
	c.mu.Lock()
	c.text += int64(n)
	c.mu.Unlock()
}

func (c *contents) sum() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sumLocked()
}

func (c *contents) sumLocked() int64 {
	total := c.text
	for one := range c.all {
		total += one.bytes()
	}
	c.last, c.since = total, 0
	return total
}

// room reports whether n more bytes fit below limit. It counts anew often enough that the cost per call stays that of a
// few files, and always before it refuses. In between, Used's caller has to see what grows through descriptors.
func (c *contents) room(n, limit int64) bool {
	if limit <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	const perCall = 16
	c.since++
	if c.since*perCall >= len(c.all) || c.last+n > limit {
		c.sumLocked()
	}
	if n > limit-c.last {
		return false
	}
	c.last += n
	return true
}

// fits checks a file that is to have size bytes, extra of them new, against the limits.
func (o *overlay) fits(size, extra int64) error {
	if o.config.MaxFile > 0 && size > o.config.MaxFile {
		return syscall.EFBIG
	}
	if !o.held.room(extra, o.config.MaxBytes) {
		return syscall.ENOSPC
	}
	return nil
}

// count takes n more nodes. ENOSPC where there are too many.
func (o *overlay) count(n int) error {
	if o.nodes+n > o.config.MaxNodes {
		return syscall.ENOSPC
	}
	o.nodes += n
	return nil
}

// countAt is count for a node that put will place under a name: what hides the target's file there is given back.
func (o *overlay) countAt(dir *node, name string) error {
	if dir.entries[name] != nil {
		o.nodes++
		return nil
	}
	return o.count(1)
}
