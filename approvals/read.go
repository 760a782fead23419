package approvals

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/output"
)

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
	s, err := m.config.Store.Session(id)
	return m.unrecorded.shown(s), err
}

// Filter selects sessions.
type Filter struct {
	All bool // also those that have ended
}

// Sessions returns the sessions that are shown to who asks, newest first, without their scripts.
func (m *Manager) Sessions(by journal.Identity, f Filter) ([]journal.Session, error) {
	scope := m.scopes.Of(by)
	all, err := m.config.Store.Sessions(f.All, func(s *journal.Session) bool { return scope.Sees(s.Identity, s.Target) })
	for i := range all {
		all[i] = m.unrecorded.shown(all[i])
	}
	return all, err
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
	l := m.sessions.Alive(id)
	s, err := m.Session(by, id)
	if err != nil {
		return s, err
	}
	if l == nil && s.Status == journal.StatusRunning { // a decision has just started it again
		m.sessions.Settled(ctx, id)
		l = m.sessions.Alive(id)
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
	return m.bus.Subscribe(ctx, m.sessions.Closed(), func(about events.Subject) bool { return m.scopes.Of(by).Sees(about.Identity, about.Target) })
}

// Counts says how many of the sessions that are shown to who asks run, are held and are parked.
func (m *Manager) Counts(by journal.Identity) (running, held, parked int) {
	scope := m.scopes.Of(by)
	return m.sessions.Count(func(s events.Subject) bool { return scope.Sees(s.Identity, s.Target) })
}

// Unparked returns the session as it is once it is not parked, has ended, the gateway stops, or ctx ends. Patience, nil for any, ends the
// wait for humans alone: a session that goes on by a decision and has no place yet is waited for. ErrNotFound also where it stops
// being shown to who asks.
func (m *Manager) Unparked(ctx context.Context, by journal.Identity, id string, patience <-chan time.Time) (journal.Session, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := m.Subscribe(ctx, by)
	for over := false; ; {
		s, err := m.Session(by, id)
		if err != nil || s.Status != journal.StatusParked || over && !s.GoesOn {
			return s, err
		}
		for again := false; !again; {
			select {
			case <-m.sessions.Closed().Done(): // nothing starts here any more
				return m.Session(by, id)
			case <-patience:
				patience, over, again = nil, true, true
			case e, ok := <-feed:
				if !ok {
					return m.Session(by, id)
				}
				again = e.Session == id || e.Kind == events.Lost || e.Kind == events.Reloaded
			}
		}
	}
}

// Diff compares what a file holds with what a change writes; context is diff.Compare's. ok is false where the change writes no
// content or what is there before was not kept; both are in Details.
func (m *Manager) Diff(f *journal.File, context int) (d diff.Diff, ok bool, err error) {
	return m.contents.Diff(f, context)
}

// Reads returns which files of the target a session's script has opened so far, and their names; nil for none. Names are
// the target's: any bytes.
func (m *Manager) Reads(s journal.Session) (*journal.Reads, []string, error) {
	r := s.Reads
	if l := m.sessions.Alive(s.ID); l != nil {
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
