// Package ssh is a host reached over SSH as a target: its files over SFTP, its commands as sessions. It installs nothing
// there. It takes everything that such a host sends for hostile: bounded, checked, and never trusted beyond the question
// that it answers. The package knows the contract of a target, views and known host keys. It must never send a command
// twice, and never connect to a host whose key nobody accepted. Begin with Target in this file; pool.go has the connections,
// view.go the files, command.go the commands, change.go the approved changes.
package ssh

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/hostkeys"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// Options describe a target. Zero values mean the defaults.
type Options struct {
	// Hops is the way to the target, itself the last one; those before it are jump hosts.
	Hops      []Hop
	Timeout   time.Duration // to connect, all hops together; 15 s
	Keepalive time.Duration // between questions to a silent connection, which may miss three; 15 s
	Silence   time.Duration // of an SFTP server that owes an answer; 15 s
	// Cache is how long what a session saw is believed at most, unless one of its commands has run; 0 sets no bound.
	Cache time.Duration
	Wall  WallOptions
	Now   func() time.Time
	Dial  func(ctx context.Context, network, address string) (net.Conn, error)
	Log   *slog.Logger
}

// Target is one host, as one use of it sees it: a session's, or whatever comes before one. All uses share what is known
// of the host. It connects at its first use.
type Target struct {
	*host
	pool *pool
	own  bool // the pool is this use's alone
	// kills are under way: what the session has started ends even if its target is slow.
	kills *kills
	all   bool // it is the one that New made: with it all uses end
}

// host is what all uses of a target share.
type host struct {
	hops     []Hop
	dialer   *dialer
	attempts *attempts
	log      *slog.Logger
	now      func() time.Time
	cache    time.Duration
	wall     WallOptions
	learning chan struct{}

	mu      sync.Mutex
	closed  bool
	retired bool             // no use will come that is not there
	pools   map[string]*pool // by identity, "" for the gateway itself
	single  map[*pool]bool   // of sessions that log in by certificates of their own
	facts   facts

	leftovers leftovers
}

