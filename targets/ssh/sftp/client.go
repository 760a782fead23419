// Package sftp is the client's side of the SSH File Transfer Protocol, version 3 (draft-ietf-secsh-filexfer-02 with
// OpenSSH's extensions), for servers that nobody trusts. It bounds and checks everything that a server sends. A request that
// is not answered ends the connection. Many requests are under way at once. The package knows no target and no policy. It
// must never make a local file, and never take a server's word for a path. Begin with Client in this file.
package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"shannot-gateway/internal/sftpwire"
)

// version is the only version of the protocol that is spoken.
const version = 3

// Window is how many requests may be under way at once: twice what an SSH channel's window of 2 MiB takes of reads, so
// that the server never waits for the next one.
const Window = 128

// ErrTimeout ends a connection whose server did not answer.
var ErrTimeout = errors.New("the SFTP server does not answer")

// ErrEnded is the failure of a connection that the server, or the network, ended.
var ErrEnded = errors.New("the SFTP connection has ended")

// ErrClosed is the error of a client after Close.
var ErrClosed = errors.New("the SFTP connection is closed")

// Timing is how long a client waits; zero values mean the defaults.
type Timing struct {
	Silence time.Duration // without any answer while one is due; 15 s
	Request time.Duration // for one answer, whatever else comes; 2 min
}

// Client is a connection to an SFTP server. Its methods may be called from several goroutines. After the first
// failure of the connection every call returns that failure.
type Client struct {
	conn       io.ReadWriteCloser
	timing     Timing
	slots      chan struct{}
	extensions map[string]string

	sending sync.Mutex

	mu      sync.Mutex
	next    uint32
	pending map[uint32]*call
	heard   time.Time // when the last packet came, or the first request went out
	err     error
	ended   chan struct{}
}

// call is a request under way.
type call struct {
	sent  time.Time
	alone bool       // nobody waits for the answer, and it takes no time
	reply chan reply // gets one
}

type reply struct {
	kind byte
	body []byte
	err  error
}

// New begins the protocol on a connection, which the client then owns.
func New(ctx context.Context, conn io.ReadWriteCloser, t Timing) (*Client, error) {
	if t.Silence <= 0 {
		t.Silence = 15 * time.Second
	}
	if t.Request <= 0 {
		t.Request = 2 * time.Minute
	}
	c := &Client{
		conn: conn, timing: t, slots: make(chan struct{}, Window), extensions: map[string]string{},
		pending: map[uint32]*call{}, ended: make(chan struct{}),
	}
	timer := time.AfterFunc(t.Silence, func() { c.fail(ErrTimeout) })
	defer timer.Stop()
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	if err := c.greet(); err != nil {
		c.fail(err)
		return nil, fmt.Errorf("begin SFTP: %w", c.Err())
	}
	if !stop() {
		return nil, fmt.Errorf("begin SFTP: %w", context.Cause(ctx))
	}
	go c.receive()
	go c.watch()
	return c, nil
}

func (c *Client) greet() error {
	if _, err := c.conn.Write([]byte{0, 0, 0, 5, sftpwire.TypeInit, 0, 0, 0, version}); err != nil {
		return err
	}
	first := &recorder{from: c.conn}
	kind, body, err := readPacket(first)
	if errors.Is(err, ErrProtocol) && isText(first.seen) {
		return fmt.Errorf("%w (%q…) where its answer should begin: a start-up file of the account prints (~/.bashrc, for instance), "+
			"or a ForceCommand runs something else", ErrText, first.seen)
	}
	if err != nil {
		return err
	}
	d := sftpwire.NewDecoder(body)
	if v := d.Uint32(); kind != sftpwire.TypeVersion || d.Bad() || v < version {
		return broken("it answers the greeting with type %d, version %d", kind, v)
	}
	for n := 0; len(d.Rest()) > 0 && n < maxVersions; n++ {
		name, data := d.String(), d.String()
		if d.Bad() {
			return broken("an extension is cut short")
		}
		c.extensions[name] = data
	}
	return nil
}

// recorder keeps the first bytes that it reads.
type recorder struct {
	from io.Reader
	seen []byte // at most 5: what has a packet's length and type
}

// Read implements io.Reader.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.seen = append(r.seen, p[:min(n, 5-len(r.seen))]...)
	return n, err
}

// isText reports whether bytes begin as a line of text does: no packet of a server's greeting is that long.
func isText(b []byte) bool {
	return len(b) > 0 && (b[0] >= ' ' && b[0] != 0x7f || b[0] == '\n' || b[0] == '\r' || b[0] == '\t' || b[0] == 0x1b)
}

// Has reports whether the server announced an extension.
func (c *Client) Has(extension string) bool {
	_, ok := c.extensions[extension]
	return ok
}

