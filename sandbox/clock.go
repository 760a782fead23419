package sandbox

import "time"

// Clock counts the time that Limits.Wall bounds. It stands still while everything of a run waits for a human: an
// operation is held, no command of the run runs, and the script itself does nothing. Where a script goes on beside an
// operation that is held, its clock goes on too, however many operations it asks for.
type Clock struct {
	last    time.Time
	elapsed time.Duration
}

// NewClock makes a clock that starts now.
func NewClock(now time.Time) *Clock { return &Clock{last: now} }

// Tick counts the time since the last look, unless all of the run waited for a human then. It returns the time counted so
// far.
func (c *Clock) Tick(now time.Time, waited bool) time.Duration {
	if !waited {
		c.elapsed += now.Sub(c.last)
	}
	c.last = now
	return c.elapsed
}
