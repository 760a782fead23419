package approvals

import (
	"context"
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
)

// Attend says that a client of the session's own identity waits for it, until ctx ends or leave is called. When the last
// one has left, a session that waits for a human is parked, at once or as soon as it waits: its place is free, and the
// decision starts it again. A session that cannot be started again is cancelled. A session that nobody has attended
// to stays as it is, unless it was parked before. leave returns once that is done, and may be called more than once.
func (m *Manager) Attend(ctx context.Context, id string) (leave func()) {
	m.mu.Lock()
	m.present[id]++
	l := m.live[id]
	m.mu.Unlock()
	if l != nil {
		l.Attended(true)
	}
	left := sync.OnceFunc(func() {
		m.mu.Lock()
		m.present[id]--
		gone := m.present[id] <= 0
		if gone {
			delete(m.present, id)
		}
		l := m.live[id]
		m.mu.Unlock()
		if gone && l != nil {
			l.Attended(false)
			l.ParkAlone()
		}
	})
	stop := context.AfterFunc(ctx, left)
	return func() {
		stop()
		left()
	}
}

// Unparked returns once a session is not parked, or has ended, or the gateway stops, or ctx has; the session as it then is. Patience, nil for any, ends the
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
			case <-m.closed.Done(): // nothing starts here any more
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
