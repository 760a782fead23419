// Package places says who has a place among the sessions that are alive, and who waits for one. Places are given in the order in
// which they were asked for, with two exceptions: what a human has decided on comes first, and of several identities that wait
// the one with the fewest sessions alive does. The package knows nothing of what a session does with its place.
package places

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"shannot-gateway/approvals/journal"
)

// Limits bound who is alive at once; 0 means no limit.
type Limits struct {
	Sessions    int           // in all
	PerIdentity int           // of one identity
	Queue       time.Duration // how long one that is over these waits for a place; 0 means not at all
}

// Config is what Places need.
type Config struct {
	Limits func() Limits // as they are now
	// Parked are the ids of an identity's sessions that are parked, those first that expire first.
	Parked func(identity string) []string
	// Share, where there is one, says why an identity may add nothing to what is kept now.
	Share func(identity string) error
}

// Places are all places. Nobody waits for anything with its lock held.
type Places struct {
	config Config

	mu      sync.Mutex
	taken   map[*Place]bool
	waiting []*Place
	moved   map[string]chan struct{} // by identity: closed when somebody of theirs leaves the line
	closed  bool
}

// Want asks for a place.
type Want struct {
	Identity string
	Session  string // a parked one that a human has decided on, "" for a new one
	Size     int    // bytes of its script
	// Queued, where it is there, is called once where it has to wait, with why, in one line.
	Queued func(why string)
}

// Place is one session's place, or its wait for one.
type Place struct {
	of *Places
	Want
	given chan struct{} // closed once it has its place, or err
	err   error
	who   *Occupant // nil before its session is alive
}

// Occupant is the session that has a place.
type Occupant struct {
	ID    string
	Began time.Time
	Held  func() bool // whether it waits for a human; it may not wait itself
}

// New makes places.
func New(c Config) *Places {
	return &Places{config: c, taken: map[*Place]bool{}, moved: map[string]chan struct{}{}}
}

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

func (w *Place) resumed() bool { return w.Session != "" }

// Busy says that there is no place for a session now. It is journal.ErrTooMany.
type Busy struct {
	Reason string   // one line
	InWay  []string // ids of sessions of the identity itself that are in the way, those first that wait for a human
}

// Error says why.
func (b *Busy) Error() string { return fmt.Sprintf("%v: %s", journal.ErrTooMany, b.Reason) }

// Unwrap makes it journal.ErrTooMany.
func (b *Busy) Unwrap() error { return journal.ErrTooMany }

// Take takes a place, and waits for one where there is none. The place is held until Release. A new session waits as long as
// its identity's line moves at least every Limits.Queue, so that the last of many is served as the first is; one that goes on
// waits until ctx ends. A *Busy error, which is journal.ErrTooMany, says which limit stands in the way.
func (p *Places) Take(ctx context.Context, want Want) (*Place, error) {
	w := &Place{of: p, Want: want, given: make(chan struct{})}
	if err := p.queue(w); err != nil {
		return nil, err
	}
	select {
	case <-w.given:
	default:
		if err := p.await(ctx, w); err != nil {
			return nil, err
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	return w, nil
}

// TakeNow takes a place for a parked session if there is one; nil where there is none.
func (p *Places) TakeNow(identity, session string) *Place {
	now, cancel := context.WithCancel(context.Background())
	cancel() // it waits for none
	w, err := p.Take(now, Want{Identity: identity, Session: session})
	if err != nil {
		return nil
	}
	return w
}

// Occupy says which session has the place by now.
func (w *Place) Occupy(who Occupant) {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.who = &who
}

// Release gives the place to who waits. It may be called more than once.
func (w *Place) Release() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	delete(w.of.taken, w)
	w.of.dispatch()
}

// Serve gives out what there is: there may be more places than before.
func (p *Places) Serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dispatch()
}

