// Package ssh is a host reached over SSH as a target: its files over SFTP, its commands as sessions. Nothing is
// installed there. Everything that such a host sends is taken for hostile: bounded, checked, and never trusted beyond
// the question that it answers. The package must never send a command twice, and never connect to a host whose key
// nobody accepted.
package ssh

import (
	"context"
	"errors"
	"log/slog"
	"net"
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
	Now       func() time.Time
	Dial      func(ctx context.Context, network, address string) (net.Conn, error)
	Log       *slog.Logger
}

// Target is one host. It connects when it is first used.
type Target struct {
	hops []Hop
	pool *pool
	log  *slog.Logger
	now  func() time.Time

	mu       sync.Mutex
	facts    facts
	learned  time.Time // zero before the first connection
	learning chan struct{}
}

// New makes a target. It does not connect.
func New(o Options) *Target {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Keepalive <= 0 {
		o.Keepalive = 15 * time.Second
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
	d := &dialer{timeout: o.Timeout, keepalive: o.Keepalive, now: o.Now, dial: o.Dial, silence: o.Silence}
	return &Target{hops: o.Hops, pool: newPool(d, o.Hops), log: o.Log, now: o.Now, learning: make(chan struct{}, 1)}
}

// last is the hop that is the target itself.
func (t *Target) last() Hop { return t.hops[len(t.hops)-1] }

// Name is the target's name in the configuration.
func (t *Target) Name() string { return t.last().Name }

// Place is where the target is, user@host:port, for people.
func (t *Target) Place() string { return t.last().User + "@" + t.last().Address() }

// Close ends all connections. Commands that run are lost.
func (t *Target) Close() error {
	t.pool.close()
	return nil
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
	fresh := !t.learned.IsZero() && t.now().Sub(t.learned) < factsLife
	t.mu.Unlock()
	if fresh { // a sign of life, so that a connection that broke unnoticed is not taken for a good one
		_, err := asking(ctx, t.pool, func(r *relay) (struct{}, error) {
			_, err := r.Lstat(ctx, "/")
			if r.Err() == nil {
				err = nil // a refusal is an answer
			}
			return struct{}{}, err
		})
		return t.problem(err)
	}
	f, err := asking(ctx, t.pool, func(r *relay) (facts, error) { return t.learn(ctx, r) })
	if err != nil {
		return t.problem(err)
	}
	t.mu.Lock()
	t.facts, t.learned = f, t.now()
	t.mu.Unlock()
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

// errNoJail is why nothing but the policy holds back what runs on another host unasked.
var errNoJail = errors.New("a remote target has no jail: nothing is installed there")

// Jail returns an error: there is none on a remote target.
func (t *Target) Jail() error { return errNoJail }

// HostKey asks the target for its host key, without believing it. problem is nil where that key is known already.
func (t *Target) HostKey(ctx context.Context) (key gossh.PublicKey, problem error, err error) {
	if key, err = t.pool.dialer.shownKey(ctx, t.hops); err != nil {
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
