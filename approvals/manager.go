package approvals

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/targets"
)

// New opens the sessions of an earlier gateway: what was held is parked, what ran has failed, and an operation that
// was started without a result is unknown. It never runs anything.
func New(c Config) (*Manager, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	outputs, err := output.Open(c.Dir, c.Blobs, c.Log)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		config: c, outputs: outputs, scopes: scope.New(c.Standing), contents: change.Contents{Blobs: c.Blobs},
		look: &change.Look{Target: c.Target, Log: c.Log}, rolling: exclusive{held: map[string]bool{}},
		registry: registry{
			live: map[string]*alive{}, present: map[string]int{}, parked: map[string]parkedSession{}, going: map[string]chan struct{}{},
		},
	}
	m.resumer.m = m
	m.places = places.New(places.Config{Share: c.Share, Parked: m.parkedOf, Limits: func() places.Limits {
		l := m.rules.Load().Limits
		return places.Limits{Sessions: l.Sessions, PerIdentity: l.SessionsPerIdentity, Queue: l.Queue}
	}})
	m.closed, m.close = context.WithCancel(context.Background())
	m.SetRules(gate.Rules{Judge: c.Judge, Limits: c.Limits})
	m.grants, err = grants.Open(grants.Config{Store: c.Grants, Record: c.Granted, Now: c.Now, Void: m.Void, Over: func(id string) bool {
		s, err := c.Store.Session(id)
		return err != nil || s.Status.Final()
	}})
	if err != nil {
		return nil, err
	}
	m.gate = gate.New(gate.Config{
		Store: c.Store, Blobs: c.Blobs, Outputs: outputs, Grants: m.grants, Look: m.look, Log: c.Log, Now: c.Now, Rules: m.rules.Load,
		Restarts: c.Restart != nil, Share: m.places.Share, Working: m.working, Ended: m.ended,
		Publish: func(about events.Subject, kind string) { m.publish(about, kind, "") },
	})
	if err := (&recovery{m, c.Now()}).run(); err != nil {
		return nil, fmt.Errorf("recover sessions: %w", err)
	}
	sweep(m.outputs, c.Store)
	return m, nil
}

// SetRules changes what sessions are judged and bounded by that begin, or go on after they were parked, from now on. Those
// that are alive keep theirs.
func (m *Manager) SetRules(r gate.Rules) {
	m.rules.Store(&r)
	m.places.Serve() // there may be more places than before
}

// Begin makes a session and records it. Where there is no place for it, it waits for one, at most until ctx ends: the
// session itself goes on without ctx. A *places.Busy error, which is journal.ErrTooMany, says which limit stands in the way.
func (m *Manager) Begin(ctx context.Context, r Request) (*gate.Live, error) {
	place, err := m.places.Take(ctx, places.Want{Identity: r.Identity.Name, Size: len(r.Script), Queued: r.Queued})
	if err != nil {
		return nil, err
	}
	l, err := m.beginAt(context.WithoutCancel(ctx), r, place)
	if err != nil {
		place.Release()
	}
	return l, err
}

// beginAt is Begin of a session that has a place.
func (m *Manager) beginAt(ctx context.Context, r Request, place *places.Place) (l *gate.Live, err error) {
	s := journal.Session{
		Identity: r.Identity.Name, Key: r.Identity.Fingerprint, Target: r.Target.Name(), Engine: r.Engine,
		Name: r.Name, Analysis: r.Analysis, Plan: r.Plan, Args: r.Args, Script: r.Script, Shell: r.Shell, Interactive: r.Interactive,
		Group: r.Group, ScriptSHA256: journal.SHA256Hex([]byte(r.Script)), Env: r.Env,
	}
	if err := s.Apply(journal.Event{What: journal.Begin, At: m.config.Now()}); err != nil {
		return nil, err
	}
	for range 8 {
		if s.ID, err = journal.NewID(m.config.Random); err != nil {
			return nil, err
		}
		if err = m.config.Store.Create(s); !errors.Is(err, journal.ErrExists) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("record the session: %w", err)
	}
	if m.begun.Add(1)%sweepEvery == 0 {
		sweep(m.outputs, m.config.Store)
	}
	l, err = m.enliven(ctx, s, r.Target, place, false)
	switch {
	case errors.Is(err, journal.ErrShutdown):
		m.fail(s.ID, journal.ErrShutdown.Error())
	case err != nil:
		m.fail(s.ID, "the gateway could not record output")
	}
	return l, err
}

