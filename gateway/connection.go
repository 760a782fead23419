package gateway

import (
	"net"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	sshtarget "shannot-gateway/targets/ssh"
)

// Timing is how long the server waits for its clients. Zero values mean the defaults.
type Timing struct {
	Handshake time.Duration // until a client has authenticated; 15 s
	Idle      time.Duration // a connection without a session; 10 min
	Keepalive time.Duration // between questions to a client with a session, which may miss three; 30 s
	Drain     time.Duration // for running sessions after the server was told to stop; 10 s
}

func (t Timing) withDefaults() Timing {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&t.Handshake, 15 * time.Second}, {&t.Idle, 10 * time.Minute}, {&t.Keepalive, 30 * time.Second}, {&t.Drain, 10 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	return t
}

// Caps on connections. A client without a key can hold at most its share of the unauthenticated ones, for as long as
// a handshake may take.
const (
	maxConnections       = 512 // in all
	maxUnauthenticated   = 64  // in all
	maxUnauthenticatedBy = 8   // from one address
	maxChannels          = 10  // open at once in one connection
	maxAuthTries         = 6
)

// connections are the server's open connections.
type connections struct {
	timing Timing

	mu       sync.Mutex
	all      map[*connection]struct{}
	pending  map[string]int // unauthenticated ones by address
	npending int
	draining bool
}

func newConnections(t Timing) *connections {
	return &connections{timing: t, all: map[*connection]struct{}{}, pending: map[string]int{}}
}

// connection is one client's connection. Its Close is the single place where it is forgotten.
type connection struct {
	net.Conn
	table   *connections
	address string

	// Guarded by table.mu.
	authenticated, closed bool
	member                *member // who has proved to have a key of theirs
	channels              int
	idle                  *time.Timer
	stop                  chan struct{} // ends the questions to the client; nil while there is no session
}

// admit takes a new connection into the table, or returns nil where a cap is reached.
func (t *connections) admit(conn net.Conn) *connection {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining || len(t.all) >= maxConnections || t.npending >= maxUnauthenticated || t.pending[address] >= maxUnauthenticatedBy {
		return nil
	}
	c := &connection{Conn: conn, table: t, address: address}
	t.all[c] = struct{}{}
	t.npending++
	t.pending[address]++
	return c
}

// Close implements net.Conn.
func (c *connection) Close() error {
	t := c.table
	t.mu.Lock()
	if !c.closed {
		c.closed = true
		delete(t.all, c)
		if !c.authenticated {
			t.forgetPending(c.address)
		}
		c.rest()
		if c.idle != nil {
			c.idle.Stop()
		}
	}
	t.mu.Unlock()
	return c.Conn.Close()
}

func (t *connections) forgetPending(address string) {
	t.npending--
	if t.pending[address]--; t.pending[address] <= 0 {
		delete(t.pending, address)
	}
}

// authenticatedNow gives back the connection's share of the unauthenticated ones.
func (c *connection) authenticatedNow() {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.closed || c.authenticated {
		return
	}
	c.authenticated = true
	c.table.forgetPending(c.address)
	c.idle = time.AfterFunc(c.table.timing.Idle, func() { _ = c.Close() })
}

// belongsTo notes who a connection is of.
func (c *connection) belongsTo(m *member) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.member = m
}

// open counts a session channel in, and reports false where there are too many.
func (c *connection) open(conn gossh.Conn) bool {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.closed || !c.authenticated || c.table.draining || c.channels >= maxChannels {
		return false
	}
	if c.channels++; c.channels == 1 {
		c.idle.Stop()
		c.stop = make(chan struct{})
		// A held script may wait long, and nobody else would notice that its client is gone.
		go sshtarget.KeepAlive(conn, c.table.timing.Keepalive, c.stop)
	}
	return true
}

// done counts a session channel out.
func (c *connection) done() {
	c.table.mu.Lock()
	c.channels--
	last := c.channels == 0
	if last {
		c.rest()
		if !c.closed {
			c.idle.Reset(c.table.timing.Idle)
		}
	}
	leave := last && c.table.draining
	c.table.mu.Unlock()
	if leave {
		_ = c.Close()
	}
}

// rest ends the questions to the client. The caller holds the lock.
func (c *connection) rest() {
	if c.stop != nil {
		close(c.stop)
		c.stop = nil
	}
}

// closeOthers closes the connections of members that are not to be kept, and returns them.
func (t *connections) closeOthers(keep func(*member) bool) (closed []*connection) {
	t.mu.Lock()
	for c := range t.all {
		if c.member != nil && !keep(c.member) {
			closed = append(closed, c)
		}
	}
	t.mu.Unlock()
	for _, c := range closed {
		_ = c.Close()
	}
	return closed
}

// drain closes what has no session; what has one is closed when its last session ends.
func (t *connections) drain() {
	t.mu.Lock()
	t.draining = true
	var idle []*connection
	for c := range t.all {
		if c.channels == 0 {
			idle = append(idle, c)
		}
	}
	t.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}
