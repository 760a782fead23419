package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/targets/ssh/sftp"
)

// Bounds of one target's connections. OpenSSH serves 10 sessions in a connection (MaxSessions).
const (
	maxConnections   = 8
	maxChannelsEach  = 8
	maxIdleRelays    = 4
	idleLife         = 5 * time.Minute // of a connection without a channel
	channelPatience  = 15 * time.Second
	firstBackoff     = 500 * time.Millisecond
	longestBackoff   = 30 * time.Second
	connectionsAtOne = 1 // attempts of one pool to connect at once
	attemptsAtOnce   = 4 // of all pools of a target: OpenSSH refuses some beyond 10 (MaxStartups)
	maxLost          = maxConnections
)

// pool keeps the connections to one target that are for one use.
type pool struct {
	dialer   *dialer
	hops     []Hop
	use      string // what they are for, as the target's log names it
	attempts *attempts
	dialing  chan struct{} // holds connectionsAtOne

	mu     sync.Mutex
	links  []*pooled
	relays []*relay // idle SFTP channels
	free   chan struct{}
	closed bool
	last   bool // nothing is kept for the next use: there will be none
}

// attempts to connect to one target, by whichever pool: one that is down is not tried by all of them at once.
type attempts struct {
	target string
	now    func() time.Time
	places chan struct{} // holds attemptsAtOnce

	mu      sync.Mutex
	failure error // of the last attempt
	failed  int   // in a row
	retry   time.Time
}

func newAttempts(target string, now func() time.Time) *attempts {
	return &attempts{target: target, now: now, places: make(chan struct{}, attemptsAtOnce)}
}

// recent is the error of an attempt so recent that the next one has to wait.
func (a *attempts) recent() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure == nil {
		return nil
	}
	if wait := a.retry.Sub(a.now()); wait > 0 {
		return &UnreachableError{a.target, fmt.Errorf("%w (next attempt in %v)", a.failure, wait.Round(100*time.Millisecond))}
	}
	return nil
}

// last is the error of the last attempt.
func (a *attempts) last() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// ended takes down what came of an attempt.
func (a *attempts) ended(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failure = err; err == nil {
		a.failed = 0
		return
	}
	a.retry = a.now().Add(min(longestBackoff, firstBackoff<<min(a.failed, 10)))
	a.failed++
}

// pooled is a connection and how much of it is used.
type pooled struct {
	*link
	used  int
	limit int
	idle  *time.Timer
}

func newPool(d *dialer, hops []Hop, use string, a *attempts) *pool {
	return &pool{dialer: d, hops: hops, use: use, attempts: a, dialing: make(chan struct{}, connectionsAtOne), free: make(chan struct{}, 1)}
}

var errPoolClosed = errors.New("the gateway is shutting down")

// UnreachableError says that a target cannot be used now, and why.
type UnreachableError struct {
	Target string
	Err    error
}

// Error names the target.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the target %s cannot be reached: %v", e.Target, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// session opens a session channel. release is to be called once the channel is closed.
func (p *pool) session(ctx context.Context) (channel *gossh.Session, release func(), err error) {
	for try := 0; ; try++ {
		l, err := p.reserve(ctx)
		if err != nil {
			return nil, nil, err
		}
		s, err := openSession(ctx, l)
		if err == nil {
			return s, func() { p.release(l) }, nil
		}
		var refused *gossh.OpenChannelError
		switch {
		case errors.As(err, &refused) && (p.full(l) || try == 0):
			continue // on another connection
		case errors.As(err, &refused):
			return nil, nil, &UnreachableError{p.name(), fmt.Errorf("it opens no channel: %w", err)}
		}
		p.drop(l)
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		if try >= maxLost {
			return nil, nil, &UnreachableError{p.name(), fmt.Errorf("it ends its connections: %w", err)}
		}
		// The connection had died unnoticed: another one is tried.
	}
}

