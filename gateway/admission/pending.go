package admission

import (
	"slices"
	"sync"
	"time"
)

// Step is how far a login has come.
type Step int

// The steps of a login.
const (
	Silent  Step = iota // nothing has come
	Greeted             // the client has sent its version
	Keyed               // keys were exchanged: the client has done its part of the work
)

// Pending are the connections whose clients have not logged in. What holds:
//
//   - There are never more than the limit.
//   - At the limit a newcomer takes the place of another connection of the most crowded address, the newcomer counted:
//     the one that has kept the gateway waiting the longest. With each step of its login the gateway is more patient, see
//     patience. So who says nothing goes before who is in the middle of a login. A connection of which something has come
//     that a busy gateway has not read goes after others.
//   - No more than half of the limit have exchanged keys and keep the gateway waiting for what comes next, which may be
//     large. Of these, the one that has kept it waiting the longest goes.
//   - The gateway refuses a newcomer only if all connections of the most crowded address wait for the gateway, and the
//     newcomer is one more of that address.
type Pending struct {
	now func() time.Time

	mu      sync.Mutex
	most    int
	guests  map[*Guest]struct{}
	crowds  map[string]int // by address
	arrived uint64
	keyed   int // that have exchanged keys
}

// patience is how much longer the gateway waits for each step of a login, as a power of two. An honest client says its
// version as soon as it is connected, and then computes for some milliseconds. Somebody may fill the gateway with silent
// connections faster than it can compute; the honest client must not be among the oldest then.
const patience = 3

// NewPending makes an empty Pending for at most so many.
func NewPending(most int, now func() time.Time) *Pending {
	return &Pending{now: now, most: most, guests: map[*Guest]struct{}{}, crowds: map[string]int{}}
}

// SetLimit changes the limit. Connections over it stay until somebody comes.
func (p *Pending) SetLimit(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
}

// Count returns how many there are, and how many there may be.
func (p *Pending) Count() (now, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.guests), p.most
}

// Guest is a connection whose client has not logged in.
type Guest struct {
	pending *Pending
	address string
	evict   func()
	unread  func() bool
	arrived uint64

	// Guarded by pending.mu.
	step  Step
	owing bool      // it is the client's turn
	since time.Time // it is, since then
	gone  bool
}

// Admit takes a connection in, which then owes its first message, or returns nil. Admit, for another connection, or Shed
// calls evict when this one has to go; it has left by then. They call unread before, with a lock held: it reports at once
// whether something has come from the client that nobody has read.
func (p *Pending) Admit(address string, evict func(), unread func() bool) *Guest {
	p.mu.Lock()
	var victims []*Guest
	for len(p.guests) >= p.most {
		victim := p.victim(address)
		if victim == nil {
			break
		}
		p.remove(victim)
		victims = append(victims, victim)
	}
	var g *Guest
	if len(p.guests) < p.most {
		p.arrived++
		g = &Guest{pending: p, address: address, evict: evict, unread: unread, arrived: p.arrived, owing: true, since: p.now()}
		p.guests[g] = struct{}{}
		p.crowds[address]++
	}
	p.mu.Unlock()
	for _, v := range victims {
		v.evict()
	}
	return g
}

// Shed lets one connection go, when something that all of them need is used up. It reports whether there was one that
// kept the gateway waiting.
func (p *Pending) Shed() bool {
	const nobody = ""
	p.mu.Lock()
	crowded := p.crowded(nobody)
	victim := p.latest(func(g *Guest) bool { return crowded[g.address] })
	if victim != nil {
		p.remove(victim)
	}
	p.mu.Unlock()
	if victim == nil {
		return false
	}
	victim.evict()
	return true
}

