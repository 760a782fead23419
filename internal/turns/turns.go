// Package turns lets people wait for themselves: so much of one kind of work at a time for each identity.
package turns

import (
	"context"
	"slices"
	"sync"
)

// Turns let each identity have so much of one kind of work done at a time, in the order in which it asks. Whoever asks for more
// waits for themself. Its zero value is ready.
type Turns struct {
	mu sync.Mutex
	of map[string]*line
}

// line is one identity's.
type line struct {
	most    int
	taken   int
	waiting []chan struct{} // each closed once it has its turn
}

// Take waits for one of an identity's turns, of which there are so many. done gives it back, and may be called more than once.
// It fails with the context's cause.
func (t *Turns) Take(ctx context.Context, identity string, most int) (done func(), err error) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*line{}
	}
	l := t.of[identity]
	if l == nil {
		l = &line{}
		t.of[identity] = l
	}
	mine := make(chan struct{})
	l.most = max(most, 1)
	l.waiting = append(l.waiting, mine)
	t.pass(identity, l)
	t.mu.Unlock()
	done = sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if i := slices.Index(l.waiting, mine); i >= 0 {
			l.waiting = slices.Delete(l.waiting, i, i+1)
		} else {
			l.taken--
		}
		t.pass(identity, l)
	})
	select {
	case <-mine:
		return done, nil
	default:
	}
	select {
	case <-mine:
		return done, nil
	case <-ctx.Done():
		done()
		return nil, context.Cause(ctx)
	}
}

// pass hands out what is free. The caller holds the lock.
func (t *Turns) pass(identity string, l *line) {
	for l.taken < l.most && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.taken++
	}
	if l.taken == 0 {
		delete(t.of, identity)
	}
}