// queue puts somebody into the line, from which they may have been served already.
func (p *Places) queue(w *Place) error {
	if p.isClosed() {
		return journal.ErrShutdown
	}
	if !w.resumed() { // what is kept of that is there already
		if err := p.Share(w.Identity); err != nil {
			return err
		}
		if err := p.tooManyParked(w); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return journal.ErrShutdown
	}
	p.waiting = append(p.waiting, w)
	p.dispatch()
	if why := p.noQueue(w); why != "" {
		p.leaveQueue(w)
		return p.busy(w, why)
	}
	return nil
}

func (p *Places) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Share is a *Busy error for who has used up their share of what is kept.
func (p *Places) Share(identity string) error {
	if p.config.Share == nil {
		return nil
	}
	if err := p.config.Share(identity); err != nil {
		return &Busy{Reason: err.Error()}
	}
	return nil
}

// tooManyParked refuses a new session where too many of its identity wait for humans: no place that becomes free would help.
func (p *Places) tooManyParked(w *Place) error {
	limit := p.config.Limits().PerIdentity
	if limit <= 0 {
		return nil
	}
	parked := p.config.Parked(w.Identity)
	if len(parked) < parkedFactor*limit {
		return nil
	}
	return &Busy{
		Reason: fmt.Sprintf("%d of yours wait for a human, %d times limits.sessions_per_identity; cancel some", len(parked), parkedFactor),
		InWay:  parked[:min(len(parked), maxInTheWay)],
	}
}

// noQueue says why a waiter that was not served may not wait, "" where it may.
func (p *Places) noQueue(w *Place) string {
	if w.resumed() || !slices.Contains(p.waiting, w) {
		return ""
	}
	own, size, ownSize := 0, 0, 0
	for _, other := range p.waiting {
		size += other.Size
		if other.Identity == w.Identity {
			own++
			ownSize += other.Size
		}
	}
	switch {
	case p.config.Limits().Queue <= 0:
		return "limits.queue lets nobody wait"
	case own > maxQueuedBy || ownSize > maxQueuedBytesBy:
		return fmt.Sprintf("%d of yours wait for a place already", own-1)
	case len(p.waiting) > maxQueued || size > maxQueuedBytes:
		return fmt.Sprintf("%d wait for a place already", len(p.waiting)-1)
	}
	return ""
}

// await waits until a waiter has its place.
func (p *Places) await(ctx context.Context, w *Place) error {
	patience := p.config.Limits().Queue
	timer := time.NewTimer(patience)
	defer timer.Stop()
	expired := timer.C
	if w.resumed() {
		expired = nil
	}
	tell := time.NewTimer(queuedAfter)
	defer tell.Stop()
	for {
		p.mu.Lock()
		moved := p.line(w.Identity)
		p.mu.Unlock()
		select {
		case <-w.given:
			return w.err
		case <-moved:
			timer.Reset(patience)
		case <-tell.C:
			if w.Queued != nil {
				w.Queued("waits for a place: " + p.whyFull(w))
			}
		case <-ctx.Done():
			return p.giveUp(w, context.Cause(ctx))
		case <-expired:
			return p.giveUp(w, p.busyNow(w, fmt.Sprintf("no place became free within %v (limits.queue)", patience)))
		}
	}
}

// giveUp takes a waiter out of the line, or gives back the place that it has got meanwhile.
func (p *Places) giveUp(w *Place, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveQueue(w)
	delete(p.taken, w)
	p.dispatch()
	return err
}

// line is closed when somebody of an identity leaves the line. The caller holds the lock.
func (p *Places) line(identity string) <-chan struct{} {
	c := p.moved[identity]
	if c == nil {
		c = make(chan struct{})
		p.moved[identity] = c
	}
	return c
}

// leaveQueue takes a waiter out of the line, and tells those behind it. The caller holds the lock.
func (p *Places) leaveQueue(w *Place) {
	at := slices.Index(p.waiting, w)
	if at < 0 {
		return
	}
	p.waiting = slices.Delete(p.waiting, at, at+1)
	if c := p.moved[w.Identity]; c != nil {
		close(c)
		delete(p.moved, w.Identity)
	}
}

