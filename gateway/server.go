package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/gateway/admission"
)

// serverVersion is what the server calls itself.
const serverVersion = "SSH-2.0-Shannot"

// accepting is a server's loop that accepts connections.
type accepting struct {
	listener net.Listener
	handle   func(net.Conn) // must not wait
	shed     func() bool    // lets a connection go where the process can hold no more, and reports whether there was one
	sleep    func(context.Context, time.Duration)
	log      *occasionally
}

// The pauses after errors of accept(2).
const (
	firstAcceptPause = 5 * time.Millisecond
	lastAcceptPause  = time.Second
)

// run accepts connections until the listener is closed or ctx ends. Nothing else ends it. The kernel may lack something
// (descriptors, memory, inotify watches of the user) and give it again later; whatever else is wrong, an agent may have
// brought it about, and must not end the service with it.
func (a accepting) run(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		conn, err := a.listener.Accept()
		switch {
		case err == nil:
			pause = 0
			a.handle(conn)
			continue
		case errors.Is(err, net.ErrClosed), ctx.Err() != nil:
			return err
		}
		pause = min(max(2*pause, firstAcceptPause), lastAcceptPause)
		a.log.error("accept a connection", "error", err, "made_room", a.shed(), "pause", pause)
		a.sleep(ctx, pause)
	}
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// occasionally logs one kind of trouble that may come often: the first at once, and every logEvery how many there were.
type occasionally struct {
	to  *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	last   time.Time
	unsaid int
}

const logEvery = 10 * time.Second

func (o *occasionally) error(message string, args ...any) { o.log(slog.LevelError, message, args) }
func (o *occasionally) warn(message string, args ...any)  { o.log(slog.LevelWarn, message, args) }

func (o *occasionally) log(level slog.Level, message string, args []any) {
	o.mu.Lock()
	now := o.now()
	if !o.last.IsZero() && now.Sub(o.last) < logEvery {
		o.unsaid++
		o.mu.Unlock()
		return
	}
	if o.unsaid > 0 {
		args = append(args, "unsaid", o.unsaid)
	}
	o.last, o.unsaid = now, 0
	o.mu.Unlock()
	o.to.Log(context.Background(), level, message, args...)
}

// accept takes in one connection, and returns at once.
func (g *Gateway) accept(conn net.Conn) {
	c := g.connections.admit(conn)
	if c == nil {
		g.crowded.warn("connection refused: too many are logging in from there", "address", conn.RemoteAddr().String())
		_ = conn.Close()
		return
	}
	go g.converse(c)
}

// converse serves one connection to its end. It answers whatever a client sends that is neither a session nor within a
// session, one after the other. A client that does not read the answers gets no more of them.
func (g *Gateway) converse(c *connection) {
	defer func() { _ = c.Close() }()
	defer g.recovered("connection")
	conn, channels, requests, err := gossh.NewServerConn(c, g.serverConfig(c))
	if err != nil {
		g.log.Debug("connection failed", "address", c.RemoteAddr().String(), "error", err)
		return
	}
	ctx, cancel := newClientContext(conn)
	defer cancel()
	go gossh.DiscardRequests(requests) // no global request is served
	for offered := range channels {
		if offered.ChannelType() != "session" {
			_ = offered.Reject(refusalOf(offered.ChannelType()))
			continue
		}
		g.offered(ctx, c, conn, offered)
	}
}

// refusalOf says why a channel of a type is not opened (RFC 4254, section 5.1).
func refusalOf(kind string) (gossh.RejectionReason, string) {
	switch kind {
	case "direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "forwarded-streamlocal@openssh.com", "tun@openssh.com",
		"x11", "auth-agent@openssh.com", "auth-agent":
		return gossh.Prohibited, "this gateway forwards nothing: scripts and commands have no way through it"
	}
	return gossh.UnknownChannelType, "unsupported channel type"
}

