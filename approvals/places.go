package approvals

import (
	"cmp"
	"context"
	"fmt"
	"shannot-gateway/approvals/journal"
	"slices"
	"strings"
	"time"
)

// parkedFactor is how many times SessionsPerIdentity an identity may have parked, which cost a little disk only.
const parkedFactor = 8

// Bounds of those who wait for a place. Each keeps its script in memory meanwhile.
const (
	maxQueued        = 1024     // in all
	maxQueuedBy      = 256      // of one identity
	maxQueuedBytes   = 64 << 20 // of scripts, in all
	maxQueuedBytesBy = 16 << 20 // of scripts of one identity
)

// queuedAfter is how long somebody waits before they are told: most places are free before.
const queuedAfter = time.Second

// maxInTheWay is how many sessions an error names.
const maxInTheWay = 4

func (w *waiter) resumed() bool { return w.session != "" }

func newPlaces() places {
	return places{starting: map[*waiter]bool{}, moved: map[string]chan struct{}{}}
}

// Busy says that there is no place for a session now. It is ErrTooMany.
type Busy struct {
	Reason string   // one line
	InWay  []string // ids of sessions of the identity itself that are in the way, those first that wait for a human
}

// Error says why.
func (b *Busy) Error() string { return fmt.Sprintf("%v: %s", journal.ErrTooMany, b.Reason) }

// Unwrap makes it ErrTooMany.
func (b *Busy) Unwrap() error { return journal.ErrTooMany }

// place takes a place, and waits for one where there is none. The place is held until release, by when the session is
// alive and has it itself. A new session waits as long as its identity's line moves at least every Limits.Queue, so
// that the last of many is served as the first is; one that goes on waits until ctx ends.
func (r *registry) place(ctx context.Context, w *waiter, queued func(why string)) (release func(), err error) {
	w.given = make(chan struct{})
	if err := r.queue(w); err != nil {
		return nil, err
	}
	select {
	case <-w.given:
	default:
		if err := r.await(ctx, w, queued); err != nil {
			return nil, err
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.places.starting, w)
		r.dispatch()
	}, nil
}

// placeNow takes a place for a parked session if there is one, until release; nil where there is none.
func (r *registry) placeNow(s journal.Session) (release func()) {
	now, cancel := context.WithCancel(r.closed)
	cancel() // it waits for none
	release, err := r.place(now, &waiter{identity: s.Identity, session: s.ID}, nil)
	if err != nil {
		return nil
	}
	return release
}

// queue puts a waiter into the line, from which it may have been served already.
func (r *registry) queue(w *waiter) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return journal.ErrShutdown
	}
	if !w.resumed() { // what is kept of that is there already
		if err := r.share(w.identity); err != nil {
			return err
		}
	}
	if err := r.tooManyParked(w); err != nil {
		return err
	}
	r.places.waiting = append(r.places.waiting, w)
	r.dispatch()
	if why := r.noQueue(w); why != "" {
		r.leaveQueue(w)
		return r.busy(w, why)
	}
	return nil
}

// share is a *Busy error for who has used up their share of what is kept.
func (r *registry) share(identity string) error {
	if r.used == nil {
		return nil
	}
	if err := r.used(identity); err != nil {
		return &Busy{Reason: err.Error()}
	}
	return nil
}

// tooManyParked refuses a new session where too many of its identity wait for humans: no place that becomes free would help.
func (r *registry) tooManyParked(w *waiter) error {
	limit := r.limits().SessionsPerIdentity
	if limit <= 0 || w.resumed() {
		return nil
	}
	var parked []string
	for id, p := range r.parked {
		if p.identity == w.identity {
			parked = append(parked, id)
		}
	}
	if len(parked) < parkedFactor*limit {
		return nil
	}
	slices.SortFunc(parked, func(a, b string) int {
		return cmp.Or(r.parked[a].deadline.Compare(r.parked[b].deadline), strings.Compare(a, b))
	})
	return &Busy{
		Reason: fmt.Sprintf("%d of yours wait for a human, %d times limits.sessions_per_identity; cancel some", len(parked), parkedFactor),
		InWay:  parked[:min(len(parked), maxInTheWay)],
	}
}

// noQueue says why a waiter that was not served may not wait, "" where it may.
func (r *registry) noQueue(w *waiter) string {
	if w.resumed() || !slices.Contains(r.places.waiting, w) {
		return ""
	}
	own, size, ownSize := 0, 0, 0
	for _, other := range r.places.waiting {
		size += other.size
		if other.identity == w.identity {
			own++
			ownSize += other.size
		}
	}
	switch {
	case r.limits().Queue <= 0:
		return "limits.queue lets nobody wait"
	case own > maxQueuedBy || ownSize > maxQueuedBytesBy:
		return fmt.Sprintf("%d of yours wait for a place already", own-1)
	case len(r.places.waiting) > maxQueued || size > maxQueuedBytes:
		return fmt.Sprintf("%d wait for a place already", len(r.places.waiting)-1)
	}
	return ""
}