// readPacket reads one packet: its type and what follows.
func readPacket(r io.Reader) (kind byte, body []byte, err error) {
	kind, body, err = sftpwire.ReadPacket(r)
	if errors.Is(err, sftpwire.ErrLength) {
		err = broken("%v", err)
	}
	return kind, body, err
}

// receive hands each answer to who waits for it.
func (c *Client) receive() {
	for {
		kind, body, err := readPacket(c.conn)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = ErrEnded // which must never be taken for the end of a file
			}
			c.fail(err)
			return
		}
		d := sftpwire.NewDecoder(body)
		id := d.Uint32()
		if d.Bad() {
			c.fail(broken("a packet without a number"))
			return
		}
		c.mu.Lock()
		waiting := c.pending[id]
		delete(c.pending, id)
		c.heard = time.Now()
		c.mu.Unlock()
		if waiting == nil {
			c.fail(broken("an answer to a question that was not asked"))
			return
		}
		waiting.reply <- reply{kind: kind, body: d.Rest()}
		<-c.slots
	}
}

// watch ends the connection where an answer is overdue.
func (c *Client) watch() {
	ticker := time.NewTicker(min(time.Second, c.timing.Silence/4+1))
	defer ticker.Stop()
	for {
		select {
		case <-c.ended:
			return
		case now := <-ticker.C:
			if c.overdue(now) {
				c.fail(ErrTimeout)
				return
			}
		}
	}
}

func (c *Client) overdue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		return false
	}
	if now.Sub(c.heard) > c.timing.Silence {
		return true
	}
	for _, w := range c.pending {
		if now.Sub(w.sent) > c.timing.Request {
			return true
		}
	}
	return false
}

// fail ends the connection. The first failure is the one that everybody is told.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	waiting := c.pending
	c.pending = nil
	close(c.ended)
	c.mu.Unlock()
	_ = c.conn.Close()
	for _, w := range waiting {
		w.reply <- reply{err: err}
	}
}

// Close ends the connection.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	return nil
}

// Err is the failure that ended the connection, nil while there is none.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Idle reports whether the connection lives and nothing is under way but the closing of handles.
func (c *Client) Idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.pending {
		if !w.alone {
			return false
		}
	}
	return c.err == nil
}

// start sends a request. build appends what follows the request's number.
func (c *Client) start(ctx context.Context, kind byte, build func(*sftpwire.Encoder)) (*call, error) {
	return c.send(ctx, kind, &call{reply: make(chan reply, 1)}, build)
}

func (c *Client) send(ctx context.Context, kind byte, w *call, build func(*sftpwire.Encoder)) (*call, error) {
	select {
	case c.slots <- struct{}{}:
	case <-c.ended:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	w.sent = time.Now()
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return nil, c.err
	}
	c.next++
	id := c.next
	if len(c.pending) == 0 {
		c.heard = w.sent
	}
	c.pending[id] = w
	c.mu.Unlock()
	packet := sftpwire.NewPacket(kind)
	packet.Uint32(id)
	build(&packet)
	c.sending.Lock()
	_, err := c.conn.Write(packet.Finish())
	c.sending.Unlock()
	if err != nil {
		c.fail(fmt.Errorf("%w: %v", ErrEnded, err)) // no io.EOF in it
	}
	return w, nil
}

// wait is the answer to a request. A caller that leaves earlier leaves the request under way.
func (w *call) wait(ctx context.Context) (reply, error) {
	select {
	case r := <-w.reply:
		return r, r.err
	default:
	}
	select {
	case r := <-w.reply:
		return r, r.err
	case <-ctx.Done():
		return reply{}, context.Cause(ctx)
	}
}

// expect checks an answer's type. A status is returned as an error, of which io.EOF is one.
func (c *Client) expect(r reply, kind byte) (*sftpwire.Decoder, error) {
	d := sftpwire.NewDecoder(r.body)
	if r.kind == sftpwire.TypeStatus {
		status := readStatus(d)
		switch {
		case d.Bad():
			return nil, c.broke("a status is cut short")
		case status.Code == sftpwire.StatusOK && kind == sftpwire.TypeStatus:
			return d, nil
		case status.Code == sftpwire.StatusEOF:
			return nil, io.EOF
		case status.Code == sftpwire.StatusOK:
			return nil, c.broke("a success without what was asked for")
		}
		return nil, status
	}
	if r.kind != kind {
		return nil, c.broke("an answer of type %d, not %d", r.kind, kind)
	}
	return d, nil
}

// broke ends the connection to a server that cannot be believed.
func (c *Client) broke(format string, args ...any) error {
	err := broken(format, args...)
	c.fail(err)
	return err
}
