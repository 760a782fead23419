package ssh

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"shannot-gateway/targets/ssh/sftp"
	"shannot-gateway/vfs"
)

// Files larger than this are read piece by piece, as far as they are asked for, in bytes.
const largeFile = 256 << 10

// Bounds of what one view holds of large files.
const (
	maxPieces    = 1024 // of sftp.MaxRead bytes: 32 MiB
	maxHandles   = 32   // open on the server at once
	mostInFlight = sftp.Window * 3 / 4
)

// pieces are parts of large files that a view has read, or is reading.
type pieces struct {
	all   map[pieceKey]*list.Element
	order *list.List // of *part, the one that was used last in front
	open  []*large   // with a handle on the server, oldest first
}

type pieceKey struct {
	file  *large
	index int64
}

// part is one piece of a file: MaxRead bytes, or what is left of the file.
type part struct {
	key   pieceKey
	ready chan struct{}
	at    time.Time // once ready
	data  []byte
	err   error
}

func newPieces() pieces { return pieces{all: map[pieceKey]*list.Element{}, order: list.New()} }

// large is an open large file of a view.
type large struct {
	v     *View
	name  string
	attrs sftp.Attributes // when it was opened

	opening sync.Mutex // held while a handle is got

	// Guarded by v.mu.
	r         *relay
	handle    sftp.Handle
	closed    bool
	last      int64 // index of the last piece that was read, -1 before the first
	readahead int64 // how many pieces are asked for ahead
}

// OpenStream is Open, and gives a large file as a stream: what is not read is not moved.
func (v *View) OpenStream(name string, flags int) (int, vfs.Stream, error) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY || kernelFile(name) {
		fd, err := v.Open(name, flags)
		return fd, nil, err
	}
	v.question()
	defer v.answered()
	l, err := v.lstat(name)
	if err != nil {
		return -1, nil, err
	}
	<-l.ready
	if l.err != nil || !l.info.IsRegular() || l.info.Size <= largeFile {
		fd, err := v.Open(name, flags)
		return fd, nil, err
	}
	f := &large{v: v, name: name, last: -1}
	_, err = ask(v, func(r *relay) (struct{}, error) { return struct{}{}, f.open(r) })
	if errors.Is(err, syscall.ELOOP) {
		v.Forget()
	}
	if err != nil {
		return -1, nil, err
	}
	v.learned(name, f.attrs)
	return -1, f, nil
}

// Size is the size when the file was opened.
func (f *large) Size() int64 { return int64(f.attrs.Size) } // #nosec G115 -- checked by Info

// open gets a handle. After the first time it must be the same file, as far as the protocol tells: a log may have grown.
func (f *large) open(r *relay) error {
	h, err := r.Open(f.v.ctx, f.name, sftp.OpenRead, 0)
	if err != nil {
		return err
	}
	opened, named, real := r.StartFstat(f.v.ctx, h), r.StartLstat(f.v.ctx, f.name), r.StartRealpath(f.v.ctx, f.name)
	a, err := sameFile(f.v.ctx, opened, named, real, f.name)
	first := f.attrs.Flags == 0
	if err == nil && !first && (a.UID != f.attrs.UID || a.GID != f.attrs.GID || a.Size < f.attrs.Size) {
		err = fmt.Errorf("%w: another file has its name now", syscall.ESTALE)
	}
	f.v.mu.Lock()
	if err == nil && (f.closed || f.v.closed) {
		err = syscall.EBADF
	}
	if err != nil {
		f.v.mu.Unlock()
		r.Forget(h)
		return err
	}
	if first {
		f.attrs = a
	}
	f.r, f.handle = r, h
	f.v.pieces.open = append(f.v.pieces.open, f)
	var oldest *large
	var stale sftp.Handle
	var at *relay
	if len(f.v.pieces.open) > maxHandles {
		oldest = f.v.pieces.open[0]
		stale, at = oldest.handle, oldest.r
		oldest.park()
	}
	f.v.mu.Unlock()
	if oldest != nil {
		at.Forget(stale)
	}
	return nil
}

// park forgets the handle. The caller holds the view's lock.
func (f *large) park() {
	f.r, f.handle = nil, ""
	for i, o := range f.v.pieces.open {
		if o == f {
			f.v.pieces.open = append(f.v.pieces.open[:i], f.v.pieces.open[i+1:]...)
			return
		}
	}
}

// held returns the handle, got anew where it is gone.
func (f *large) held(r *relay) (sftp.Handle, error) {
	f.opening.Lock()
	defer f.opening.Unlock()
	f.v.mu.Lock()
	h, at := f.handle, f.r
	if h != "" && at != r { // of a connection that is gone
		f.park()
		h = ""
	}
	f.v.mu.Unlock()
	if h != "" {
		return h, nil
	}
	if err := f.open(r); err != nil {
		return "", err
	}
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if f.handle == "" { // so many others were opened meanwhile
		return "", syscall.EAGAIN
	}
	return f.handle, nil
}

