package relay

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"syscall"

	"shannot-gateway/internal/sftpwire"
	"shannot-gateway/vfs"
)

// handle is what a client has open: one of a file that it reads, a file that it writes, or a directory.
type handle struct {
	name    string // the client's
	reader  *reader
	upload  *upload
	listing *listing
	uses    sync.WaitGroup  // answers that are worked on; it is closed after them
	last    <-chan struct{} // closed once the last of them was sent; of the goroutine that takes requests
}

// errHandle is the answer to a handle that is not open.
var errHandle = refused(syscall.EBADF, "no such handle")

// register makes a handle known, and answers with it. ENFILE where there are too many.
func (s *server) register(id uint32, h *handle) (sftpwire.Encoder, error) {
	s.handles.Lock()
	defer s.handles.Unlock()
	if len(s.handles.opened) >= maxHandles || s.handles.opened == nil {
		return nil, syscall.ENFILE
	}
	s.handles.next++
	key := strconv.FormatUint(s.handles.next, 10)
	s.handles.opened[key] = h
	p := sftpwire.NewPacket(sftpwire.TypeHandle)
	p.Uint32(id)
	p.String(key)
	return p, nil
}

// held returns an open handle, which is not closed before done is called.
func (s *server) held(key string) (h *handle, done func()) {
	s.handles.Lock()
	defer s.handles.Unlock()
	if h = s.handles.opened[key]; h == nil {
		return nil, nil
	}
	h.uses.Add(1)
	return h, h.uses.Done
}

// withdraw takes a handle out, so that nothing more is asked of it.
func (s *server) withdraw(key string) *handle {
	s.handles.Lock()
	defer s.handles.Unlock()
	h := s.handles.opened[key]
	delete(s.handles.opened, key)
	return h
}

// abandon ends what the client has left open. Half a file is nobody's.
func (s *server) abandon(err error) {
	s.handles.Lock()
	left := s.handles.opened
	s.handles.opened = nil
	s.handles.Unlock()
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	for _, h := range left {
		if h.upload != nil {
			h.upload.TransferError(err)
		}
		_ = h.close()
	}
}

// close ends a handle. Where it is an upload, a human is asked, and it takes as long.
func (h *handle) close() error {
	h.uses.Wait()
	switch {
	case h.upload != nil:
		return h.upload.Close()
	case h.listing != nil:
		return h.listing.Close()
	}
	return h.reader.Close()
}

func takeOpen(s *server, r request) error {
	name, flags, attributes := r.String(), r.Uint32(), r.Attributes()
	if err := r.complete(name); err != nil {
		return s.status(r.id, err)
	}
	return s.inOrder(r.id, func() (sftpwire.Encoder, error) { return s.open(r.id, name, flags, attributes) })
}

// open opens a file.
func (s *server) open(id uint32, name string, flags uint32, attributes sftpwire.Attributes) (p sftpwire.Encoder, err error) {
	h := &handle{name: name}
	if flags&(openWrite|openAppend|openCreate|openTrunc) == 0 {
		h.reader, err = s.r.openFile(name)
	} else {
		h.upload, err = s.r.write(name, openFlags(flags), openMode(attributes))
		if err == nil {
			h.upload.readable, h.upload.append = flags&openRead != 0, flags&openAppend != 0
		}
	}
	if err != nil {
		return nil, err
	}
	if p, err = s.register(id, h); err != nil {
		if h.upload != nil {
			h.upload.TransferError(err)
		}
		_ = h.close()
	}
	return p, err
}

// openFlags are those of open(2). Writing at the end is the relay's to see to.
func openFlags(flags uint32) int {
	out := syscall.O_RDWR
	for _, f := range []struct {
		set  uint32
		flag int
	}{{openCreate, syscall.O_CREAT}, {openTrunc, syscall.O_TRUNC}, {openExcl, syscall.O_EXCL}} {
		if flags&f.set != 0 {
			out |= f.flag
		}
	}
	return out
}

// What a new file and a new directory have where the client does not say, and what of a mode that it gives is left out, as
// for a login's own files. A client that wants a mode to the letter sets it after that.
const (
	umask            = 0o022
	newFileMode      = 0o666 &^ umask
	newDirectoryMode = 0o777 &^ umask
)

func openMode(attributes sftpwire.Attributes) uint32 {
	if attributes.Flags&sftpwire.AttrPermissions == 0 {
		return newFileMode
	}
	return attributes.Mode & 0o777 &^ umask
}

func takeClose(s *server, r request) error {
	key := r.String()
	if r.Bad() {
		return s.status(r.id, errMessage)
	}
	switch h := s.withdraw(key); {
	case h == nil:
		return s.status(r.id, errHandle)
	case h.upload != nil:
		return s.closeUpload(r.id, h)
	default:
		_, err := s.look(h.last, func() sftpwire.Encoder {
			return statusOf(r.id, func() (err error) {
				defer s.r.guard(&err)
				return h.close()
			}())
		})
		return err
	}
}

// closeUpload has a human asked about an upload, which is what it is now. Where too many changes wait, it is dropped.
func (s *server) closeUpload(id uint32, h *handle) error {
	h.upload.seal()
	if s.queued(id, func() error {
		if gone := context.Cause(s.r.ctx); gone != nil { // its client, while it waited
			h.upload.TransferError(gone)
		}
		return h.close()
	}) {
		return nil
	}
	h.upload.TransferError(errQueue)
	return s.status(id, h.close())
}