// New makes a target. It does not connect.
func New(o Options) *Target {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Keepalive <= 0 {
		o.Keepalive = 15 * time.Second
	}
	if o.Wall.Mode == "" {
		o.Wall.Mode = WallAuto
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := &host{
		hops: o.Hops, log: o.Log, now: o.Now, cache: o.Cache, wall: o.Wall, learning: make(chan struct{}, 1), pools: map[string]*pool{}, single: map[*pool]bool{},
		dialer: &dialer{timeout: o.Timeout, keepalive: o.Keepalive, now: o.Now, dial: o.Dial, silence: o.Silence},
	}
	h.attempts = newAttempts(h.last().Name, o.Now)
	t := h.use("", "")
	t.all = true
	return t
}

// certified reports whether logins name the session that they are for.
func (h *host) certified() bool {
	return slices.ContainsFunc(h.hops, func(hop Hop) bool { return hop.Login.Authority != nil })
}

// use is the target for one identity and session. Sessions of one identity share their connections, unless each login
// names its session.
func (h *host) use(identity, session string) *Target {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := &Target{host: h, own: session != "" && h.certified(), kills: newKills()}
	if t.pool = h.pools[identity]; t.own || t.pool == nil {
		named := session
		if !t.own {
			named = "" // the connection may serve others
		}
		t.pool = newPool(h.dialer, h.hops, use(identity, named), h.attempts)
		t.pool.closed, t.pool.last = h.closed, h.retired
		if t.own {
			h.single[t.pool] = true
		} else {
			h.pools[identity] = t.pool
		}
	}
	return t
}

// For returns the target for a session of an identity; "" is what comes before a session. Where logins are by certificate
// they name the session. Its connections are nobody else's then, and Close ends them.
func (t *Target) For(identity, session string) targets.Remote { return t.use(identity, session) }

// last is the hop that is the target itself.
func (h *host) last() Hop { return h.hops[len(h.hops)-1] }

// Name is the target's name in the configuration.
func (h *host) Name() string { return h.last().Name }

// Place is where the target is, user@host:port, for people.
func (h *host) Place() string { return h.last().User + "@" + h.last().Address() }

// Connections says what the gateway has of the target now.
func (h *host) Connections() targets.Connections {
	h.mu.Lock()
	pools := slices.AppendSeq(slices.Collect(maps.Values(h.pools)), maps.Keys(h.single))
	h.mu.Unlock()
	c := targets.Connections{Problem: h.attempts.last()}
	for _, p := range pools {
		open, channels := p.count()
		c.Open, c.Channels = c.Open+open, c.Channels+channels
	}
	return c
}

// Close ends the use of a target, and with that of New all connections. Commands that run are lost.
func (t *Target) Close() error {
	t.kills.wait()
	t.mu.Lock()
	var ending []*pool
	switch {
	case t.own:
		delete(t.single, t.pool)
		ending = append(ending, t.pool)
	case t.all:
		t.closed = true
		ending = slices.AppendSeq(slices.Collect(maps.Values(t.pools)), maps.Keys(t.single))
	}
	t.mu.Unlock()
	for _, p := range ending {
		p.close()
	}
	return nil
}

// Retire ends every connection that nobody uses, and each other one when its sessions have ended. The target has left the
// configuration, or is another one there. Sessions that have begun go on.
func (t *Target) Retire() {
	t.mu.Lock()
	t.retired = true
	pools := slices.AppendSeq(slices.Collect(maps.Values(t.pools)), maps.Keys(t.single))
	t.mu.Unlock()
	for _, p := range pools {
		p.keepNothing()
	}
}

// factsLife is how long what is known of the account and the kernel is taken for true.
const factsLife = 10 * time.Minute

// Connect makes sure that the target can be used, and learns who its account is. The error, an *UnreachableError, says
// what is wrong and what to do.
func (t *Target) Connect(ctx context.Context) error {
	select {
	case t.learning <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-t.learning }()
	t.mu.Lock()
	fresh := !t.facts.learned.IsZero() && t.now().Sub(t.facts.learned) < factsLife
	t.mu.Unlock()
	if fresh { // a sign of life, so that a connection that broke unnoticed is not taken for a good one
		_, err := asking(ctx, t.pool, func(r *relay) (struct{}, error) {
			_, err := r.Lstat(ctx, "/")
			if r.Err() == nil {
				err = nil // a refusal is an answer
			}
			return struct{}{}, err
		})
		if err == nil {
			t.sweepLeftovers(ctx)
		}
		return t.problem(err)
	}
	f, err := asking(ctx, t.pool, func(r *relay) (facts, error) { return t.learn(ctx, r) })
	if err != nil {
		return t.problem(err)
	}
	t.mu.Lock()
	f.learned = t.now()
	t.facts = f
	t.mu.Unlock()
	t.sweepLeftovers(ctx)
	return nil
}

// problem is an error as an *UnreachableError.
func (t *Target) problem(err error) error {
	var known *UnreachableError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &UnreachableError{t.Name(), err}
}

// Account is the user that commands run as, as far as it is known: Connect asks.
func (t *Target) Account() targets.Account {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.facts.account
	if a.Name == "" {
		a.Name, a.Home = t.last().User, "/"
	}
	return a
}

// Uname describes the target's kernel, as far as it is known: Connect asks.
func (t *Target) Uname() targets.Uname {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.facts.uname
}

// errNoJail is why the policy judges commands on another host by their words alone.
var errNoJail = errors.New("a remote target has no jail: nothing is installed there")

// Jail returns an error: there is none on a remote target. Its wall, see Wall, is of what the target has, and the policy does
// not count on it.
func (t *Target) Jail() error { return errNoJail }

// HostKey asks the target for its host key, without believing it. problem is nil where that key is known already.
func (t *Target) HostKey(ctx context.Context) (key gossh.PublicKey, problem error, err error) {
	if key, err = t.dialer.shownKey(ctx, t.hops, t.pool.use); err != nil {
		return nil, nil, err
	}
	known, err := hostkeys.LoadKnown(t.last().Known)
	if err != nil {
		return nil, nil, err
	}
	return key, known.Check(t.last().Address(), &net.TCPAddr{}, key), nil
}

// Files is the target's file tree for a question now and then: it holds no connection and remembers nothing. A session
// takes a View.
func (t *Target) Files() vfs.Source { return source{t} }
