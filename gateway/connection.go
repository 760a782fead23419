package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"shannot-gateway/gateway/admission"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/config"
	sshtarget "shannot-gateway/targets/ssh"
)

// maxAuthTries is how many keys a client may fail with.
const maxAuthTries = 6

// connections are the server's open connections, with what decides which of them are kept.
type connections struct {
	limits  atomic.Pointer[config.Connections]
	pending *admission.Pending
	turns   *admission.Turns
	places  *admission.Places
	input   *admission.Input
	rates   *rates

	mu       sync.Mutex
	all      map[*connection]struct{}
	draining bool
	empty    chan struct{} // closed once draining has come to its end
}

// newConnections makes the table. clock is the one by which commands are counted.
func newConnections(c *config.Config, clock func() time.Time) *connections {
	now := time.Now
	t := &connections{
		pending: admission.NewPending(pendingLimit(c.Connections, descriptors()), now), turns: admission.NewTurns(handshakes(c.Connections)),
		places: admission.NewPlaces(placeLimits(c)), input: admission.NewInput(inputLimits(c), now),
		all: map[*connection]struct{}{}, empty: make(chan struct{}),
	}
	t.limits.Store(&c.Connections)
	t.rates = &rates{perSecond: func() int { return t.limits.Load().Rate }, now: clock, all: map[string]*rate.Limiter{}}
	return t
}

// reload puts other limits in force. What is over them stays until it ends.
func (t *connections) reload(c *config.Config) {
	t.limits.Store(&c.Connections)
	t.pending.SetLimit(pendingLimit(c.Connections, descriptors()))
	t.turns.SetLimit(handshakes(c.Connections))
	t.places.SetLimits(placeLimits(c))
	t.input.SetLimits(inputLimits(c))
}

// count is what status tells.
func (t *connections) count() (n command.Connections) {
	waitingAgents, waitingOthers := 0, 0
	n.Agents, n.AgentsMax, waitingAgents = t.places.Count(admission.Asks)
	n.Approvers, n.ApproversMax, waitingOthers = t.places.Count(admission.Decides)
	n.Waiting = waitingAgents + waitingOthers
	n.LoggingIn, n.LoggingInMax = t.pending.Count()
	n.Input = t.input.Held()
	return n
}

func handshakes(c config.Connections) int {
	if c.Handshakes > 0 {
		return c.Handshakes
	}
	return runtime.GOMAXPROCS(0)
}

// descriptors is how many the process may have.
func descriptors() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}

// pendingLimit is how many clients may be logging in. Those without a key get no more than a quarter of the descriptors,
// which sessions need too.
func pendingLimit(c config.Connections, descriptors uint64) int {
	if quarter := descriptors / 4; quarter > 0 && quarter < uint64(c.Pending) { // #nosec G115 -- positive
		return int(quarter) // #nosec G115 -- less than Pending
	}
	return c.Pending
}

// fewDescriptors says that the process cannot have all connections that the bounds allow, and what to do, or "".
func fewDescriptors(c *config.Config, descriptors uint64) string {
	l := c.Connections
	want := pendingLimit(l, descriptors) + l.Max + l.Waiting*len(c.Identities)
	if descriptors == 0 || uint64(want) <= descriptors/2 { // #nosec G115 -- positive
		return ""
	}
	return fmt.Sprintf("up to %d connections may take most of the %d files that the process may open: raise the limit (LimitNOFILE=), or lower [connections]",
		want, descriptors)
}

func placeLimits(c *config.Config) admission.PlaceLimits {
	l := admission.PlaceLimits{
		Max: c.Connections.Max, Reserved: c.Connections.Reserved, PerIdentity: c.Connections.PerIdentity,
		Guaranteed: c.Connections.Guaranteed, Waiting: c.Connections.Waiting,
	}
	for _, id := range c.Identities {
		l.Identities[kindOf(id.MayDecide())]++
	}
	return l
}

// inputLimits lets a channel keep the largest script, and what the gateway reads ahead for a command. One connection
// alone may need that, and the two windows of a channel that somebody reads slowly and of one that nobody reads.
func inputLimits(c *config.Config) admission.InputLimits {
	const window = 2 << 20 // of the SSH library, for one channel
	keep := max(c.Limits.Script, maxIntake) + maxCommand
	return admission.InputLimits{Budget: c.Connections.Unread, Keep: keep, Alone: keep + 2*window}
}

func kindOf(decides bool) admission.Kind {
	if decides {
		return admission.Decides
	}
	return admission.Asks
}

// connection is one client's connection. Its Close is the single place where it is forgotten.
type connection struct {
	net.Conn
	table *connections
	host  string // its address, for the log
	gone  chan struct{}
	login *login
	meter atomic.Pointer[admission.Meter] // once it has a place

	exchanges exchanges
	before    gossh.ServerPreAuthConn // set before anybody logs in

	// Guarded by table.mu.
	closed bool
	member *member // who has proved to have a key of theirs
	place  *admission.Place
	placed bool // it has a place
	activity
}

// activity is what a client does in its connection.
type activity struct {
	channels int // that are open
	working  int // of these, those in which something was asked for
	idle     *time.Timer
	stop     chan struct{} // ends the questions to the client; nil while there is no channel
}

