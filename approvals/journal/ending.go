package journal

import (
	"time"
)

// EndEvent is the end of a session.
func EndEvent(status Status, exit int, reason string, now time.Time) Event {
	return Event{What: End, At: now, Reason: reason, End: &Ending{Status: status, ExitCode: exit}}
}

// ReleaseDecided lets a script that is held run on where nothing of it waits any more.
func ReleaseDecided(s *Session) error {
	if s.Status != StatusHeld || s.Waits() {
		return nil
	}
	return s.Apply(Event{What: Release})
}

// Rejection is the reason of the first operation that a human rejected, and whether there is one.
func (s *Session) Rejection() (string, bool) {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Rejected {
			return o.Reason, true
		}
	}
	return "", false
}
