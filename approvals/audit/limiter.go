package audit

import (
	"sync"
	"time"
)

// How many failed authentications are written: so many at once, and then so many a second. The rest are counted.
const (
	failureBurst = 100
	failureRate  = 5 // a second
)

// limiter is a token bucket for failures, with the number of those that it kept back.
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
		l.left = failureBurst
	} else {
		l.left = min(failureBurst, l.left+max(0, now.Sub(l.at).Seconds())*failureRate)
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
