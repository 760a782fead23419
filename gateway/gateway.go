// Package gateway is the SSH server. It authenticates a key to an identity, and hands each command line to its verb
// (gateway/command) with exactly that identity. It runs sessions in an engine and connects them to the gate. It may know
// everything but the executable. It must never take an identity from a key that was only offered, never forward anything,
// and never let one client's misbehaviour reach another's session. Begin with New in this file; server.go takes connections
// in, channel.go and handlers.go lead to a verb, runner.go runs a session.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/config"
	"shannot-gateway/gateway/tui"
	"shannot-gateway/hostkeys"
	"shannot-gateway/internal/turns"
	"shannot-gateway/sandbox"
	"shannot-gateway/targets"
)

// Options are what a gateway is made of.
type Options struct {
	Config   *config.Config
	HostKeys []hostkeys.Key
	Store    approvals.Store
	// Over reports whether the store keeps more than so many bytes of an identity, and how many; nil where nobody counts.
	Over    func(identity string, most int64) (bytes int64, over bool)
	Blobs   journal.Blobs // without it files of targets are not changed
	Grants  grants.Store  // without it approvers cannot make any
	Audit   *audit.Log    // nil where there is none
	Judge   gate.Judge
	Engine  sandbox.Engine   // for what needs no other, and for terminals: config.NativeEngine
	Engines []sandbox.Engine // further ones, which need not work
	Targets []targets.Target // those that work; the configuration may name more
	Version string
	Drain   time.Duration    // for running sessions after the server was told to stop; 10 s where 0
	Now     func() time.Time // time.Now where nil
	Log     *slog.Logger     // slog.Default where nil
}

// outputs is the folder of the state directory where sessions' outputs are kept.
const outputs = "outputs"

// Gateway is the server.
type Gateway struct {
	options Options
	*shared
	reloading   sync.Mutex
	started     time.Time
	log         *slog.Logger
	server      *ssh.Server // of what runs in session channels
	connections *connections
	uploads     *shares      // places for changes of SFTP clients, which are kept in memory
	reading     *shares      // that SFTP clients have open
	transfers   turns.Turns  // to read and copy files
	answers     turns.Turns  // see command.Verbs
	crowded     occasionally // connections that were refused
}

// ErrNoIdentities is returned by New for a configuration in which nobody may connect.
var ErrNoIdentities = errors.New("no identity is configured that has a key, so nobody could connect")

