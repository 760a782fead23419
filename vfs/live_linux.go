package vfs

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// liveFile is an open file that the kernel makes when it is read. Whoever reads it never holds its descriptor: what such a file
// says may depend on who opened it, and on who asks. So each read is made here, by the rights of who opened.
type liveFile struct {
	h      *host
	name   string
	size   int64
	prompt bool                // the kernel answers at once: see promptFiles
	tell   func([]byte) []byte // what is said of the whole text, nil where that is the text itself

	mu   sync.Mutex
	fd   int    // -1 once it is closed
	text []byte // what tell made when the text was last read from its beginning
}

// OpenLive implements living. It opens a file that Hold returned, if the kernel makes it, and reads nothing yet. nil for any
// other, and where this process holds so many descriptors that a copy has to do. EAGAIN where the opening would block.
func (h *host) OpenLive(at int, name string, info Info) (Stream, error) {
	if info.Type() != unix.S_IFREG || nearlyFull() {
		return nil, nil
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(at, &fs); err != nil {
		return nil, err
	}
	if !kernelMade(int64(fs.Type)) {
		return nil, nil
	}
	f := &liveFile{h: h, name: strings.Clone(name), size: info.Size, fd: -1}
	if fs.Type == unix.PROC_SUPER_MAGIC {
		ours := h.rights != nil && OfTheGateway(name)
		switch {
		case ours && !readableOfGateway(name):
			return nil, unix.EACCES
		case ours && withinGateway(name) == "stat":
			f.tell = strangersStat
		}
		f.prompt = !ours && prompt(name)
	}
	held.Add(1)
	fd, err := h.openLive(at, name, f.prompt)
	if err != nil {
		held.Add(-1)
		return nil, err
	}
	f.fd = fd
	return f, nil
}

// OpenStream implements streaming, for who does not hold what it opens.
func (h *host) OpenStream(name string, flags int) (int, Stream, error) {
	at, info, err := h.Hold(name)
	if err != nil {
		return -1, nil, err
	}
	defer closeFD(at)
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		if s, err := h.OpenLive(at, name, info); s != nil || err != nil {
			return -1, s, err
		}
	}
	fd, err := h.OpenHeld(at, name, info, flags)
	return fd, nil, err
}

// openLive opens a held file of the kernel without waiting for anybody.
func (h *host) openLive(at int, name string, prompt bool) (int, error) {
	if prompt {
		return with(h, name, func(*host, string) (int, error) { return Reopen(at, unix.O_RDONLY|unix.O_NONBLOCK) })
	}
	again, err := unix.FcntlInt(uintptr(at), unix.F_DUPFD_CLOEXEC, 0) // which outlives this call where the file hangs
	if err != nil {
		return -1, err
	}
	const pending, left = -1, -2
	var opened atomic.Int64 // the descriptor, which is closed by whoever comes last where nobody waits for it any more
	opened.Store(pending)
	_, err = bounded(h, func() (int, error) {
		defer closeFD(again)
		fd, err := Reopen(again, unix.O_RDONLY|unix.O_NONBLOCK)
		if err == nil && !opened.CompareAndSwap(pending, int64(fd)) {
			closeFD(fd)
		}
		return 0, err
	}, func() { closeFD(again) })
	if err == nil {
		return int(opened.Load()), nil
	}
	if fd := opened.Swap(left); fd >= 0 {
		closeFD(int(fd))
	}
	return -1, err
}

// Live implements Live.
func (*liveFile) Live() {}

// Size implements Stream.
func (f *liveFile) Size() int64 { return f.size }

// maxLiveRead bounds one read, in bytes. The kernel gives fewer at once of most of its files.
const maxLiveRead = 1 << 20

// ReadAt implements Stream: pread(2), whose errors it returns. At offset 0 the kernel makes the text anew. EAGAIN where that
// would block, EBADF once the file is closed.
func (f *liveFile) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.read(p[:min(len(p), maxLiveRead)], off)
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (f *liveFile) read(p []byte, off int64) (int, error) {
	switch {
	case f.fd < 0:
		return 0, unix.EBADF
	case f.tell != nil:
		return f.readTold(p, off)
	case f.prompt:
		return with(f.h, f.name, func(*host, string) (int, error) { return pread(f.fd, p, off) })
	}
	data, err := f.bounded(func(fd int) ([]byte, error) {
		buf := make([]byte, len(p)) // p is the caller's alone where the file hangs
		n, err := pread(fd, buf, off)
		return buf[:max(n, 0)], err
	})
	return copy(p, data), err
}

// readTold reads what tell makes of the text.
func (f *liveFile) readTold(p []byte, off int64) (int, error) {
	if off == 0 {
		data, err := f.bounded(func(fd int) ([]byte, error) {
			if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
				return nil, err
			}
			return readKernelFile(fd)
		})
		if err != nil {
			return 0, err
		}
		f.text = f.tell(data)
	}
	if off < 0 || off >= int64(len(f.text)) {
		return 0, nil
	}
	return copy(p, f.text[off:]), nil
}

// bounded calls read with a descriptor of the file that stays open also where the call hangs.
func (f *liveFile) bounded(read func(fd int) ([]byte, error)) ([]byte, error) {
	again, err := unix.FcntlInt(uintptr(f.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return bounded(f.h, func() ([]byte, error) {
		defer closeFD(again)
		return read(again)
	}, func() { closeFD(again) })
}

func pread(fd int, p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(fd, p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Close implements Stream.
func (f *liveFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		closeFD(f.fd)
		f.fd = -1
		held.Add(-1)
	}
	return nil
}