// await waits until a waiter has its place.
func (r *registry) await(ctx context.Context, w *waiter, queued func(why string)) error {
	patience := r.limits().Queue
	timer := time.NewTimer(patience)
	defer timer.Stop()
	expired := timer.C
	if w.resumed() {
		expired = nil
	}
	tell := time.NewTimer(queuedAfter)
	defer tell.Stop()
	for {
		r.mu.Lock()
		moved := r.places.line(w.identity)
		r.mu.Unlock()
		select {
		case <-w.given:
			return w.err
		case <-moved:
			timer.Reset(patience)
		case <-tell.C:
			if queued != nil {
				queued("waits for a place: " + r.whyFull(w))
			}
		case <-ctx.Done():
			return r.giveUp(w, context.Cause(ctx))
		case <-expired:
			return r.giveUp(w, r.busyNow(w, fmt.Sprintf("no place became free within %v (limits.queue)", patience)))
		}
	}
}

// giveUp takes a waiter out of the line, or gives back the place that it has got meanwhile.
func (r *registry) giveUp(w *waiter, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaveQueue(w)
	delete(r.places.starting, w)
	r.dispatch()
	return err
}

// line is closed when somebody of an identity leaves the line. The caller holds the lock.
func (p *places) line(identity string) <-chan struct{} {
	c := p.moved[identity]
	if c == nil {
		c = make(chan struct{})
		p.moved[identity] = c
	}
	return c
}

// leaveQueue takes a waiter out of the line, and tells those behind it. The caller holds the lock.
func (r *registry) leaveQueue(w *waiter) {
	p := &r.places
	at := slices.Index(p.waiting, w)
	if at < 0 {
		return
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	if c := p.moved[w.identity]; c != nil {
		close(c)
		delete(p.moved, w.identity)
	}
}

// dispatch gives the places that are free to those who wait. The caller holds the lock.
func (r *registry) dispatch() {
	for {
		w := r.next()
		if w == nil {
			return
		}
		r.leaveQueue(w)
		r.places.starting[w] = true
		close(w.given)
	}
}

// notResumed takes a parked session out of the line, which has ended. The caller holds the lock.
func (r *registry) notResumed(id string) {
	for _, w := range slices.Clone(r.places.waiting) {
		if w.session == id {
			r.leaveQueue(w)
			w.err = fmt.Errorf("%w: session %s has ended", journal.ErrNotWaiting, id)
			close(w.given)
		}
	}
}

// toResume reports whether a parked session waits for a place only. The caller holds the lock.
func (r *registry) toResume(id string) bool {
	return slices.ContainsFunc(r.places.waiting, func(w *waiter) bool { return w.session == id })
}

// closePlaces tells all who wait that there will be no place any more. The caller holds the lock.
func (r *registry) closePlaces() {
	for _, w := range slices.Clone(r.places.waiting) {
		r.leaveQueue(w)
		w.err = journal.ErrShutdown
		close(w.given)
	}
}

// taken counts the places that are taken: in all, by an identity, and of those by sessions that were parked.
func (r *registry) taken(identity string) (all, own, resumed int) {
	count := func(of string, again bool) {
		all++
		if of == identity {
			own++
			if again {
				resumed++
			}
		}
	}
	for _, l := range r.live {
		count(l.identity, l.resumed)
	}
	for w := range r.places.starting {
		count(w.identity, w.resumed())
	}
	return all, own, resumed
}

// next is who gets a place now, nil where nobody does. One that goes on counts only what goes on like it of its identity:
// it does not wait for scripts that wait for humans themselves.
func (r *registry) next() (best *waiter) {
	if r.closing || len(r.places.waiting) == 0 {
		return nil
	}
	limits, fewest := r.limits(), 0
	seen := map[string]bool{}
	for _, w := range r.places.waiting {
		key := fmt.Sprint(w.resumed(), w.identity)
		if seen[key] { // somebody of theirs comes before
			continue
		}
		seen[key] = true
		all, own, resumed := r.taken(w.identity)
		if limits.Sessions > 0 && all >= limits.Sessions {
			return nil
		}
		counts := own
		if w.resumed() {
			counts = resumed
		}
		if limits.SessionsPerIdentity > 0 && counts >= limits.SessionsPerIdentity {
			continue
		}
		if best == nil || w.resumed() && !best.resumed() || w.resumed() == best.resumed() && own < fewest {
			best, fewest = w, own
		}
	}
	return best
}

// busyNow is busy for who does not hold the lock.
func (r *registry) busyNow(w *waiter, why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.busy(w, why)
}

// busy is the error for who gets no place. The caller holds the lock.
func (r *registry) busy(w *waiter, why string) error {
	var own []*Live
	for _, l := range r.live {
		if l.identity == w.identity {
			own = append(own, l)
		}
	}
	held := map[*Live]int{}
	for _, l := range own {
		if !l.Held() {
			held[l] = 1
		}
	}
	slices.SortFunc(own, func(a, b *Live) int {
		return cmp.Or(cmp.Compare(held[a], held[b]), a.began.Compare(b.began), strings.Compare(a.id, b.id))
	})
	b := &Busy{Reason: r.full(w) + "; " + why}
	for _, l := range own[:min(len(own), maxInTheWay)] {
		b.InWay = append(b.InWay, l.id)
	}
	return b
}

func (r *registry) whyFull(w *waiter) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full(w)
}

// full says which limit is reached. The caller holds the lock.
func (r *registry) full(w *waiter) string {
	limits := r.limits()
	all, own, _ := r.taken(w.identity)
	if limits.SessionsPerIdentity > 0 && own >= limits.SessionsPerIdentity {
		return fmt.Sprintf("you have %d alive, limits.sessions_per_identity allows no more", own)
	}
	return fmt.Sprintf("%d sessions are alive, limits.sessions allows no more", all)
}