// enliven makes a recorded session alive, which has the place from then on. Where it fails, the record stays as it is, and the place
// is the caller's.
func (m *Manager) enliven(ctx context.Context, s journal.Session, target targets.Target, place *places.Place, again bool) (*gate.Live, error) {
	l, err := m.gate.Open(ctx, &s, target, again)
	if err != nil {
		return nil, err
	}
	if !m.admit(l, place, again) {
		l.Discard(journal.ErrShutdown)
		return nil, journal.ErrShutdown
	}
	m.publish(events.About(&s), events.Started, "")
	return l, nil
}

// Session returns one session, or ErrNotFound: also where it is one that is not shown to who asks.
func (m *Manager) Session(by journal.Identity, id string) (journal.Session, error) {
	s, err := m.session(id)
	if err != nil {
		return s, err
	}
	if !m.scopes.Of(by).Sees(s.Identity, s.Target) {
		return journal.Session{}, journal.ErrNotFound
	}
	return s, nil
}

// session is Session for the manager itself.
func (m *Manager) session(id string) (journal.Session, error) {
	if !journal.ValidID(id) {
		return journal.Session{}, journal.ErrNotFound
	}
	return m.config.Store.Session(id)
}

// Filter selects sessions.
type Filter struct {
	All bool // also those that have ended
}

// Sessions returns the sessions that are shown to who asks, newest first, without their scripts.
func (m *Manager) Sessions(by journal.Identity, f Filter) ([]journal.Session, error) {
	scope := m.scopes.Of(by)
	return m.config.Store.Sessions(f.All, func(s *journal.Session) bool { return scope.Sees(s.Identity, s.Target) })
}

// Group returns the sessions of a group that are shown to who asks, by target, and how many others there are. It fails with
// ErrNotFound where none is shown.
func (m *Manager) Group(by journal.Identity, group string) (shown []journal.Session, others int, err error) {
	scope := m.scopes.Of(by)
	all, err := m.config.Store.Sessions(true, func(s *journal.Session) bool { return s.Group == group })
	if err != nil {
		return nil, 0, err
	}
	for i := range all {
		if scope.Sees(all[i].Identity, all[i].Target) {
			shown = append(shown, all[i])
		}
	}
	if len(shown) == 0 {
		return nil, 0, journal.ErrNotFound
	}
	slices.SortFunc(shown, func(a, b journal.Session) int { return strings.Compare(a.Target, b.Target) })
	return shown, len(all) - len(shown), nil
}

// Follow calls fn with a session's output from its start, as it comes, until the session has ended or is parked. It
// begins with the session's status. The session is returned as it then is. ErrNotFound ends it also where the session stops
// being shown to who asks.
func (m *Manager) Follow(ctx context.Context, by journal.Identity, id string, fn func(output.Chunk) error) (journal.Session, error) {
	l := m.alive(id)
	s, err := m.Session(by, id)
	if err != nil {
		return s, err
	}
	if l == nil && s.Status == journal.StatusRunning { // a decision has just started it again
		m.settled(ctx, id)
		l = m.alive(id)
		if s, err = m.Session(by, id); err != nil {
			return s, err
		}
	}
	seen, done := m.scopes.WhileSeen(ctx, by, &s)
	defer done()
	s, err = follow(seen, m, l, s, func(c output.Chunk) error {
		if !m.scopes.Of(by).Sees(s.Identity, s.Target) {
			return journal.ErrNotFound
		}
		return fn(c)
	})
	if err != nil && errors.Is(context.Cause(seen), journal.ErrNotFound) {
		return journal.Session{}, journal.ErrNotFound
	}
	return s, err
}

