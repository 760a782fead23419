package approvals

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/lifecycle"
	"shannot-gateway/approvals/output"
	"shannot-gateway/approvals/places"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/approvals/recovery"
	"shannot-gateway/approvals/rehearsal"
	"shannot-gateway/approvals/rollback"
	"shannot-gateway/approvals/scope"
	"shannot-gateway/targets"
)

// Manager owns all sessions of a gateway.
type Manager struct {
	config     Config
	rules      atomic.Pointer[gate.Rules] // of sessions that begin now
	bus        events.Bus
	gate       *gate.Gate
	places     *places.Places
	sessions   *lifecycle.Sessions
	resumer    *lifecycle.Resumer
	grants     *grants.Book
	scopes     *scope.Scopes
	outputs    *output.Folder
	contents   change.Contents
	rollbacks  *rollback.Rollbacks
	rehearsals *rehearsal.Rehearsals

	begun      atomic.Int64
	unrecorded unrecorded
}

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
		sessions: lifecycle.NewSessions(),
	}
	m.rehearsals = rehearsal.New(c.Blobs, c.Now)
	look := &change.Look{Target: c.Target, Log: c.Log}
	publish := func(about events.Subject, kind string) { m.publish(about, kind, "") }
	m.rollbacks = rollback.New(rollback.Config{Store: c.Store, Blobs: c.Blobs, Look: look, Now: c.Now})
	m.places = places.New(places.Config{Share: c.Share, Parked: m.sessions.ParkedOf, Limits: func() places.Limits {
		l := m.rules.Load().Limits
		return places.Limits{Sessions: l.Sessions, PerIdentity: l.SessionsPerIdentity, Queue: l.Queue}
	}})
	m.resumer = lifecycle.NewResumer(lifecycle.Config{
		Store: c.Store, Places: m.places, Log: c.Log, Now: c.Now, Rules: m.rules.Load, Restart: c.Restart, Obstacle: m.Obstacle, Publish: publish,
		Open: func(ctx context.Context, s *journal.Session, target targets.Target, again bool) (*gate.Live, error) {
			return m.gate.Open(ctx, s, target, again)
		},
	}, m.sessions)
	m.SetRules(gate.Rules{Judge: c.Judge, Limits: c.Limits})
	m.grants, err = grants.Open(grants.Config{Store: c.Grants, Record: c.Granted, Now: c.Now, Void: m.Void, Over: func(id string) bool {
		s, err := c.Store.Session(id)
		return err != nil || s.Status.Final()
	}})
	if err != nil {
		return nil, err
	}
	m.gate = gate.New(gate.Config{
		Store: c.Store, Blobs: c.Blobs, Outputs: outputs, Grants: m.grants, Look: look, Log: c.Log, Now: c.Now, Rules: m.rules.Load,
		Void: m.scopes.Void, Restarts: c.Restart != nil, Share: m.places.Share, Working: m.sessions.Working, Ended: m.resumer.Ended,
		Publish: publish, Unrecorded: m.unrecorded.add,
	})
	err = recovery.Run(m.sessions.Closed(), recovery.Config{
		Store: c.Store, Look: look, Log: c.Log, Now: c.Now, Rules: m.rules.Load(), Restarts: c.Restart != nil, Parked: m.resumer.Parked,
	})
	if err != nil {
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
	l, err := beginAt(context.WithoutCancel(ctx), m, r, place)
	if err != nil {
		place.Release()
	}
	return l, err
}

// beginAt is Begin of a session that has a place.
func beginAt(ctx context.Context, m *Manager, r Request, place *places.Place) (l *gate.Live, err error) {
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
	l, err = m.resumer.Open(ctx, s, r.Target, place, false)
	switch {
	case errors.Is(err, journal.ErrShutdown):
		m.resumer.Fail(s.ID, journal.ErrShutdown.Error())
	case err != nil:
		m.resumer.Fail(s.ID, "the gateway could not record output")
	}
	return l, err
}

// Check reports whether the journal, and what scripts and commands write, can be kept now.
func (m *Manager) Check(context.Context) error {
	return errors.Join(m.config.Store.Check(), m.outputs.Check())
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

// JudgeShell says what the policy makes of a command line of an identity's, which is not run.
func (m *Manager) JudgeShell(ctx context.Context, by journal.Identity, text string, c policy.Context) (policy.Decision, error) {
	return m.gate.JudgeShell(ctx, by.Name, text, c)
}

// Attend says that a client of the session's own identity waits for it, until ctx ends or leave is called: see lifecycle.Sessions.
func (m *Manager) Attend(ctx context.Context, id string) (leave func()) {
	return m.sessions.Attend(ctx, id)
}

// Attended reports whether a client of the session's own identity is connected and waits for it.
func (m *Manager) Attended(id string) bool { return m.sessions.Attended(id) }

// Shutdown ends all subscriptions, parks what is held, ends what runs, and returns when nothing of that goes on or ctx has ended.
func (m *Manager) Shutdown(ctx context.Context) error { return m.resumer.Shutdown(ctx) }

// ExpireParked ends the parked sessions whose time has passed. The gateway calls it from time to time.
func (m *Manager) ExpireParked() {
	m.recordEnds()
	m.resumer.ExpireParked()
}
