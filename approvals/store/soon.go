package store

import (
	"sync"
	"time"

	"shannot-gateway/approvals/journal"
)

// soonIs is how long a change that nobody waits for may wait for one that somebody does, whose transaction it then shares.
const soonIs = 5 * time.Millisecond

// soon are the changes that nobody waits for, in the order in which they came.
type soon struct {
	some chan struct{} // has an element when there is one to be written

	mu      sync.Mutex
	waiting []*request
	of      map[string]int // by session: changes that are not written yet, those included that are being written
	closed  bool
}

// UpdateSoon implements approvals.Store.
func (s *Store) UpdateSoon(id string, change func(*journal.Session) error, done func(error)) {
	r := &request{ids: []string{id}, change: func(all []*journal.Session) error { return change(all[0]) }, written: done}
	if !s.soon.add(id, r) {
		done(failure(r.name(), errClosed))
		return
	}
	select {
	case s.soon.some <- struct{}{}:
	default:
	}
}

func (q *soon) add(id string, r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.waiting = append(q.waiting, r)
	q.of[id]++
	return true
}

// take returns what waits. The caller writes it before anything that comes later.
func (q *soon) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = nil
	return all
}

// close takes no more, and returns what waits.
func (q *soon) close() []*request {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	return q.take()
}

// written counts a change out.
func (q *soon) written(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.of[id]--; q.of[id] == 0 {
		delete(q.of, id)
	}
}

// pending reports whether a session has changes that are not written, "" meaning any.
func (q *soon) pending(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return id == "" && len(q.of) > 0 || q.of[id] > 0
}

// len is how many changes are not written.
func (q *soon) len() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, of := range q.of {
		n += of
	}
	return n
}

// settle has the changes of a session written that nobody waited for, "" meaning those of all: somebody is about to look.
func (s *Store) settle(id string) {
	if s.soon.pending(id) {
		_ = s.between(func() error { return nil }) // what waits is written before a task
	}
}
