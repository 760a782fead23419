package admission

import "sync"

// Turns are the right to compute for a login: so many at once, whoever waits. Addresses take turns. Of one address, the
// login that has come furthest goes first, so that what was begun ends; of those, the one that has waited longest.
type Turns struct {
	mu      sync.Mutex
	free    int // negative where the number was made smaller
	all     int
	waiting map[string][]*turn // by address
	order   []string           // of the addresses that wait, the next one first
}

type turn struct {
	step  Step
	ready chan struct{}
}

// NewTurns makes so many turns.
func NewTurns(n int) *Turns { return &Turns{free: n, all: n, waiting: map[string][]*turn{}} }

// SetLimit changes how many there are.
func (t *Turns) SetLimit(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free += n - t.all
	t.all = n
	t.pass()
}

// Take waits for a turn, and reports false where gone was closed before.
func (t *Turns) Take(address string, s Step, gone <-chan struct{}) bool {
	mine := &turn{step: s, ready: make(chan struct{})}
	t.mu.Lock()
	if len(t.waiting[address]) == 0 {
		t.order = append(t.order, address)
	}
	t.waiting[address] = append(t.waiting[address], mine)
	t.pass()
	t.mu.Unlock()
	select {
	case <-mine.ready:
		return true
	case <-gone:
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-mine.ready: // both at once
		t.free++
		t.pass()
	default:
		t.drop(address, mine)
	}
	return false
}

// Give gives a turn back.
func (t *Turns) Give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free++
	t.pass()
}

// pass hands out what is free. The caller holds the lock.
func (t *Turns) pass() {
	for t.free > 0 && len(t.order) > 0 {
		address := t.order[0]
		next := t.waiting[address][0]
		for _, w := range t.waiting[address] {
			if w.step > next.step {
				next = w
			}
		}
		t.drop(address, next)
		if len(t.waiting[address]) > 0 { // to the end of the line
			t.order = append(t.order[1:], address)
		}
		t.free--
		close(next.ready)
	}
}

// drop takes one out of the line. The caller holds the lock.
func (t *Turns) drop(address string, w *turn) {
	line := t.waiting[address]
	for i := range line {
		if line[i] == w {
			line = append(line[:i:i], line[i+1:]...)
			break
		}
	}
	if len(line) > 0 {
		t.waiting[address] = line
		return
	}
	delete(t.waiting, address)
	for i := range t.order {
		if t.order[i] == address {
			t.order = append(t.order[:i:i], t.order[i+1:]...)
			return
		}
	}
}