// ReadAt implements vfs.Stream.
func (f *large) ReadAt(p []byte, off int64) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	f.v.question()
	defer f.v.answered()
	if off >= f.Size() {
		return f.beyond(p, off)
	}
	p = p[:min(int64(len(p)), f.Size()-off)]
	if err := f.expect(off/sftp.MaxRead, (off+int64(len(p))-1)/sftp.MaxRead); err != nil {
		return 0, err
	}
	for n < len(p) {
		at := off + int64(n)
		c, err := f.piece(at / sftp.MaxRead)
		if err != nil {
			return n, err
		}
		from := at % sftp.MaxRead
		if from >= int64(len(c.data)) {
			return n, io.EOF // it has become shorter
		}
		n += copy(p[n:], c.data[from:])
	}
	return n, nil
}

// piece waits for a piece.
func (f *large) piece(index int64) (*part, error) {
	f.v.mu.Lock()
	if f.closed || f.v.closed {
		f.v.mu.Unlock()
		return nil, syscall.EBADF
	}
	c := f.fetch(index)
	if next := index + f.readahead; f.readahead > 0 && next <= (f.Size()-1)/sftp.MaxRead {
		f.fetch(next) // the line stays full while this one is read
	}
	f.v.mu.Unlock()
	<-c.ready
	if c.err != nil {
		f.drop(c)
		return nil, c.err
	}
	return c, nil
}

// beyond reads what was appended since the file was opened. It is not kept: more may follow.
func (f *large) beyond(p []byte, off int64) (int, error) {
	data, err := ask(f.v, func(r *relay) ([]byte, error) {
		h, err := f.held(r)
		if err != nil {
			return nil, err
		}
		data, err := r.StartRead(f.v.ctx, h, off, min(len(p), sftp.MaxRead)).Wait(f.v.ctx)
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return data, err
	})
	if err == nil && len(data) == 0 {
		return 0, io.EOF
	}
	return copy(p, data), err
}

// expect fetches the pieces from one to another, all at once. For a script that reads in order it fetches the following
// ones too, more and more. A script that seeks gets what it asks for.
func (f *large) expect(from, to int64) error {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if f.closed || f.v.closed {
		return syscall.EBADF
	}
	switch {
	case from != f.last && from != f.last+1:
		f.readahead = 0
	case to > f.last:
		f.readahead = min(max(2*f.readahead, 4), mostInFlight)
	}
	f.last = to
	end := (f.Size() - 1) / sftp.MaxRead
	for i := from; i <= min(end, from+mostInFlight, max(to, from+f.readahead)); i++ {
		f.fetch(i)
	}
	return nil
}

// fetch returns a piece, asked for where it is not there. The caller holds the view's lock.
func (f *large) fetch(index int64) *part {
	key := pieceKey{f, index}
	if e := f.v.pieces.all[key]; e != nil {
		c := e.Value.(*part)
		if !done(c.ready) || f.v.target.now().Sub(c.at) < contentLife {
			f.v.pieces.order.MoveToFront(e)
			return c
		}
		f.v.pieces.order.Remove(e) // it may have been written since
		delete(f.v.pieces.all, key)
	}
	c := &part{key: key, ready: make(chan struct{})}
	f.v.pieces.all[key] = f.v.pieces.order.PushFront(c)
	for f.v.pieces.order.Len() > maxPieces {
		oldest := f.v.pieces.order.Back()
		f.v.pieces.order.Remove(oldest)
		delete(f.v.pieces.all, oldest.Value.(*part).key)
	}
	f.v.reading.Go(func() {
		defer func() { c.at = f.v.target.now(); close(c.ready) }()
		c.data, c.err = ask(f.v, func(r *relay) ([]byte, error) {
			h, err := f.held(r)
			if err != nil {
				return nil, err
			}
			return readPiece(f.v.ctx, r.Client, h, index*sftp.MaxRead, f.Size())
		})
	})
	return c
}

// readPiece reads a whole piece, of a server that may give it in parts.
func readPiece(ctx context.Context, c *sftp.Client, h sftp.Handle, offset, size int64) ([]byte, error) {
	want := int(min(sftp.MaxRead, size-offset))
	var out []byte
	for len(out) < want {
		data, err := c.StartRead(ctx, h, offset+int64(len(out)), want-len(out)).Wait(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if out == nil && len(data) == want {
			return data, nil
		}
		out = append(out, data...)
	}
	return out, nil
}

// drop forgets a piece that could not be had: the next read asks again.
func (f *large) drop(c *part) {
	f.v.mu.Lock()
	defer f.v.mu.Unlock()
	if e := f.v.pieces.all[c.key]; e != nil && e.Value.(*part) == c {
		f.v.pieces.order.Remove(e)
		delete(f.v.pieces.all, c.key)
	}
}

// Close forgets the file and its pieces.
func (f *large) Close() error {
	f.v.mu.Lock()
	if f.closed {
		f.v.mu.Unlock()
		return nil
	}
	f.closed = true
	r, h := f.r, f.handle
	f.park()
	for key, e := range f.v.pieces.all {
		if key.file == f {
			f.v.pieces.order.Remove(e)
			delete(f.v.pieces.all, key)
		}
	}
	f.v.mu.Unlock()
	if h != "" {
		r.Forget(h)
	}
	return nil
}