// openSession opens a channel on a connection and gives up on one that does not answer.
func openSession(ctx context.Context, l *pooled) (*gossh.Session, error) {
	type result struct {
		s   *gossh.Session
		err error
	}
	got := make(chan result, 1)
	go func() {
		s, err := l.client.NewSession()
		got <- result{s, err}
	}()
	timer := time.NewTimer(channelPatience)
	defer timer.Stop()
	select {
	case r := <-got:
		return r.s, r.err
	case <-timer.C:
		l.close()
	case <-ctx.Done():
		go func() { // an answer that still comes is closed again
			if r := <-got; r.s != nil {
				_ = r.s.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
	return nil, errors.New("it does not answer")
}

func (p *pool) name() string { return p.hops[len(p.hops)-1].Name }

// reserve takes a place in a connection, made where none has one.
func (p *pool) reserve(ctx context.Context) (*pooled, error) {
	for {
		p.mu.Lock()
		l, mayDial := p.pick()
		closed := p.closed
		p.mu.Unlock()
		switch {
		case closed:
			return nil, errPoolClosed
		case l != nil:
			p.wake() // there may be room for more than one
			return l, nil
		case !mayDial:
			select {
			case <-p.free:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		if err := p.dial(ctx); err != nil {
			return nil, err
		}
	}
}

// pick takes a place where there is one, and says whether another connection may be made. The caller holds the lock.
func (p *pool) pick() (l *pooled, mayDial bool) {
	for _, c := range p.links {
		if c.used < c.limit {
			c.used++
			if c.idle != nil {
				c.idle.Stop()
				c.idle = nil
			}
			return c, false
		}
	}
	return nil, len(p.links) < maxConnections
}

// dial adds a connection to the pool. One attempt is made at a time: who waits for it takes its result.
func (p *pool) dial(ctx context.Context) error {
	select {
	case p.dialing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.dialing }()
	p.mu.Lock()
	served := slices.ContainsFunc(p.links, func(c *pooled) bool { return c.used < c.limit })
	p.mu.Unlock()
	if served { // by somebody else's attempt
		return nil
	}
	select {
	case p.attempts.places <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-p.attempts.places }()
	if err := p.attempts.recent(); err != nil {
		return err
	}
	l, err := p.dialer.connect(ctx, p.hops, p.use)
	if err != nil {
		if ctx.Err() == nil || !errors.Is(err, context.Cause(ctx)) { // not because the caller left
			p.attempts.ended(err)
		}
		return &UnreachableError{p.name(), err}
	}
	p.attempts.ended(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.close()
		return errPoolClosed
	}
	c := &pooled{link: l, limit: maxChannelsEach}
	c.idle = time.AfterFunc(idleLife, func() { p.expire(c) })
	p.links = append(p.links, c)
	go func() {
		<-l.gone
		p.drop(c)
	}()
	return nil
}

// full notes that the server opens no more channels on a connection, and gives the place back. It reports false where the
// connection has no other channel: then the server has not noticed yet that others were closed, or it opens none at all.
func (p *pool) full(l *pooled) bool {
	p.mu.Lock()
	l.used--
	others := l.used > 0
	if others {
		l.limit = l.used
	}
	p.mu.Unlock()
	if !others {
		p.drop(l)
	}
	return others
}

// release gives a place back.
func (p *pool) release(l *pooled) {
	p.mu.Lock()
	l.used--
	switch {
	case l.used > 0 || p.closed:
	case p.last:
		defer p.expire(l)
	default:
		l.idle = time.AfterFunc(idleLife, func() { p.expire(l) })
	}
	p.mu.Unlock()
	p.wake()
}

// keepNothing closes what nobody uses, and everything else as soon as that is so.
func (p *pool) keepNothing() {
	p.mu.Lock()
	p.last = true
	relays, links := p.relays, slices.Clone(p.links)
	p.relays = nil
	p.mu.Unlock()
	for _, r := range relays {
		r.idle.Stop()
		p.end(r)
	}
	for _, l := range links {
		p.expire(l)
	}
}

// wake lets one of those who wait for a place look again.
func (p *pool) wake() {
	select {
	case p.free <- struct{}{}:
	default:
	}
}

// expire closes a connection that nobody uses.
func (p *pool) expire(l *pooled) {
	p.mu.Lock()
	unused := l.used == 0
	if unused {
		l.limit = 0 // nobody takes it any more
	}
	p.mu.Unlock()
	if unused {
		p.drop(l)
	}
}

// drop forgets a connection that is gone.
func (p *pool) drop(l *pooled) {
	l.close()
	p.mu.Lock()
	for i, c := range p.links {
		if c == l {
			p.links = append(p.links[:i], p.links[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	p.wake()
}

// count is how many connections there are, and channels of them that somebody uses.
func (p *pool) count() (open, channels int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		channels += l.used
	}
	return len(p.links), max(0, channels-len(p.relays))
}

// close ends all connections.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	links, relays := p.links, p.relays
	p.links, p.relays = nil, nil
	p.mu.Unlock()
	for _, r := range relays {
		_ = r.Close()
	}
	for _, l := range links {
		l.close()
	}
	p.wake()
}

// relay is an SFTP channel. One session at a time uses it, so that nobody waits for a file that hangs somebody else.
type relay struct {
	*sftp.Client
	release func() // once
	idle    *time.Timer
}

// relay takes an idle SFTP channel or opens one.
func (p *pool) relay(ctx context.Context) (*relay, error) {
	for {
		p.mu.Lock()
		n := len(p.relays)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		r := p.relays[n-1]
		p.relays = p.relays[:n-1]
		r.idle.Stop()
		p.mu.Unlock()
		if r.Idle() {
			return r, nil
		}
		p.end(r)
	}
	s, release, err := p.session(ctx)
	if err != nil {
		return nil, err
	}
	r, err := startRelay(ctx, s, sftp.Timing{Silence: p.dialer.silence})
	if err != nil {
		_ = s.Close()
		release()
		return nil, &UnreachableError{p.name(), err}
	}
	r.release = sync.OnceFunc(release)
	return r, nil
}

// asking runs a question over a channel of the pool. It asks again where the connection broke under it: a question
// changes nothing.
func asking[T any](ctx context.Context, p *pool, question func(*relay) (T, error)) (answer T, err error) {
	for try := 1; ; try++ {
		r, err := p.relay(ctx)
		if err != nil {
			return answer, err
		}
		answer, err = question(r)
		failure := r.Err()
		p.giveBack(r)
		if err == nil || failure == nil || try >= maxAsked || ctx.Err() != nil ||
			errors.Is(failure, sftp.ErrTimeout) || errors.Is(failure, sftp.ErrProtocol) {
			return answer, err
		}
	}
}

// giveBack keeps a channel for the next session where it is sound and quiet.
func (p *pool) giveBack(r *relay) {
	p.mu.Lock()
	if !p.closed && !p.last && r.Idle() && len(p.relays) < maxIdleRelays {
		r.idle = time.AfterFunc(idleLife, func() { p.retire(r) })
		p.relays = append(p.relays, r)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.end(r)
}

// retire ends a channel that nobody has taken for long.
func (p *pool) retire(r *relay) {
	p.mu.Lock()
	at := slices.Index(p.relays, r)
	if at >= 0 {
		p.relays = slices.Delete(p.relays, at, at+1)
	}
	p.mu.Unlock()
	if at >= 0 {
		p.end(r)
	}
}

func (p *pool) end(r *relay) {
	_ = r.Close()
	r.release()
}

// stream is a session channel as SFTP speaks over it.
type stream struct {
	io.Reader
	io.WriteCloser
	session *gossh.Session
}

// Close closes the channel, not only its input.
func (s stream) Close() error { return s.session.Close() }

func startRelay(ctx context.Context, s *gossh.Session, t sftp.Timing) (*relay, error) {
	in, err := s.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := within(ctx, channelPatience, s, func() error { return s.RequestSubsystem("sftp") }); err != nil {
		return nil, fmt.Errorf("it has no SFTP: %w", err)
	}
	client, err := sftp.New(ctx, stream{out, in, s}, t)
	if err != nil {
		return nil, err
	}
	return &relay{Client: client}, nil
}

// within runs what has no context of its own, and closes the channel to end it.
func within(ctx context.Context, patience time.Duration, s io.Closer, do func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it does not answer"))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	err := do()
	if !stop() && err != nil {
		return context.Cause(ctx)
	}
	return err
}
