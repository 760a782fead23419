package audit

import (
	"sync"
	"time"
)

// How many failed authentications the log has: so many at once, and then so many a second. It counts the rest: who fails
// has read nothing.
const (
	burst = 100
	rate  = 5 // a second
)

// limiter is a token bucket for such events, with the number of those that it kept back.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	left  float64
	at    time.Time
	count uint64
}

// take reports whether one more may be written, and how many were kept back since the last that was.
func (l *limiter) take() (kept uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.at.IsZero() {
		l.left = burst
	} else {
		l.left = min(burst, l.left+max(0, now.Sub(l.at).Seconds())*rate)
	}
	l.at = now
	if l.left < 1 {
		l.count++
		return 0, false
	}
	l.left--
	kept, l.count = l.count, 0
	return kept, true
}
