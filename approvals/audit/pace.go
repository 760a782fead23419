package audit

import (
	"context"
	"sync"
	"time"
)

// How fast an identity reads files over SFTP and with scp: so many lines of the log at once, and then so many a second.
// What comes faster waits, and the log has it all the same.
const (
	readBurst = 1000
	readRate  = 50 // a second
)

// pace is a token bucket whose takers wait.
type pace struct {
	mu   sync.Mutex
	left float64 // below 0 are those who wait
	at   time.Time
}

// reserve takes n places and says how long to wait before they are used.
func (p *pace) reserve(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at.IsZero() {
		p.left = readBurst
	} else {
		p.left = min(readBurst, p.left+max(0, now.Sub(p.at).Seconds())*readRate)
	}
	p.at = now
	p.left -= float64(n)
	return time.Duration(max(0, -p.left) / readRate * float64(time.Second))
}

// sleep waits, or returns why ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
