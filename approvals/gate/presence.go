package gate

import (
	"fmt"
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
)

// presence is who waits for whom: the script for humans, clients for the script, and the session's end for its commands.
type presence struct {
	*execution
	mu          sync.Mutex
	news        chan struct{} // closed with the next decision
	holds       int           // operations that wait
	alone       bool          // the last client that waited for it has left
	active      int           // commands that run
	parking     chan struct{} // closed once it is known whether the session is parked, nil at other times
	parkAgain   bool          // somebody wanted that meanwhile
	lingering   time.Time     // until when it stays alive alone for what was approved, zero before it does
	sent        func() bool   // see SetSent, may be nil
	nothingSent bool          // by its client before it was parked
	parked      bool
	over        bool
	commands    sync.WaitGroup // that run, or whose results are being recorded
}

// Held reports whether an operation waits for a human.
func (l *presence) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holds > 0
}

// hold counts one operation that waits.
func (l *presence) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds++
}

// release ends a hold.
func (l *presence) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds--
}

// changed returns a channel that is closed with the next decision on the session.
func (l *presence) changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news == nil {
		l.news = make(chan struct{})
	}
	return l.news
}

// Decided wakes whoever waits for a decision.
func (l *presence) Decided() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.news != nil {
		close(l.news)
		l.news = nil
	}
}

// Park ends a held session's script and keeps what it waits for. It reports whether the session is parked.
func (l *presence) Park() bool {
	if !l.restartable() {
		return false
	}
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status != journal.StatusHeld || !s.Waits() || l.ctx.Err() != nil {
			return journal.ErrNotWaiting
		}
		e := l.parkingNow(s)
		// A run that was for what had been approved, and did not come to it, is not followed by another for the same: that would wait
		// for the same other thing, again without end. A decision on that is what starts the next.
		e.GoesOn = e.GoesOn && (!l.resumed || s.ApprovedSince(l.began))
		return s.Apply(e)
	})
	if err != nil {
		return false
	}
	l.mu.Lock()
	l.parked = true
	l.mu.Unlock()
	l.cancel(journal.ErrParked)
	return true
}

// parkingNow parks the session's record, of a script that can be started again.
func (l *presence) parkingNow(s *journal.Session) journal.Event {
	e := l.of.config.Rules().Parking(s, l.of.config.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	e.NothingSent = l.sent != nil || l.nothingSent
	return e
}

// Attended notes whether somebody waits for the session.
func (l *presence) Attended(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alone = !yes
}

// Alone reports whether the last client that waited for the session has left.
func (l *presence) Alone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.alone
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
	return l.of.config.Restarts && !l.interactive && (sent == nil || !sent())
}

// ParkAlone parks a session that waits for a human and that no client waits for. One whose command still runs is
// parked when that has ended.
func (l *presence) ParkAlone() {
	for l.mayParkAlone() {
		parked := l.Park()
		if !parked && l.of.config.Restarts && !l.restartable() {
			l.cancelAlone()
		}
		l.mu.Lock()
		close(l.parking)
		again := l.parkAgain // for what began to wait after the look at the journal
		l.parking, l.parkAgain = nil, false
		l.mu.Unlock()
		if !again {
			return
		}
	}
}

// mayParkAlone reports whether the session is to be parked by the caller. No command starts from then on until it is known whether
// it is: it would be killed with the script.
func (l *presence) mayParkAlone() bool {
	if l.lingers() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.alone || l.holds == 0 || l.active > 0 || l.over || l.parked {
		return false
	}
	if l.parking != nil {
		l.parkAgain = true
		return false
	}
	l.parking = make(chan struct{})
	return true
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
	if s, err := l.of.config.Store.Session(l.id); err != nil || !s.ApprovedNotStarted() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lingering.IsZero() {
		l.lingering = time.Now().Add(linger)
		time.AfterFunc(linger, l.ParkAlone)
	}
	return time.Now().Before(l.lingering)
}

// cancelAlone ends a session that waits for a human and that cannot be started again.
func (l *presence) cancelAlone() {
	_, err := l.of.config.Store.Update(l.id, func(s *journal.Session) error {
		if s.Status != journal.StatusHeld || !s.Waits() || l.ctx.Err() != nil || !l.Alone() {
			return journal.ErrNotWaiting
		}
		return s.Apply(journal.Event{What: journal.Withdraw, At: l.of.config.Now()})
	})
	if err != nil {
		return
	}
	l.of.config.Publish(l.Subject(), events.Decided)
	l.cancel(fmt.Errorf("%w: its client has left, and it cannot be started again without it", journal.ErrCancelled))
}
