package admission

import (
	"slices"
	"sync"
)

// Kind is which of the places an identity may take.
type Kind int

// The kinds.
const (
	Asks    Kind = iota // agents
	Decides             // approvers and admins
	kinds
)

// PlaceLimits are how many connections may be logged in.
type PlaceLimits struct {
	Max         int // in all
	Reserved    int // of these for those who decide; the rest is for those who ask
	PerIdentity int
	Guaranteed  int // what an identity has for itself, or an equal part where there is not so much
	Waiting     int // of one identity, for a place
	Identities  [kinds]int
}

// Places are the connections whose clients have logged in. What holds:
//
//   - Those who ask never have more than Max - Reserved places, those who decide never more than Reserved.
//   - An identity never has more than PerIdentity. It leaves to every other identity of its kind, connected or not, what
//     that one is guaranteed.
//   - Of one identity, who waits longer gets a place first.
//   - Of one identity no more than Waiting wait.
type Places struct {
	mu      sync.Mutex
	limits  PlaceLimits
	used    [kinds]map[string]int // by identity
	waiting []*Place              // in the order of their coming
}

// Place is what a connection has, or waits for.
type Place struct {
	places   *Places
	kind     Kind
	identity string
	granted  chan struct{}
	has      bool // guarded by places.mu
}

// NewPlaces makes Places with none taken.
func NewPlaces(l PlaceLimits) *Places {
	p := &Places{limits: l}
	for k := range p.used {
		p.used[k] = map[string]int{}
	}
	return p
}

// SetLimits changes the limits. Nobody loses a place by it.
func (p *Places) SetLimits(l PlaceLimits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = l
	p.grant()
}

// Ask asks for a place, and returns nil where too many of the identity wait already.
func (p *Places) Ask(k Kind, identity string) *Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := &Place{places: p, kind: k, identity: identity, granted: make(chan struct{})}
	p.waiting = append(p.waiting, place)
	p.grant()
	if !place.has && p.waits(k, identity) > p.limits.Waiting {
		p.waiting = p.waiting[:len(p.waiting)-1]
		return nil
	}
	return place
}

// waits is how many connections of an identity wait. The caller holds the lock.
func (p *Places) waits(k Kind, identity string) (n int) {
	for _, w := range p.waiting {
		if w.kind == k && w.identity == identity {
			n++
		}
	}
	return n
}

// Granted is closed once the place is there.
func (p *Place) Granted() <-chan struct{} { return p.granted }

// Release gives a place back, or stops waiting for one. It may be called more than once.
func (p *Place) Release() {
	all := p.places
	all.mu.Lock()
	defer all.mu.Unlock()
	if i := slices.Index(all.waiting, p); i >= 0 {
		all.waiting = slices.Delete(all.waiting, i, i+1)
	}
	if p.has {
		p.has = false
		if all.used[p.kind][p.identity]--; all.used[p.kind][p.identity] == 0 {
			delete(all.used[p.kind], p.identity)
		}
		all.grant()
	}
}

// grant gives those who wait what they may have. The caller holds the lock.
func (p *Places) grant() {
	p.waiting = slices.DeleteFunc(p.waiting, func(w *Place) bool {
		if !p.may(w.kind, w.identity) {
			return false
		}
		p.used[w.kind][w.identity]++
		w.has = true
		close(w.granted)
		return true
	})
}

// may reports whether an identity may take one more place. The caller holds the lock.
func (p *Places) may(k Kind, identity string) bool {
	size, used := p.size(k), p.used[k]
	own := used[identity]
	if own >= p.limits.PerIdentity {
		return false
	}
	// Counts the guaranteed places as taken, whether they are or not. The rest is left for this identity and for others
	// that want more than they are guaranteed.
	n := max(p.limits.Identities[k], len(used), 1)
	guaranteed := min(p.limits.Guaranteed, p.limits.PerIdentity, size/n)
	if own < guaranteed {
		return true
	}
	left := size - n*guaranteed
	for _, has := range used {
		left -= max(0, has-guaranteed)
	}
	return left > 0
}

// size is how many places there are of a kind. The caller holds the lock.
func (p *Places) size(k Kind) int {
	if k == Decides {
		return p.limits.Reserved
	}
	return p.limits.Max - p.limits.Reserved
}

// Count returns how many places of a kind are taken and how many there are, and how many connections wait for one.
func (p *Places) Count(k Kind) (now, most, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.used[k] {
		now += n
	}
	for _, w := range p.waiting {
		if w.kind == k {
			waiting++
		}
	}
	return now, p.size(k), waiting
}
