package approvals

import (
	"context"
	"shannot-gateway/approvals/journal"
	"sync"
	"time"
)

// Event says that something about a session changed; what it is now, Session tells.
type Event struct {
	Session string
	Kind    string // one of the Event constants
	At      time.Time
	By      string // who decided, where somebody did
}

// Kinds of events.
const (
	EventStarted  = "started"
	EventWaiting  = "waiting" // an operation waits for a human
	EventDecided  = "decided"
	EventFinished = "finished" // an operation has its result
	EventParked   = "parked"
	EventEnded    = "ended"
	// EventRolledBack says that what the session's files held before it was restored.
	EventRolledBack = "rolled_back"
	EventLost       = "lost"     // the subscriber was too slow: look at everything again
	EventReloaded   = "reloaded" // the configuration was: look at everything again, some of it may not be shown any more
)

// eventBuffer is how many events a slow subscriber may be behind before it loses some.
const eventBuffer = 256

// bus delivers events to subscribers without ever waiting for one.
type bus struct {
	mu   sync.Mutex
	subs map[*subscription]struct{}
}

type subscription struct {
	c    chan Event
	sees func(subject) bool // whether the subscriber is shown what the event is about, at that time
	lost bool               // the last place went to EventLost
}

// subject is the session that an event is about.
type subject struct{ session, identity, target string }

// subscribe delivers until one of the contexts ends: the subscriber's own, and that of the service.
func (b *bus) subscribe(ctx, open context.Context, sees func(subject) bool) <-chan Event {
	s := &subscription{c: make(chan Event, eventBuffer), sees: sees}
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

// publish never waits. The last place of a full buffer goes to EventLost, so that a slow reader meets it after what it
// got and before what comes once there is room again.
func (b *bus) publish(e Event, about subject) {
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
			s.c <- Event{Kind: EventLost, At: e.At}
		}
	}
}

func about(s *journal.Session) subject { return subject{s.ID, s.Identity, s.Target} }
