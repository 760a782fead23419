package relay

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"shannot-gateway/internal/sftpwire"
)

// Bounds of one client.
const (
	maxLooks   = 16          // answers that are worked on at once
	maxQueue   = 64          // changes that wait for the one before them
	maxHandles = 512         // of all kinds; each kind has its own bound too
	maxName    = 4<<10 + 256 // bytes of a path: of a target's longest, and the target's name before it
	maxRead    = 255 << 10   // bytes of one answer to READ, OpenSSH's own bound
	requestBuf = 64 << 10    // bytes that are read from the channel at once
	protocol   = uint32(3)   // the version that is spoken
	firstIDs   = uint64(17)  // handles begin anywhere: a client must not guess
)

// errProtocol ends the connection of a client that does not keep to the protocol.
var errProtocol = errors.New("the client broke the SFTP protocol")

// server speaks SFTP with one client. Four kinds of work go on beside each other:
//   - what is looked at by path (opening, describing), one after the other: clients describe a file without waiting for
//     the answer to its open;
//   - what is looked at by handle (reading, listing), several at once; what is asked of one handle is answered in the order in
//     which it was asked, since clients take the end of a file for the end of all that they asked for;
//   - the writing of uploads, which is done as it comes, in order;
//   - changes (an upload's close, mkdir, rename …), one after the other in the order in which they came: a rename that
//     follows an upload finds the uploaded file, though a human decided on that in between.
//
// A change that waits for a human keeps no look waiting.
type server struct {
	r   *relay
	in  *bufio.Reader
	out struct {
		sync.Mutex
		w io.Writer
	}
	work  sync.WaitGroup
	looks chan struct{} // places for what is looked at by handle
	paths chan func()   // what is looked at by path
	queue chan func()   // changes

	handles struct {
		sync.Mutex
		next   uint64
		opened map[string]*handle
	}
}

func newServer(r *relay, channel io.ReadWriter) *server {
	s := &server{
		r: r, in: bufio.NewReaderSize(channel, requestBuf),
		looks: make(chan struct{}, maxLooks), paths: make(chan func(), maxLooks), queue: make(chan func(), maxQueue),
	}
	s.out.w = channel
	s.handles.next, s.handles.opened = firstIDs, map[string]*handle{}
	return s
}

// run answers requests until the client says nothing more, which gone is called for, or breaks the protocol.
func (s *server) run(gone func()) error {
	var workers sync.WaitGroup
	for _, queue := range []chan func(){s.paths, s.queue} {
		workers.Go(func() {
			for do := range queue {
				do()
			}
		})
	}
	err := s.greet()
	for err == nil {
		err = s.next()
	}
	gone()
	close(s.paths)
	close(s.queue)
	s.work.Wait()
	workers.Wait()
	s.abandon(err)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// greet begins the protocol.
func (s *server) greet() error {
	kind, body, err := sftpwire.ReadPacket(s.in)
	if err != nil {
		return err
	}
	d := sftpwire.NewDecoder(body)
	if version := d.Uint32(); kind != sftpwire.TypeInit || d.Bad() || version < protocol {
		return errProtocol
	}
	p := sftpwire.NewPacket(sftpwire.TypeVersion)
	p.Uint32(protocol)
	for _, e := range extensions {
		p.String(e.name)
		p.String(e.version)
	}
	return s.send(p)
}

// next takes one request and sees to its answer.
func (s *server) next() error {
	kind, body, err := sftpwire.ReadPacket(s.in)
	if err != nil {
		return err
	}
	d := sftpwire.NewDecoder(body)
	id := d.Uint32()
	if d.Bad() || kind == sftpwire.TypeInit {
		return errProtocol
	}
	take, known := requests[kind]
	if !known {
		return s.status(id, errUnsupported)
	}
	return s.taken(take, request{id: id, Decoder: d})
}

// taken sees to a request. A panic is the client's error.
func (s *server) taken(take func(*server, request) error, r request) error {
	var panicked error
	err := func() error {
		defer s.r.guard(&panicked)
		return take(s, r)
	}()
	if panicked != nil {
		return s.status(r.id, panicked)
	}
	return err
}

// request is one packet of a client's, and what of it has not been read yet.
type request struct {
	id uint32
	*sftpwire.Decoder
}

// complete says what is wrong with a request that has been read, with these paths in it. It drops the packet: what is asked for may
// wait for long.
func (r request) complete(names ...string) error {
	if r.Bad() {
		return errMessage
	}
	*r.Decoder = sftpwire.Decoder{}
	for _, name := range names {
		if len(name) > maxName {
			return syscall.ENAMETOOLONG
		}
	}
	return nil
}

// inOrder answers what is looked at by path, after what came before it.
func (s *server) inOrder(id uint32, answer func() (sftpwire.Encoder, error)) error {
	select {
	case s.paths <- func() { _ = s.send(s.guarded(id, answer)) }: // whoever does not read is noticed by reading
		return nil
	case <-s.r.ctx.Done():
		return context.Cause(s.r.ctx)
	}
}

// look does what changes nothing beside the rest, where there is a place for it; the answer is what it returns. It is sent
// after that is closed, where there is one. sent is closed once it has been.
func (s *server) look(after <-chan struct{}, do func() sftpwire.Encoder) (sent <-chan struct{}, err error) {
	select {
	case s.looks <- struct{}{}:
	case <-s.r.ctx.Done():
		return nil, context.Cause(s.r.ctx)
	}
	done := make(chan struct{})
	s.work.Go(func() {
		defer give(s.looks)
		defer close(done)
		answer := do()
		if after != nil {
			<-after // which had a place before, and so does not wait for this one
		}
		_ = s.send(answer) // whoever does not read is noticed by reading
	})
	return done, nil
}

// errQueue is the answer to a change that there is no place for.
var errQueue = refused(syscall.EAGAIN, "too many changes of this connection wait for the one before them")

// change does what has to be decided on, after all that came before it.
func (s *server) change(id uint32, do func() error) error {
	if s.queued(id, do) {
		return nil
	}
	return s.status(id, errQueue)
}

// queued is change that reports false where there is no place, and says nothing to the client then.
func (s *server) queued(id uint32, do func() error) bool {
	guarded := func() {
		_ = s.status(id, func() (err error) {
			defer s.r.guard(&err)
			return do()
		}())
	}
	select {
	case s.queue <- guarded:
		return true
	default:
		return false
	}
}

// send writes one packet.
func (s *server) send(p sftpwire.Encoder) error {
	packet := p.Finish()
	s.out.Lock()
	defer s.out.Unlock()
	_, err := s.out.w.Write(packet)
	return err
}

func (s *server) status(id uint32, err error) error { return s.send(statusOf(id, err)) }
