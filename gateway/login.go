package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"shannot-gateway/gateway/admission"
)

// What a client may send before it has logged in and has a place, in bytes: its first line by RFC 4253, section 4.2, a
// packet before keys are exchanged, and all. The library makes room for a packet of up to 256 KiB when it has read its
// length. OpenSSH's packets have less than two KiB, and for each key that a client offers some hundred bytes.
const (
	maxVersion = 255
	maxPlain   = 16 << 10
	maxLogin   = 64 << 10
)

// Errors of a login.
var (
	errNoSSH    = errors.New("the first line is not that of an SSH client")
	errTooMuch  = errors.New("too much was sent before the login")
	errTooLong  = errors.New("the client took too long to log in")
	errMadeRoom = errors.New("the connection had to make room for another one")
)

// login is a connection until its client has logged in. It sees the connection's reads and writes. What happens between
// the end of a read and the next read or write is the gateway's own work, for which it takes a turn. Only the client's
// own time counts against the client.
type login struct {
	c       *connection
	guest   *admission.Guest
	address string
	over    atomic.Bool // set once, under mu

	// Used by one reader at a time, which is how the library reads.
	greeted bool
	ahead   []byte // what came with the first line, and that line
	sent    int
	plain   framing

	mu   sync.Mutex
	left time.Duration // that the client may take
	turn bool
}

// read reads for the handshake.
func (l *login) read(p []byte) (int, error) {
	if !l.greeted {
		if err := l.greet(); err != nil {
			return 0, err
		}
	}
	if len(l.ahead) > 0 {
		n := copy(p, l.ahead)
		l.ahead = l.ahead[n:]
		return n, nil
	}
	n, err := l.receive(p)
	switch {
	case err != nil:
	case l.guest.Step() < admission.Keyed && !l.plain.fits(p[:n]):
		err = errTooMuch
	case !l.take():
		err = errMadeRoom
	}
	return n, err
}

// framing follows the lengths of packets that are not encrypted, RFC 4253, section 6.
type framing struct {
	header []byte // of the packet that has begun
	left   uint32 // of the packet, in bytes
}

// fits takes more of the stream, and reports false where a packet is too long.
func (f *framing) fits(piece []byte) bool {
	for len(piece) > 0 {
		if f.left > 0 {
			n := min(uint32(len(piece)), f.left) // #nosec G115 -- a read
			piece, f.left = piece[n:], f.left-n
			continue
		}
		f.header = append(f.header, piece[0])
		if piece = piece[1:]; len(f.header) == 4 {
			if f.left = binary.BigEndian.Uint32(f.header); f.left > maxPlain {
				return false
			}
			f.header = f.header[:0]
		}
	}
	return true
}

// greet reads the client's first line, which the library would read byte by byte, after any number of others.
func (l *login) greet() error {
	line := make([]byte, 0, maxVersion)
	for {
		n, err := l.receive(line[len(line):cap(line)])
		if err != nil {
			return err
		}
		line = line[:len(line)+n]
		begins := line[:min(len(line), len("SSH-"))]
		if !bytes.HasPrefix([]byte("SSH-"), begins) {
			return errNoSSH
		}
		if bytes.IndexByte(line, '\n') >= 0 {
			break
		}
		if len(line) == cap(line) {
			return errNoSSH
		}
	}
	l.greeted, l.ahead = true, line
	if !l.plain.fits(line[bytes.IndexByte(line, '\n')+1:]) {
		return errTooMuch
	}
	l.guest.Reached(admission.Greeted)
	if !l.take() {
		return errMadeRoom
	}
	return nil
}

// receive waits for the client, on its own time.
func (l *login) receive(p []byte) (int, error) {
	acknowledgeAtOnce(l.c.Conn)
	l.mu.Lock()
	l.giveTurn()
	if l.over.Load() {
		l.mu.Unlock()
		return l.count(l.c.Conn.Read(p))
	}
	began := time.Now()
	if l.left <= 0 {
		l.mu.Unlock()
		return 0, errTooLong
	}
	_ = l.c.Conn.SetReadDeadline(began.Add(l.left))
	l.mu.Unlock()
	l.guest.Owes()
	n, err := l.c.Conn.Read(p)
	l.guest.Paid()
	l.mu.Lock()
	l.left -= time.Since(began)
	l.mu.Unlock()
	return l.count(n, err)
}

// count bounds what a client sends before it has a place.
func (l *login) count(n int, err error) (int, error) {
	if l.sent += n; l.sent > maxLogin && l.c.meter.Load() == nil {
		return 0, errTooMuch
	}
	return n, err
}

// take waits for a turn to work on what has come, and reports false where the connection was closed before.
func (l *login) take() bool {
	if l.over.Load() {
		return true
	}
	if !l.c.table.turns.Take(l.address, l.guest.Step(), l.c.gone) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Load() {
		l.c.table.turns.Give()
		return true
	}
	l.turn = true
	return true
}

// giveTurn gives the turn back, where there is one. The caller holds mu.
func (l *login) giveTurn() {
	if l.turn {
		l.turn = false
		l.c.table.turns.Give()
	}
}

// writes gives the turn back before the gateway writes, and bounds how long that may take: a client need not read.
func (l *login) writes() {
	if l.over.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveTurn()
	if !l.over.Load() {
		_ = l.c.Conn.SetWriteDeadline(time.Now().Add(l.c.table.limits.Load().Login))
	}
}

// end is called once the client has logged in, or is gone.
func (l *login) end() {
	l.guest.Leave()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveTurn()
	if !l.over.Swap(true) {
		_ = l.c.Conn.SetDeadline(time.Time{})
	}
}