func takeRead(s *server, r request) error {
	key, offset, length := r.String(), r.Uint64(), r.Uint32()
	if r.Bad() || offset > 1<<62 {
		return s.status(r.id, errMessage)
	}
	h, done := s.held(key)
	if h == nil {
		return s.status(r.id, errHandle)
	}
	return s.lookInto(r.id, h, done, func() (sftpwire.Encoder, error) {
		from := h.content()
		if from == nil {
			return nil, syscall.EBADF
		}
		return readPacket(r.id, from, int64(offset), int(min(length, maxRead))) // #nosec G115 -- bounded
	})
}

// content is what can be read of a handle, nil for none.
func (h *handle) content() io.ReaderAt {
	switch {
	case h.reader != nil:
		return h.reader
	case h.upload != nil && h.upload.readable:
		return h.upload.file
	}
	return nil
}

// readPacket is the answer to READ.
func readPacket(id uint32, from io.ReaderAt, offset int64, length int) (sftpwire.Encoder, error) {
	const header = 4 + 1 + 4 + 4
	p := make(sftpwire.Encoder, header+length)
	n, err := from.ReadAt(p[header:], offset)
	if n == 0 && length > 0 {
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	content := p[:header+n]
	head := sftpwire.NewPacket(sftpwire.TypeData)
	head.Uint32(id)
	head.Uint32(uint32(n)) // #nosec G115 -- at most maxRead
	copy(content, head)
	return content, nil
}

// takeWrite writes at once: into memory, in the order in which it comes.
func takeWrite(s *server, r request) error {
	key, offset, data := r.String(), r.Uint64(), r.Bytes()
	if r.Bad() || offset > 1<<62 {
		return s.status(r.id, errMessage)
	}
	h, done := s.held(key)
	if h == nil {
		return s.status(r.id, errHandle)
	}
	defer done()
	if h.upload == nil {
		return s.status(r.id, syscall.EBADF)
	}
	_, err := h.upload.WriteAt(data, int64(offset)) // #nosec G115 -- bounded
	return s.status(r.id, err)
}

func takeFstat(s *server, r request) error {
	return s.lookThrough(r, func(h *handle) (sftpwire.Encoder, error) {
		found, err := s.describeHandle(h)
		return attributesPacket(r.id, found), err
	})
}

// describeHandle describes an open file: one that is read by its name, since a link cannot have come to stand there unseen.
func (s *server) describeHandle(h *handle) (vfs.Info, error) {
	if h.upload != nil {
		return h.upload.describe()
	}
	return s.r.stat(h.name, true)
}

func takeFstatvfs(s *server, r request) error {
	return s.lookThrough(r, func(h *handle) (sftpwire.Encoder, error) {
		space, err := s.r.space(h.name)
		return spacePacket(r.id, space), err
	})
}

// lookThrough answers a request about a handle, which changes nothing.
func (s *server) lookThrough(r request, answer func(*handle) (sftpwire.Encoder, error)) error {
	key := r.String()
	if r.Bad() {
		return s.status(r.id, errMessage)
	}
	h, done := s.held(key)
	if h == nil {
		return s.status(r.id, errHandle)
	}
	return s.lookInto(r.id, h, done, func() (sftpwire.Encoder, error) { return answer(h) })
}

// lookInto answers what looks at a handle; of an upload at once, since what is written to it is in order.
func (s *server) lookInto(id uint32, h *handle, done func(), answer func() (sftpwire.Encoder, error)) error {
	if h.upload != nil {
		defer done()
		return s.send(s.guarded(id, answer))
	}
	sent, err := s.look(h.last, func() sftpwire.Encoder {
		defer done()
		return s.guarded(id, answer)
	})
	if err != nil {
		done()
		return err
	}
	h.last = sent
	return nil
}

func takeFsetstat(s *server, r request) error {
	key, attributes := r.String(), r.Attributes()
	if r.Bad() {
		return s.status(r.id, errMessage)
	}
	h, done := s.held(key)
	if h == nil {
		return s.status(r.id, errHandle)
	}
	defer done()
	if h.upload != nil {
		return s.status(r.id, h.upload.set(attributes))
	}
	return s.setAttributes(r.id, h.name, attributes, true)
}

func takeOpendir(s *server, r request) error {
	return s.lookAt(r, func(name string) (sftpwire.Encoder, error) {
		l, err := s.r.list(name)
		if err != nil {
			return nil, err
		}
		p, err := s.register(r.id, &handle{name: name, listing: l})
		if err != nil {
			_ = l.Close()
		}
		return p, err
	})
}

// maxEntries is how many entries one answer to READDIR has.
const maxEntries = 100

// takeReaddir takes the names in the order in which they are asked for, and describes them beside the rest.
func takeReaddir(s *server, r request) error {
	key := r.String()
	if err := r.complete(); err != nil {
		return s.status(r.id, err)
	}
	h, done := s.held(key)
	if h == nil {
		return s.status(r.id, errHandle)
	}
	var names []vfs.Dirent
	if h.listing != nil {
		names = h.listing.next(maxEntries)
	}
	return s.lookInto(r.id, h, done, func() (sftpwire.Encoder, error) {
		switch {
		case h.listing == nil:
			return nil, syscall.EBADF
		case len(names) == 0:
			return nil, io.EOF
		}
		entries := h.listing.describe(names)
		p := sftpwire.NewPacket(sftpwire.TypeName)
		p.Uint32(r.id)
		p.Uint32(uint32(len(entries))) // #nosec G115 -- at most maxEntries
		for _, e := range entries {
			p.String(e.name)
			p.String(longName(e))
			p.Attributes(attributesOf(e.Info))
		}
		return p, nil
	})
}
