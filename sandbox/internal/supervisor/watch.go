//go:build linux && (amd64 || arm64)

package supervisor

import (
	"context"
	"time"

	"shannot-gateway/sandbox"
)

// Watch keeps the limits that the kernel does not: elapsed time without the time in which all waits for a human, and what
// the view holds; and processor time and memory of all interpreters together. All fields are needed.
type Watch struct {
	Limits   sandbox.Limits
	Now      func() time.Time
	Throttle *Throttle // whose ticks begin here
	// Held counts the bytes that the view holds. That takes longer the more files there are: it is done so seldom that it
	// takes no more than a twentieth of a processor.
	Held func() int64
	// Used is the processor time and the memory in bytes that were used so far. held is what Held said last.
	Used func(held int64) (cpu time.Duration, memory int64)
	// Waits reports whether all waits for a human. used is the processor time since the last tick.
	Waits func(used time.Duration) bool
	// Exceeded hears of a limit that the run is over. It must end ctx of Until.
	Exceeded func(error)
}

// Until watches until stop is closed or ctx has ended.
func (w *Watch) Until(ctx context.Context, stop <-chan struct{}) {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	clock, before := sandbox.NewClock(w.Now()), time.Duration(0)
	count := counter{count: w.Held, now: w.Now}
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := w.Now()
		held := count.value(now)
		w.Throttle.NextTick(w.Limits.Calls)
		cpu, memory := w.Used(held)
		elapsed := clock.Tick(now, w.Waits(cpu-before))
		before = cpu
		if e := (Usage{Elapsed: elapsed, CPU: cpu, Memory: memory, Held: held}).Over(w.Limits); e != nil {
			w.Exceeded(e)
		}
	}
}

// counter counts what takes long to count, seldom.
type counter struct {
	count func() int64
	now   func() time.Time
	last  int64
	due   time.Time
}

func (c *counter) value(now time.Time) int64 {
	if now.Before(c.due) {
		return c.last
	}
	c.last = c.count()
	c.due = now.Add(20 * c.now().Sub(now))
	return c.last
}
