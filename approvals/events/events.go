// Package events tells whoever looks on that something about a session has changed. It never waits for a subscriber: one that
// is too slow is told that it has missed something. It knows nothing of sessions but their names.
package events

import (
	"context"
	"sync"
	"time"

	"shannot-gateway/approvals/journal"
)

// Event says that something about a session changed; what it is now, Session tells.
type Event struct {
	Session string
	Kind    string // one of the constants below
	At      time.Time
	By      string // who decided, where somebody did
}

// Kinds of events.
const (
	Started  = "started"
	Waiting  = "waiting" // an operation waits for a human
	Decided  = "decided"
	Finished = "finished" // an operation has its result
	Parked   = "parked"
	Ended    = "ended"
	// RolledBack says that what the session's files held before it was restored.
	RolledBack = "rolled_back"
	Lost       = "lost"     // the subscriber was too slow: look at everything again
	Reloaded   = "reloaded" // the configuration was: look at everything again, some of it may not be shown any more
)

// buffer is how many events a slow subscriber may be behind before it loses some.
const buffer = 256

// Bus delivers events to subscribers without ever waiting for one.
type Bus struct {
	mu   sync.Mutex
	subs map[*subscription]struct{}
}

type subscription struct {
	c    chan Event
	sees func(Subject) bool // whether the subscriber is shown what the event is about, at that time
	lost bool               // the last place went to Lost
}

// Subject is the session that an event is about.
type Subject struct{ Session, Identity, Target string }

// Subscribe delivers until one of the contexts ends: the subscriber's own, and that of the service.
func (b *Bus) Subscribe(ctx, open context.Context, sees func(Subject) bool) <-chan Event {
	s := &subscription{c: make(chan Event, buffer), sees: sees}
	b.mu.Lock()
	if b.subs == nil {
		b.subs = map[*subscription]struct{}{}
	}
	b.subs[s] = struct{}{}
	b.mu.Unlock()
	end := sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, s)
		close(s.c)
	})
	stop := context.AfterFunc(open, end)
	context.AfterFunc(ctx, func() { stop(); end() })
	return s.c
}

// Publish never waits. The last place of a full buffer goes to Lost, so that a slow reader meets it after what it
// got and before what comes once there is room again.
func (b *Bus) Publish(e Event, about Subject) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		switch {
		case e.Session != "" && !s.sees(about):
		case len(s.c) < cap(s.c)-1:
			s.lost = false
			s.c <- e
		case !s.lost:
			s.lost = true
			s.c <- Event{Kind: Lost, At: e.At}
		}
	}
}

// About is a session as the subject of an event.
func About(s *journal.Session) Subject { return Subject{s.ID, s.Identity, s.Target} }
