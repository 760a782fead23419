package approvals

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/places"
)

// claimPatience is how long an approval waits for a script that is about to end, or for a session that is about to go on.
const claimPatience = 10 * time.Second

// alive is a session that is alive, nil for another.
func (r *registry) alive(id string) *gate.Live {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.live[id]; a != nil {
		return a.Live
	}
	return nil
}

// admit takes a session among the living, with its place. It reports false once Shutdown has begun.
func (r *registry) admit(l *gate.Live, place *places.Place, again bool) bool {
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

// working counts something that Shutdown waits for, until done is called.
func (r *registry) working() (done func()) {
	r.work.Add(1)
	return r.work.Done
}

// parkedOf are the ids of an identity's sessions that are parked, those first that expire first.
func (r *registry) parkedOf(identity string) (ids []string) {
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
func (r *registry) claim(ctx context.Context, id string) (release func(), err error) {
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
func (r *registry) claimLocked(id string) (release func()) {
	done := make(chan struct{})
	r.going[id] = done
	return func() {
		r.mu.Lock()
		delete(r.going, id)
		r.mu.Unlock()
		close(done)
	}
}

// settled returns once a session is not about to go on, or with ctx.
func (r *registry) settled(ctx context.Context, id string) {
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

func (r *registry) isClosing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing
}

// spawn runs fn on a goroutine that Shutdown waits for. Once Shutdown has begun it runs nothing, and reports false. The caller holds mu.
func (r *registry) spawn(fn func()) bool {
	if r.closing {
		return false
	}
	r.work.Go(fn)
	return true
}
