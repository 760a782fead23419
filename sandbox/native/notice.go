//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"shannot-gateway/internal/linux/seccomp"
	"shannot-gateway/vfs"
)

// notice is a page that interpreters can read and the gateway alone can write. It holds a number that another one takes the place
// of before anything is done that may change what files the session has: what the guest was told of files before that, it asks
// for again. Nobody reads it on the gateway's side.
type notice struct {
	fd   int // a memfd, sealed against any new mapping that can be written
	page []byte

	commands atomic.Int32 // that are being started, or run
}

// noticeDevice is what the guest opens to map the page.
const noticeDevice = "shannot-changes"

// noticeSize is that of a page, in bytes.
const noticeSize = 4096

// open returns a descriptor of the page, for reading alone. It makes the page when first called. Called in the tree's turn.
func (c *notice) open() (int, error) {
	if c.page == nil {
		if err := c.make(); err != nil {
			return -1, fmt.Errorf("make the page that tells of changes: %w", err)
		}
	}
	return vfs.Reopen(c.fd, unix.O_RDONLY)
}

func (c *notice) make() error {
	fd, err := unix.MemfdCreate("changes", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	if err = unix.Ftruncate(fd, noticeSize); err == nil {
		c.page, err = unix.Mmap(fd, 0, noticeSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_FUTURE_WRITE)
	}
	if err != nil {
		c.drop()
		_ = unix.Close(fd)
		return err
	}
	c.fd = fd
	return nil
}

// change says that files may be others from now on. Called in the tree's turn.
func (c *notice) change() {
	if c.page != nil {
		atomic.AddUint64((*uint64)(unsafe.Pointer(&c.page[0])), 1)
	}
}

// command says that a command is about to start. What is returned is called when it has ended, or was not started.
func (c *notice) command(turn sync.Locker) (over func()) {
	c.commands.Add(1)
	turn.Lock()
	defer turn.Unlock()
	c.change()
	return func() { c.commands.Add(-1) }
}

// drop unmaps the page.
func (c *notice) drop() {
	if c.page != nil {
		_ = unix.Munmap(c.page)
		c.page = nil
	}
}

// close gives the page up. Interpreters that are still there keep theirs. Called in the tree's turn.
func (c *notice) close() {
	if c.page != nil {
		c.drop()
		_ = unix.Close(c.fd)
	}
}

// changes reports whether a call may change what files the session has, or what a name means, or comes after something that may.
func changes(n *seccomp.Notification) bool {
	const writing = unix.O_ACCMODE | unix.O_CREAT | unix.O_TRUNC
	switch quietNumbers[n.Nr] {
	case "openat":
		return n.Args[2]&writing != 0
	case "open":
		return n.Args[1]&writing != 0
	case "":
		return true
	}
	return false
}

// quietNumbers are quiet by this architecture's numbers.
var quietNumbers = map[int32]string{}

func init() {
	for _, name := range strings.Fields(quiet) {
		if number, ok := seccomp.Number(name); ok {
			quietNumbers[int32(number)] = name // #nosec G115 -- a few hundred
		}
	}
}

// quiet are the calls that change nothing which a name leads to; opens are looked at.
const quiet = `openat open newfstatat stat lstat fstat getdents64 faccessat faccessat2 access readlinkat readlink getcwd statfs fstatfs
	getppid getpgid getsid clone read pread64 readv preadv preadv2 mmap sendfile dup dup2 dup3 pipe pipe2 uname ioctl fcntl fadvise64
	socketpair epoll_create epoll_create1 epoll_ctl sched_getaffinity umask getuid geteuid getgid getegid getresuid getresgid`