// New makes a gateway. It does not listen yet.
func New(o Options) (*Gateway, error) {
	if o.Config.NobodyConnects() {
		return nil, ErrNoIdentities
	}
	if len(o.HostKeys) == 0 {
		return nil, errors.New("no host key")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Drain <= 0 {
		o.Drain = 10 * time.Second
	}
	g := &Gateway{
		options: o, log: o.Log, shared: &shared{}, started: o.Now(), connections: newConnections(o.Config, o.Now), uploads: newShares(), reading: newShares(),
		crowded: occasionally{to: o.Log, now: time.Now},
	}
	initial := Settings{o.Config, o.Judge, o.Targets}
	first, err := g.with(initial)
	if err != nil {
		return nil, err
	}
	g.settings.Store(first)
	ready := make(chan struct{})
	rules := initial.rules()
	g.sessions, err = approvals.New(approvals.Config{
		Store: o.Store, Blobs: o.Blobs, Judge: rules.Judge, Limits: rules.Limits, Dir: filepath.Join(o.Config.State, outputs), Now: o.Now, Log: o.Log,
		Standing: g.standing, Grants: o.Grants, Granted: g.granted, Rehearsed: g.rehearsed, Share: g.share,
		// A decision may be found at once, before the rest is there.
		Restart: func(ctx context.Context, s journal.Session, patient bool) (lifecycle.Rerun, error) {
			<-ready
			return g.settings.Load().runner.restart(ctx, s, patient)
		},
		Target: func(name string) targets.Target { return g.settings.Load().runner.target(name) },
	})
	if err != nil {
		return nil, err
	}
	first.verbs.Sessions = g.sessions
	close(ready)
	if g.server, err = g.newServer(); err != nil {
		return nil, fmt.Errorf("make the server of session channels: %w", err)
	}
	return g, nil
}

// granted records a grant in the audit log.
func (g *Gateway) granted(grant grants.Grant, what string, by journal.Identity) error {
	if g.options.Audit == nil {
		return nil
	}
	return g.options.Audit.Grant(grant, what, by)
}

// rehearsed records a rehearsal in the audit log.
func (g *Gateway) rehearsed(s *journal.Session, n int, by journal.Identity) error {
	if g.options.Audit == nil {
		return nil
	}
	return g.options.Audit.Rehearsal(s, n, by)
}

// Sessions is the gateway's journal.
func (g *Gateway) Sessions() *approvals.Manager { return g.sessions }

// serverConfig makes the configuration of one connection. A public key is the only way in: with this callback set and
// no other, the library offers neither "none" nor a password.
func (g *Gateway) serverConfig(c *connection) *gossh.ServerConfig {
	set := &gossh.ServerConfig{
		Config: algorithmsOf(g.options.Config.SSH), PublicKeyAuthAlgorithms: loginAlgorithms(),
		ServerVersion:       serverVersion,
		MaxAuthTries:        maxAuthTries,
		PreAuthConnCallback: func(conn gossh.ServerPreAuthConn) { c.before = conn },
		PublicKeyCallback: func(meta gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			permissions, err := g.settings.Load().keys.authenticate(meta, key)
			if err != nil {
				g.refused(meta, key, err)
			}
			return permissions, err
		},
		VerifiedPublicKeyCallback: func(meta gossh.ConnMetadata, key gossh.PublicKey, p *gossh.Permissions, algorithm string) (*gossh.Permissions, error) {
			if err := g.settle(c, memberOf(&gossh.ServerConn{Permissions: p})); err != nil {
				return nil, err
			}
			return g.authenticated(meta, key, p, algorithm)
		},
		AuthLogCallback: func(meta gossh.ConnMetadata, method string, err error) {
			if err != nil && method != "none" && !errors.Is(err, errUnknownKey) { // that was told with its key
				g.refused(meta, nil, err)
			}
		},
	}
	for _, key := range g.options.HostKeys {
		set.AddHostKey(c.hostKey(key.Signer))
	}
	return set
}

// settle gives a connection a place, or tells its client why not and closes it.
func (g *Gateway) settle(c *connection, m *member) error {
	err := errUnknownKey
	if m != nil {
		err = c.settle(m)
	}
	if errors.Is(err, errBusy) {
		g.crowded.warn("connection refused", "identity", m.identity.Name, "address", c.host, "error", err)
		_ = c.before.SendAuthBanner(fmt.Sprintf("shannot: busy: %v; try again\r\n", err))
	}
	if err != nil {
		_ = c.Close()
	}
	return err
}

// Serve accepts connections until ctx ends, lets what runs come to its end for a bounded time, and returns. It returns
// nil where ctx ended it.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	if few := fewDescriptors(g.options.Config, descriptors()); few != "" {
		g.log.Warn(few)
	}
	failed := make(chan error, 1)
	loop := accepting{
		listener: l, handle: g.accept, shed: g.connections.pending.Shed, sleep: sleep,
		log: &occasionally{to: g.log, now: time.Now},
	}
	go func() { failed <- loop.run(ctx) }()
	go g.expire(ctx)
	select {
	case err := <-failed:
		g.connections.closeAll()
		return fmt.Errorf("accept connections on %s: %w", l.Addr(), err)
	case <-ctx.Done():
		_ = l.Close()
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.options.Drain)
	defer cancel()
	// Sessions first: their clients are told by the verbs, which then end, and with them the connections.
	stopped := make(chan error, 1)
	go func() { stopped <- g.sessions.Shutdown(drain) }()
	g.connections.drain()
	err := <-stopped
	g.wait(drain)
	if lerr := g.connections.left(drain); lerr != nil {
		g.log.Warn("some clients did not leave in time", "error", lerr)
	}
	if err != nil {
		return fmt.Errorf("stop the sessions: %w", err)
	}
	return nil
}

// expire ends parked sessions whose time has passed.
func (g *Gateway) expire(ctx context.Context) {
	ticker := time.NewTicker(expireEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			g.sessions.ExpireParked()
		}
	}
}

// expireEvery is how often parked sessions are looked at.
const expireEvery = 30 * time.Second

// terminal passes on window sizes, the newest winning over one that nobody has taken yet.
func terminal(pty ssh.Pty, sizes <-chan ssh.Window) *command.Terminal {
	out := make(chan tui.Size, 1)
	t := &command.Terminal{Type: printable(pty.Term), Width: pty.Window.Width, Height: pty.Window.Height, Resize: out}
	go func() {
		for w := range sizes {
			select {
			case <-out:
			default:
			}
			out <- tui.Size{Width: w.Width, Height: w.Height}
		}
	}()
	return t
}

// printable keeps a terminal's name to what names of terminals are made of.
func printable(term string) string {
	if len(term) > 64 || strings.IndexFunc(term, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.+", r)
	}) >= 0 {
		return "dumb"
	}
	return term
}
