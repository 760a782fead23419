package approvals

import (
	"context"
	"fmt"
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
		l.attended(true)
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
			l.attended(false)
			l.parkAlone()
		}
	})
	stop := context.AfterFunc(ctx, left)
	return func() {
		stop()
		left()
	}
}

// attended notes whether somebody waits for the session.
func (l *presence) attended(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = !yes
}

// SetSent says how to find out whether the client has sent input that it alone has. Once it has, the session cannot be
// started again, and is not parked. It is called once, before the session waits.
func (l *presence) SetSent(sent func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = sent
}

// restartable reports whether the session can be started again.
func (l *presence) restartable() bool {
	l.mu.Lock()
	sent := l.sent
	l.mu.Unlock()
	return l.m.config.Restart != nil && !l.interactive && (sent == nil || !sent())
}

// parkAlone parks a session that waits for a human and that no client waits for. One whose command still runs is
// parked when that has ended.
func (l *presence) parkAlone() {
	if l.lingers() {
		return
	}
	l.mu.Lock()
	if !l.alone || l.holds == 0 || l.active > 0 || l.parking != nil || l.over || l.parked {
		l.mu.Unlock()
		return
	}
	// No command starts from here until it is known: it would be killed with the script.
	l.parking = make(chan struct{})
	l.mu.Unlock()
	parked := l.park()
	if !parked && l.m.config.Restart != nil && !l.restartable() {
		l.cancelAlone()
	}
	l.mu.Lock()
	close(l.parking)
	l.parking = nil
	l.mu.Unlock()
}

// linger is how long a session that was started again for an approval stays alive though it waits for a human and for no client:
// the script may come to what was approved in another thread. It is enough for most, and comes to an end.
const linger = 2 * time.Second

// lingers reports whether the session stays alive for what was approved. Once it does not any more, it is parked.
func (l *presence) lingers() bool {
	l.mu.Lock()
	again := l.resumed && l.alone && l.holds > 0
	l.mu.Unlock()
	if !again {
		return false
	}
	if s, err := l.m.session(l.id); err != nil || !s.ApprovedNotStarted() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lingering.IsZero() {
		l.lingering = time.Now().Add(linger)
		time.AfterFunc(linger, l.parkAlone)
	}
	return time.Now().Before(l.lingering)
}

// cancelAlone ends a session that waits for a human and that cannot be started again.
func (l *presence) cancelAlone() {
	_, err := l.m.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status != journal.StatusHeld || !s.Waits() || l.ctx.Err() != nil {
			return journal.ErrNotWaiting
		}
		return s.Apply(journal.Event{What: journal.Withdraw, At: l.m.config.Now()})
	})
	if err != nil {
		return
	}
	l.m.publish(l.subject(), events.Decided, "")
	l.cancel(fmt.Errorf("%w: its client has left, and it cannot be started again without it", journal.ErrCancelled))
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