// dispatch gives the places that are free to those who wait. The caller holds the lock.
func (p *Places) dispatch() {
	for {
		w := p.next()
		if w == nil {
			return
		}
		p.leaveQueue(w)
		p.taken[w] = true
		close(w.given)
	}
}

// Drop takes a parked session out of the line, which has ended.
func (p *Places) Drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range slices.Clone(p.waiting) {
		if w.Session == id {
			p.leaveQueue(w)
			w.err = fmt.Errorf("%w: session %s has ended", journal.ErrNotWaiting, id)
			close(w.given)
		}
	}
}

// Waits reports whether a parked session waits for a place only.
func (p *Places) Waits(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.waiting, func(w *Place) bool { return w.Session == id })
}

// Close tells all who wait that there will be no place any more.
func (p *Places) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, w := range slices.Clone(p.waiting) {
		p.leaveQueue(w)
		w.err = journal.ErrShutdown
		close(w.given)
	}
}

// count counts the places that are taken: in all, by an identity, and of those by sessions that were parked. The caller holds
// the lock.
func (p *Places) count(identity string) (all, own, resumed int) {
	for w := range p.taken {
		all++
		if w.Identity == identity {
			own++
			if w.resumed() {
				resumed++
			}
		}
	}
	return all, own, resumed
}

// next is who gets a place now, nil where nobody does. One that goes on counts only what goes on like it of its identity:
// it does not wait for scripts that wait for humans themselves.
func (p *Places) next() (best *Place) {
	if p.closed || len(p.waiting) == 0 {
		return nil
	}
	limits, fewest := p.config.Limits(), 0
	seen := map[string]bool{}
	for _, w := range p.waiting {
		key := fmt.Sprint(w.resumed(), w.Identity)
		if seen[key] { // somebody of theirs comes before
			continue
		}
		seen[key] = true
		all, own, resumed := p.count(w.Identity)
		if limits.Sessions > 0 && all >= limits.Sessions {
			return nil
		}
		counts := own
		if w.resumed() {
			counts = resumed
		}
		if limits.PerIdentity > 0 && counts >= limits.PerIdentity {
			continue
		}
		if best == nil || w.resumed() && !best.resumed() || w.resumed() == best.resumed() && own < fewest {
			best, fewest = w, own
		}
	}
	return best
}

// busyNow is busy for who does not hold the lock.
func (p *Places) busyNow(w *Place, why string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy(w, why)
}

// busy is the error for who gets no place. The caller holds the lock.
func (p *Places) busy(w *Place, why string) error {
	var own []*Occupant
	for other := range p.taken {
		if other.Identity == w.Identity && other.who != nil {
			own = append(own, other.who)
		}
	}
	running := map[*Occupant]int{}
	for _, o := range own {
		if !o.Held() {
			running[o] = 1
		}
	}
	slices.SortFunc(own, func(a, b *Occupant) int {
		return cmp.Or(cmp.Compare(running[a], running[b]), a.Began.Compare(b.Began), strings.Compare(a.ID, b.ID))
	})
	b := &Busy{Reason: p.full(w) + "; " + why}
	for _, o := range own[:min(len(own), maxInTheWay)] {
		b.InWay = append(b.InWay, o.ID)
	}
	return b
}

func (p *Places) whyFull(w *Place) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full(w)
}

// full says which limit is reached. The caller holds the lock.
func (p *Places) full(w *Place) string {
	limits := p.config.Limits()
	all, own, _ := p.count(w.Identity)
	if limits.PerIdentity > 0 && own >= limits.PerIdentity {
		return fmt.Sprintf("you have %d alive, limits.sessions_per_identity allows no more", own)
	}
	return fmt.Sprintf("%d sessions are alive, limits.sessions allows no more", all)
}