// admit takes a new connection into the table, or returns nil where there is no place for it.
func (t *connections) admit(conn net.Conn) *connection {
	c := &connection{Conn: conn, table: t, host: hostOf(conn.RemoteAddr()), gone: make(chan struct{})}
	address := admission.Address(conn.RemoteAddr())
	guest := t.pending.Admit(address, func() { _ = c.Close() }, func() bool { return unread(conn) })
	if guest == nil {
		return nil
	}
	c.login = &login{c: c, guest: guest, address: address, left: t.limits.Load().Login}
	t.mu.Lock()
	refused := t.draining
	if !refused {
		t.all[c] = struct{}{}
	}
	t.mu.Unlock()
	if refused {
		guest.Leave()
		return nil
	}
	return c
}

// unread reports whether something has come that was not read yet.
func unread(conn net.Conn) bool {
	n := 0
	err := onSocket(conn, func(fd int) { n, _, _ = unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT) })
	return err == nil && n > 0
}

// errNoSocket says that a connection has no descriptor, as one in a test.
var errNoSocket = errors.New("the connection is no socket")

// onSocket calls do with a connection's descriptor, which it may use until it returns.
func onSocket(conn net.Conn, do func(fd int)) error {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return errNoSocket
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) }) // #nosec G115 -- a descriptor
}

// maxRead bounds what comes in before it is asked again whether more may, in bytes.
const maxRead = 16 << 10

// Read implements net.Conn.
func (c *connection) Read(p []byte) (int, error) {
	if !c.login.over.Load() {
		return c.login.read(p)
	}
	m := c.meter.Load()
	if m == nil { // it waits for a place
		return c.login.count(c.Conn.Read(p))
	}
	if !m.Wait(c.gone) {
		return 0, net.ErrClosed
	}
	began := time.Now()
	n, err := c.Conn.Read(p[:min(len(p), maxRead)])
	m.Arrived(n, time.Since(began))
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (int, error) {
	c.login.writes()
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *connection) Close() error {
	t := c.table
	t.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.gone)
		delete(t.all, c)
		c.rest()
		if c.idle != nil {
			c.idle.Stop()
		}
		if c.place != nil {
			c.place.Release()
		}
		if t.draining && len(t.all) == 0 {
			close(t.empty)
		}
	}
	t.mu.Unlock()
	c.login.end()
	if m := c.meter.Load(); m != nil {
		m.Close()
	}
	return c.Conn.Close()
}

// errBusy is the end of a login for which there is no place.
var errBusy = errors.New("too many connections")

// settle makes a connection a member's, which has proved to have the key, and waits for a place of theirs.
func (c *connection) settle(m *member) error {
	t, limits := c.table, c.table.limits.Load()
	c.login.end()
	place := t.places.Ask(kindOf(m.identity.MayDecide()), m.identity.Name)
	if place == nil {
		return fmt.Errorf("%w: %d connections of %s wait for a place already", errBusy, limits.Waiting, m.identity.Name)
	}
	t.mu.Lock()
	if c.closed {
		t.mu.Unlock()
		place.Release()
		return net.ErrClosed
	}
	c.member, c.place = m, place
	t.mu.Unlock()
	timer := time.NewTimer(limits.Wait)
	defer timer.Stop()
	select {
	case <-place.Granted():
	case <-c.gone:
		return net.ErrClosed
	case <-timer.C:
		return fmt.Errorf("%w: no place for one more of %s for %s", errBusy, m.identity.Name, limits.Wait)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.placed = true
	c.meter.Store(t.input.Open(m.identity.Name))
	c.idle = time.AfterFunc(idleFor(limits), func() { _ = c.Close() })
	return nil
}

// forever is long enough for a timer that is not wanted.
const forever = 1 << 62

// idleFor is how long a connection may do nothing.
func idleFor(l *config.Connections) time.Duration {
	if l.Idle == 0 {
		return forever
	}
	return l.Idle
}

// open counts a session channel in, and reports false where there are too many.
func (c *connection) open(conn gossh.Conn) bool {
	limits := c.table.limits.Load()
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.closed || !c.placed || c.table.draining || c.channels >= limits.Channels {
		return false
	}
	if c.channels++; c.channels == 1 {
		c.stop = make(chan struct{})
		// A held script may wait long, and nobody else would notice that its client is gone.
		go sshtarget.KeepAlive(conn, limits.Keepalive, c.stop)
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
	}
	leave := last && c.table.draining
	c.table.mu.Unlock()
	if leave {
		_ = c.Close()
	}
}

// works notes that the client asked for something in a channel. Until that has ended, the connection is not idle. A
// channel alone does not count, nor does an answer to a question of the gateway.
func (c *connection) works() {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.working++; c.working == 1 {
		c.idle.Stop()
	}
}

// worked is the end of works.
func (c *connection) worked() {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if c.working--; c.working == 0 && !c.closed {
		c.idle.Reset(idleFor(c.table.limits.Load()))
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

// drain closes what has no channel; what has one is closed when its last channel ends.
func (t *connections) drain() {
	t.mu.Lock()
	t.draining = true
	var idle []*connection
	for c := range t.all {
		if c.channels == 0 {
			idle = append(idle, c)
		}
	}
	if len(t.all) == 0 {
		close(t.empty)
	}
	t.mu.Unlock()
	for _, c := range idle {
		_ = c.Close()
	}
}

// left waits after drain until there is no connection, and closes what is there when ctx ends.
func (t *connections) left(ctx context.Context) error {
	select {
	case <-t.empty:
		return nil
	case <-ctx.Done():
	}
	t.closeAll()
	return ctx.Err()
}

func (t *connections) closeAll() {
	t.mu.Lock()
	all := make([]*connection, 0, len(t.all))
	for c := range t.all {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}
