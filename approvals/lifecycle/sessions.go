// Package lifecycle knows which sessions are alive, parked, or about to go on, and lets parked ones go on: at once with the approval
// of a human, together with its decision, or not at all. It knows nothing of what a session does while it is alive. Begin with
// resume.go.
package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/places"
)

// Sessions knows the sessions that have not ended: those that are alive, those that are parked, and those that
// are about to start again.
type Sessions struct {
	mu      sync.Mutex
	live    map[string]*alive
	present map[string]int // by session: clients of its own that wait for it
	parked  map[string]parkedSession
	going   map[string]chan struct{} // sessions that are about to start again; closed once they have
	closing bool
	closed  context.Context // ends with closing
	close   context.CancelFunc
	work    sync.WaitGroup // live sessions, and goroutines that start one
}

// alive is a session that is alive.
type alive struct {
	*gate.Live
	place *places.Place
	gone  chan struct{} // closed once it is not alive any more
}

type parkedSession struct {
	identity, target string
	deadline         time.Time
}

// NewSessions makes them; there are none.
func NewSessions() *Sessions {
	r := &Sessions{live: map[string]*alive{}, present: map[string]int{}, parked: map[string]parkedSession{}, going: map[string]chan struct{}{}}
	r.closed, r.close = context.WithCancel(context.Background())
	return r
}

// Closed ends once Shutdown has begun.
func (r *Sessions) Closed() context.Context { return r.closed }

// claimPatience is how long an approval waits for a script that is about to end, or for a session that is about to go on.
const claimPatience = 10 * time.Second

// Alive is a session that is alive, nil for another.
func (r *Sessions) Alive(id string) *gate.Live {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.live[id]; a != nil {
		return a.Live
	}
	return nil
}

// admit takes a session among the living, with its place. It reports false once Shutdown has begun.
func (r *Sessions) admit(l *gate.Live, place *places.Place, again bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	if again {
		l.Attended(r.present[l.ID()] > 0)
	}
	r.live[l.ID()] = &alive{l, place, make(chan struct{})}
	place.Occupy(places.Occupant{ID: l.ID(), Began: l.Began(), Held: l.Held})
	r.work.Add(1)
	return true
}

// Working counts something that Shutdown waits for, until done is called.
func (r *Sessions) Working() (done func()) {
	r.work.Add(1)
	return r.work.Done
}

// ParkedOf are the ids of an identity's sessions that are parked, those first that expire first.
func (r *Sessions) ParkedOf(identity string) (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.parked {
		if p.identity == identity {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(r.parked[a].deadline.Compare(r.parked[b].deadline), strings.Compare(a, b))
	})
	return ids
}

// claim makes the caller the only one who lets a parked session go on, until release. One whose script has not ended yet is waited for.
func (r *Sessions) claim(ctx context.Context, id string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	for {
		r.mu.Lock()
		l, going := r.live[id], r.going[id]
		if l == nil && going == nil {
			release = r.claimLocked(id)
			r.mu.Unlock()
			return release, nil
		}
		r.mu.Unlock()
		if l != nil {
			going = l.gone
		}
		select {
		case <-going:
		case <-ctx.Done():
			return nil, errors.New("its script is about to end, or to start again: try again")
		}
	}
}

// claimLocked is claim where nobody else has. The caller holds mu.
func (r *Sessions) claimLocked(id string) (release func()) {
	done := make(chan struct{})
	r.going[id] = done
	return func() {
		r.mu.Lock()
		delete(r.going, id)
		r.mu.Unlock()
		close(done)
	}
}

// Settled returns once a session is not about to go on, or with ctx.
func (r *Sessions) Settled(ctx context.Context, id string) {
	for {
		r.mu.Lock()
		l, going := r.live[id], r.going[id]
		r.mu.Unlock()
		if l != nil || going == nil {
			return
		}
		select {
		case <-going:
		case <-ctx.Done():
			return
		}
	}
}

// Closing reports whether Shutdown has begun.
func (r *Sessions) Closing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

// spawn runs fn on a goroutine that Shutdown waits for. Once Shutdown has begun it runs nothing, and reports false. The caller holds mu.
func (r *Sessions) spawn(fn func()) bool {
	if r.closing {
		return false
	}
	r.work.Go(fn)
	return true
}

// Wake tells a script that is alive of a decision.
func (r *Sessions) Wake(id string) {
	if l := r.Alive(id); l != nil {
		l.Decided()
	}
}

// Attended reports whether a client of the session's own identity is connected and waits for it.
func (r *Sessions) Attended(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.present[id] > 0
}

// Attend says that a client of the session's own identity waits for it, until ctx ends or leave is called. When the last
// one has left, a session that waits for a human is parked, at once or as soon as it waits: its place is free, and the
// decision starts it again. A session that cannot be started again is cancelled. A session that nobody has attended
// to stays as it is, unless it was parked before. leave returns once that is done, and may be called more than once.
func (r *Sessions) Attend(ctx context.Context, id string) (leave func()) {
	r.attend(id, +1)
	left := sync.OnceFunc(func() {
		if l, gone := r.attend(id, -1); gone && l != nil {
			l.ParkAlone()
		}
	})
	stop := context.AfterFunc(ctx, left)
	return func() {
		stop()
		left()
	}
}

// attend counts a client of a session that comes or leaves. The session hears of it with the lock held: of two of which one comes as
// the other leaves, it hears in the order in which they are counted. gone says that nobody waits for it any more.
func (r *Sessions) attend(id string, by int) (l *alive, gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.present[id] += by
	if gone = r.present[id] <= 0; gone {
		delete(r.present, id)
	}
	if l = r.live[id]; l != nil {
		l.Attended(!gone)
	}
	return l, gone
}

// Count says how many of the sessions that somebody sees run, are held and are parked.
func (r *Sessions) Count(sees func(events.Subject) bool) (running, held, parked int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.live {
		switch {
		case !sees(l.Subject()):
		case l.Held():
			held++
		default:
			running++
		}
	}
	for id, p := range r.parked {
		if sees(events.Subject{Session: id, Identity: p.identity, Target: p.target}) {
			parked++
		}
	}
	return running, held, parked
}