// follow is Follow of a session that may be alive, or have ended since.
func follow(ctx context.Context, m *Manager, l *gate.Live, s journal.Session, fn func(output.Chunk) error) (journal.Session, error) {
	id, err := s.ID, error(nil)
	if err := fn(output.Chunk{Stream: output.State, Data: []byte(s.Status), Status: s.Status}); err != nil {
		return s, err
	}
	if l != nil {
		err = l.Follow(ctx, fn)
	}
	if l == nil || errors.Is(err, os.ErrNotExist) { // it may have ended at this moment
		err = readOutput(m, id, fn)
	}
	if err != nil {
		return s, err
	}
	return m.session(id)
}

// readOutput calls fn with what the script of a session that is not alive has said.
func readOutput(m *Manager, id string, fn func(output.Chunk) error) error {
	return m.outputs.ReadSession(id, func() (string, error) {
		s, err := m.session(id)
		return s.Output, err
	}, fn)
}

// Output calls fn with what a session's script has said so far.
func (m *Manager) Output(by journal.Identity, id string, fn func(output.Chunk) error) error {
	if _, err := m.Session(by, id); err != nil {
		return err
	}
	return readOutput(m, id, fn)
}

// OperationOutput calls fn with the recorded output of one operation's command.
func (m *Manager) OperationOutput(by journal.Identity, id string, n int, fn func(output.Chunk) error) error {
	if _, err := m.Session(by, id); err != nil {
		return err
	}
	return m.outputs.ReadOperation(id, n, func() (string, error) {
		s, err := m.session(id)
		if o := s.Operation(n); o != nil {
			return o.Output, err
		}
		return "", err
	}, fn)
}

// Subscribe delivers the events of sessions that are shown to who asks, until ctx ends or Shutdown begins. The channel is closed then.
func (m *Manager) Subscribe(ctx context.Context, by journal.Identity) <-chan events.Event {
	return m.bus.Subscribe(ctx, m.closed, func(about events.Subject) bool { return m.scopes.Of(by).Sees(about.Identity, about.Target) })
}

// Counts says how many of the sessions that are shown to who asks run, are held and are parked.
func (m *Manager) Counts(by journal.Identity) (running, held, parked int) {
	scope := m.scopes.Of(by)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.live {
		switch {
		case !scope.Sees(l.Subject().Identity, l.Subject().Target):
		case l.Held():
			held++
		default:
			running++
		}
	}
	for _, p := range m.parked {
		if scope.Sees(p.identity, p.target) {
			parked++
		}
	}
	return running, held, parked
}

// Check reports whether the journal can be written now.
func (m *Manager) Check(context.Context) error { return m.config.Store.Check() }

// Shutdown ends all subscriptions, parks what is held, ends what runs, and returns when nothing of that goes on or ctx has ended.
func (m *Manager) Shutdown(ctx context.Context) error {
	m.mu.Lock()
	m.closing = true
	m.places.Close()
	m.close()
	all := make([]*gate.Live, 0, len(m.live))
	for _, l := range m.live {
		all = append(all, l.Live)
	}
	m.mu.Unlock()
	for _, l := range all {
		if !l.Park() {
			l.Stop(journal.ErrShutdown)
		}
	}
	done := make(chan struct{})
	go func() { m.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sessions have not ended: %w", ctx.Err())
	}
}

// ExpireParked ends the parked sessions whose time has passed. The gateway calls it from time to time.
func (m *Manager) ExpireParked() {
	now := m.config.Now()
	var due []string
	m.mu.Lock()
	for id, p := range m.parked {
		if !p.deadline.IsZero() && !now.Before(p.deadline) && !m.places.Waits(id) {
			due = append(due, id)
		}
	}
	m.mu.Unlock()
	for _, id := range due {
		if _, err := m.endParked(id, journal.StatusExpired, "nobody decided in time"); err != nil {
			m.config.Log.Error("end a parked session", "session", id, "error", err)
		}
	}
}

