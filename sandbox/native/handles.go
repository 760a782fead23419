//go:build linux && (amd64 || arm64)

package native

import (
	"sync"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/sandbox/internal/posix"
	"shannot-gateway/sandbox/internal/supervisor"
	"shannot-gateway/vfs"
)

// The script duplicates and closes descriptors without asking, so the supervisor keeps no table by number. It knows
// an open file by the identity of the inode behind the descriptor: every directory gets a placeholder of its own, and
// content is in inodes that the view made or opened.

type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{uint64(st.Dev), st.Ino} }

// A handle is what a descriptor of the script stands for. Without a file it is a pipe, a socket or another anonymous
// object of the script's own.
type handle struct {
	file    vfs.File
	dir     bool
	byName  bool         // opened with O_PATH: it names the file and gives no access to it
	entries []vfs.Dirent // a directory's listing since its position was last 0, until it ended; see openFiles.list
	st      unix.Stat_t  // the descriptor's real attributes, as find saw them
}

// handleTable is one interpreter's way to its descriptors.
type handleTable struct {
	proc  *supervisor.Process
	files *openFiles
}

// openFiles maps inodes to handles, for all interpreters of a process tree: descriptors are inherited. It has a lock because
// commands are started while calls are answered.
type openFiles struct {
	tree   *processTree
	mu     sync.Mutex
	all    map[inode]*handle
	trim   int // size at which closed ones are looked for
	listed int // entries that handles keep in sum
	live   int // live streams, most of which keep a descriptor in this process
	crowd  int // number of these at which closed ones are looked for
}

// maxListed bounds the entries of directories that listings in progress keep in sum. Beyond it all but the newest are
// dropped and made again when they go on.
const maxListed = 1 << 16

// list keeps a directory's entries with its handle; nil drops them.
func (t *openFiles) list(h *handle, entries []vfs.Dirent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.listed += len(entries) - len(h.entries)
	h.entries = entries
	if t.listed <= maxListed {
		return
	}
	for _, other := range t.all {
		if other != h {
			t.listed -= len(other.entries)
			other.entries = nil
		}
	}
}

// forget closes what a handle stands for. It is called with the lock held.
func (t *openFiles) forget(h *handle) {
	t.listed -= len(h.entries)
	h.entries = nil
	if vfs.LiveStream(streamOf(h.file)) {
		t.live--
	}
	_ = h.file.Close()
}

// firstCrowd is how many live streams a process tree may have before closed ones are looked for.
const firstCrowd = 64

// firstTrim is more than the descriptors that one process may have open.
const firstTrim = 4 * maxDescriptors

func newOpenFiles(f *processTree) *openFiles {
	return &openFiles{tree: f, all: map[inode]*handle{}, trim: firstTrim, crowd: firstCrowd}
}

// add remembers what a new descriptor stands for.
func (t *handleTable) add(fd int, h *handle) unix.Errno {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return vfs.ErrnoOf(err)
	}
	f := t.files
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.all) >= f.trim || f.live >= f.crowd {
		f.dropClosed()
	}
	if vfs.LiveStream(streamOf(h.file)) {
		f.live++
	}
	key := inodeOf(&st)
	if old := f.all[key]; old != nil {
		f.forget(old)
	}
	f.all[key] = h
	return 0
}

// settle closes what the script has closed: the view takes a written file for open until then, and shows what the script
// gave it and not what a command makes of it. It is called in the process tree's turn.
func (t *openFiles) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) > 0 {
		t.dropClosed()
	}
}

// dropClosed forgets the inodes that no descriptor of an interpreter refers to. A mapping keeps its content without us.
func (t *openFiles) dropClosed() {
	live := map[inode]bool{}
	// Twice: a thread may duplicate a descriptor to a number that was looked at, and close the old one.
	for range 2 {
		for _, pid := range t.tree.pids() {
			var err error
			vfs.Apart(func() { err = procfs.EachOpen(pid, func(st *unix.Stat_t) { live[inodeOf(st)] = true }) })
			if err != nil {
				t.trim, t.crowd = 2*t.trim, 2*t.crowd
				return
			}
		}
	}
	for _, fd := range t.tree.carried() {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil {
			live[inodeOf(&st)] = true
		}
	}
	for key, h := range t.all {
		if !live[key] {
			t.forget(h)
			delete(t.all, key)
		}
	}
	t.trim, t.crowd = max(firstTrim, 2*len(t.all)), max(firstCrowd, 2*t.live)
}

func (t *openFiles) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.all {
		_ = h.file.Close()
	}
	t.all = nil
}

// grab copies a descriptor out of the script's process. The copy shares the position.
func (t *handleTable) grab(fd int32) (int, unix.Errno) {
	return t.proc.Descriptor(fd)
}

// find tells what a descriptor of the script stands for.
func (t *handleTable) find(fd int32) (*handle, unix.Errno) {
	own, h, e := t.open(fd)
	if e == 0 {
		_ = unix.Close(own)
	}
	return h, e
}

// open is find, and returns the copy for the caller to close.
func (t *handleTable) open(fd int32) (int, *handle, unix.Errno) {
	own, e := t.grab(fd)
	if e != 0 {
		return -1, nil, e
	}
	var st unix.Stat_t
	if err := unix.Fstat(own, &st); err != nil {
		_ = unix.Close(own)
		return -1, nil, vfs.ErrnoOf(err)
	}
	t.files.mu.Lock()
	h := t.files.all[inodeOf(&st)]
	t.files.mu.Unlock()
	if h == nil {
		h = &handle{}
	}
	h.st = st
	return own, h, 0
}

// usable is find of a descriptor that gives access to what it stands for: for one of O_PATH it is EBADF, see open(2).
func (t *handleTable) usable(fd int32) (*handle, unix.Errno) {
	own, h, e := t.openUsable(fd)
	if e == 0 {
		_ = unix.Close(own)
	}
	return h, e
}

// openUsable is usable, and returns the copy for the caller to close.
func (t *handleTable) openUsable(fd int32) (int, *handle, unix.Errno) {
	own, h, e := t.open(fd)
	if e == 0 && h.byName {
		_ = unix.Close(own)
		return -1, nil, unix.EBADF
	}
	return own, h, e
}

// directory returns the path of an open directory.
func (t *handleTable) directory(fd int32) (string, error) {
	h, e := t.find(fd)
	switch {
	case e != 0:
		return "", e
	case !h.dir:
		return "", unix.ENOTDIR
	}
	return posix.PlaceOf(h.file)
}

// placeholder makes the descriptor that stands for a directory: empty, sealed, read-only, with an inode and a
// position of its own.
func placeholder() (int, error) { return vfs.Sealed("directory", nil) }

// pathPlaceholder makes the descriptor that stands for a name, as O_PATH of open(2) does: a placeholder that can be neither
// read, written nor mapped, by the access mode that is for ioctl(2) alone. A real one would be a name on the host, and
// SECCOMP_IOCTL_NOTIF_ADDFD takes none.
func pathPlaceholder() (int, error) {
	fd, err := placeholder()
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fd) }()
	return vfs.Reopen(fd, unix.O_ACCMODE)
}