// recovered keeps a panic within what it happened in.
func (g *Gateway) recovered(where string) {
	if p := recover(); p != nil {
		g.log.Error("panic in a "+where, "panic", p, "stack", string(debug.Stack()))
	}
}

// rekeyEvery is the least time between two exchanges of keys in a connection. OpenSSH asks for one every gigabyte.
const rekeyEvery = time.Second

// exchanges are the exchanges of keys in one connection.
type exchanges struct {
	mu   sync.Mutex
	next time.Time // when the next one may end
}

// wait is how long an exchange has to wait.
func (e *exchanges) wait(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	wait := max(e.next.Sub(now), 0)
	e.next = now.Add(wait + rekeyEvery)
	return wait
}

// errKeysAgain ends a login in which keys are exchanged a second time. No client has a use for that, and the gateway
// would compute each exchange before the logins of others.
var errKeysAgain = errors.New("new keys before the login")

// exchanged notes an exchange of keys. It slows down a client that asks for one after the other: each costs the gateway
// as much as a login.
func (c *connection) exchanged() error {
	if !c.login.over.Load() && c.login.guest.Step() == admission.Keyed {
		return errKeysAgain
	}
	c.login.guest.Reached(admission.Keyed)
	wait := c.exchanges.wait(time.Now())
	if wait == 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.gone:
	}
	return nil
}

// signer is a host key for one connection. It sees every exchange of keys.
type signer struct {
	gossh.AlgorithmSigner
	exchanged func() error
}

// Sign implements gossh.Signer.
func (s signer) Sign(random io.Reader, data []byte) (*gossh.Signature, error) {
	if err := s.exchanged(); err != nil {
		return nil, err
	}
	return s.AlgorithmSigner.Sign(random, data)
}

// SignWithAlgorithm implements gossh.AlgorithmSigner.
func (s signer) SignWithAlgorithm(random io.Reader, data []byte, algorithm string) (*gossh.Signature, error) {
	if err := s.exchanged(); err != nil {
		return nil, err
	}
	return s.AlgorithmSigner.SignWithAlgorithm(random, data, algorithm)
}

// hostKey is a host key for one connection, or the key as it is where it cannot be told an algorithm.
func (c *connection) hostKey(key gossh.Signer) gossh.Signer {
	if of, ok := key.(gossh.AlgorithmSigner); ok {
		return strongSigner(signer{of, c.exchanged})
	}
	return key
}

// clientContext is the context of one connection, as the library's sessions want it. It ends with the connection.
type clientContext struct {
	context.Context
	sync.Mutex // of the library's own

	conn   *gossh.ServerConn
	values sync.Map
}

func newClientContext(conn *gossh.ServerConn) (*clientContext, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	return &clientContext{Context: ctx, conn: conn}, cancel
}

// Value implements context.Context.
func (c *clientContext) Value(key any) any {
	if v, ok := c.values.Load(key); ok {
		return v
	}
	if key == ssh.ContextKeyPermissions {
		return c.Permissions()
	}
	return c.Context.Value(key)
}

// SetValue implements ssh.Context.
func (c *clientContext) SetValue(key, value any) { c.values.Store(key, value) }

// User implements ssh.Context.
func (c *clientContext) User() string { return c.conn.User() }

// SessionID implements ssh.Context.
func (c *clientContext) SessionID() string { return hex.EncodeToString(c.conn.SessionID()) }

// ClientVersion implements ssh.Context.
func (c *clientContext) ClientVersion() string { return string(c.conn.ClientVersion()) }

// ServerVersion implements ssh.Context.
func (c *clientContext) ServerVersion() string { return string(c.conn.ServerVersion()) }

// RemoteAddr implements ssh.Context.
func (c *clientContext) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// LocalAddr implements ssh.Context.
func (c *clientContext) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// Permissions implements ssh.Context.
func (c *clientContext) Permissions() *ssh.Permissions {
	return &ssh.Permissions{Permissions: c.conn.Permissions}
}