// victim is the connection that goes for a newcomer, nil where the newcomer has to go. The caller holds the lock.
func (p *Pending) victim(newcomer string) *Guest {
	crowded := p.crowded(newcomer)
	late := p.latest(func(g *Guest) bool { return crowded[g.address] })
	if late != nil || crowded[newcomer] {
		return late
	}
	var newest *Guest // the least has been done for it
	for g := range p.guests {
		if crowded[g.address] && (newest == nil || g.arrived > newest.arrived) {
			newest = g
		}
	}
	return newest
}

// crowded are the addresses that have the most connections, a newcomer counted. The caller holds the lock.
func (p *Pending) crowded(newcomer string) map[string]bool {
	most, found := p.crowds[newcomer]+1, map[string]bool{newcomer: true}
	for address, n := range p.crowds {
		switch {
		case address == newcomer:
		case n > most:
			most, found = n, map[string]bool{address: true}
		case n == most:
			found[address] = true
		}
	}
	return found
}

// asks is how many connections latest asks for unread input. Each question goes through all connections.
const asks = 4

// latest is the connection among some that has kept the gateway waiting the longest, nil where none does. One with unread
// input goes only where the others have some too: then the gateway is late, with all of them. The caller holds the lock.
func (p *Pending) latest(among func(*Guest) bool) *Guest {
	var heard []*Guest
	for len(heard) < asks {
		found := p.longest(func(g *Guest) bool { return among(g) && !slices.Contains(heard, g) })
		switch {
		case found == nil && len(heard) == 0:
			return nil
		case found == nil:
			return heard[0]
		case !found.unread():
			return found
		}
		heard = append(heard, found)
	}
	return heard[0]
}

// longest is latest without regard to unread input. The caller holds the lock.
func (p *Pending) longest(among func(*Guest) bool) *Guest {
	var found *Guest
	var longest time.Duration
	now := p.now()
	for g := range p.guests {
		if !g.owing || !among(g) {
			continue
		}
		late := now.Sub(g.since) >> (patience * g.step)
		if found == nil || late > longest || late == longest && g.arrived < found.arrived {
			found, longest = g, late
		}
	}
	return found
}

// remove forgets a connection. The caller holds the lock.
func (p *Pending) remove(g *Guest) {
	g.gone = true
	if g.step == Keyed {
		p.keyed--
	}
	delete(p.guests, g)
	if p.crowds[g.address]--; p.crowds[g.address] == 0 {
		delete(p.crowds, g.address)
	}
}

// Owes notes that the gateway waits for the client from now on.
func (g *Guest) Owes() {
	g.pending.mu.Lock()
	defer g.pending.mu.Unlock()
	g.owing, g.since = true, g.pending.now()
}

// Paid notes that the client waits for the gateway from now on.
func (g *Guest) Paid() {
	g.pending.mu.Lock()
	defer g.pending.mu.Unlock()
	g.owing = false
}

// Reached notes how far the login has come.
func (g *Guest) Reached(s Step) {
	p := g.pending
	p.mu.Lock()
	var victim *Guest
	if s > g.step {
		g.step = s
		if s == Keyed && !g.gone {
			victim = p.oneKeyedMore()
		}
	}
	p.mu.Unlock()
	if victim != nil {
		victim.evict()
	}
}

// oneKeyedMore counts a connection that has exchanged keys. It returns the one that has to go for it, nil for none. The
// caller holds the lock.
func (p *Pending) oneKeyedMore() *Guest {
	if p.keyed++; p.keyed <= max(1, p.most/2) {
		return nil
	}
	victim := p.longest(func(g *Guest) bool { return g.step == Keyed }) // what is unread may be the beginning of what is large
	if victim != nil {
		p.remove(victim)
	}
	return victim
}

// Step is how far the login has come.
func (g *Guest) Step() Step {
	g.pending.mu.Lock()
	defer g.pending.mu.Unlock()
	return g.step
}

// Leave takes a connection out, which has logged in or ended.
func (g *Guest) Leave() {
	g.pending.mu.Lock()
	defer g.pending.mu.Unlock()
	if !g.gone {
		g.pending.remove(g)
	}
}