// endParked gives a parked session its final status.
func (m *Manager) endParked(id string, status journal.Status, reason string) (s journal.Session, err error) {
	now := m.config.Now()
	s, err = m.config.Store.Update(id, func(s *journal.Session) error {
		if s.Status != journal.StatusParked {
			return fmt.Errorf("%w: session %s is %s", journal.ErrNotWaiting, id, s.Status)
		}
		return s.Apply(journal.EndEvent(status, journal.ExitNotPermitted, reason, now))
	})
	if err != nil {
		return s, err
	}
	m.mu.Lock()
	delete(m.parked, id)
	m.places.Drop(id)
	m.mu.Unlock()
	m.publish(events.About(&s), events.Ended, "")
	return s, nil
}

// fail ends a session whose gateway could not do its work.
func (m *Manager) fail(id, reason string) {
	_, err := m.config.Store.Update(id, func(s *journal.Session) error {
		return s.Apply(journal.EndEvent(journal.StatusFailed, journal.ExitFault, reason, m.config.Now()))
	})
	if err != nil {
		m.config.Log.Error("record a session's end", "session", id, "error", err)
	}
}

func (m *Manager) publish(about events.Subject, kind, by string) {
	m.bus.Publish(events.Event{Session: about.Session, Kind: kind, At: m.config.Now(), By: by}, about)
}

// sweepEvery is how many sessions may begin before outputs of removed ones are looked for.
const sweepEvery = 512

// sweep removes the outputs of sessions that the store has no more.
func sweep(outputs *output.Folder, of Store) {
	outputs.Sweep(func(id string) bool {
		_, err := of.Session(id)
		return errors.Is(err, journal.ErrNotFound)
	})
}

// NewGroup makes an id for sessions that are started together.
func (m *Manager) NewGroup() (string, error) { return journal.NewGroup(m.config.Random) }

// Rescoped says that the configuration has changed who may see and decide on what. Whoever follows a session that they do not
// see any more is left, and every subscriber is told to look at everything again.
func (m *Manager) Rescoped() {
	m.scopes.Changed()
	m.bus.Publish(events.Event{Kind: events.Reloaded, At: m.config.Now()}, events.Subject{})
}

// Void says in a few words why a grant lets nothing run, though neither its time is over nor anybody has taken it back; "" where
// nothing is in the way. A grant is as good as who made it.
func (m *Manager) Void(g *grants.Grant) string {
	return m.scopes.Void(journal.Identity{Name: g.By, Fingerprint: g.ByKey}, g.Identity, g.Target)
}

// Obstacle says in a few words why nothing of a session can be approved now, whoever asks; "" where nothing is in the way.
func (m *Manager) Obstacle(s *journal.Session) string { return m.scopes.Obstacle(s) }

// Diff compares what a file holds with what a change writes; context is diff.Compare's. ok is false where the change writes no
// content or what is there before was not kept; both are in Details.
func (m *Manager) Diff(f *journal.File, context int) (d diff.Diff, ok bool, err error) {
	return m.contents.Diff(f, context)
}

// JudgeShell says what the policy makes of a command line of an identity's, which is not run.
func (m *Manager) JudgeShell(ctx context.Context, by journal.Identity, text string, c policy.Context) (policy.Decision, error) {
	return m.gate.JudgeShell(ctx, by.Name, text, c)
}

// Reads returns which files of the target a session's script has opened so far, and their names; nil for none. Names are
// the target's: any bytes.
func (m *Manager) Reads(s journal.Session) (*journal.Reads, []string, error) {
	r := s.Reads
	if l := m.alive(s.ID); l != nil {
		if now := l.Reads(); now != nil {
			r = now
		}
	}
	if r == nil {
		return nil, nil, nil
	}
	names, err := gate.ReadNames(m.config.Blobs, r)
	if err != nil {
		return r, nil, fmt.Errorf("read the list of files of session %s: %w", s.ID, err)
	}
	return r, names, nil
}
