package gate

import (
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// Judge decides on commands; *policy.Judge is one.
type Judge interface {
	Argv(argv []string, c policy.Context) policy.Decision
	Shell(text string, c policy.Context) policy.Decision
}

// Limits bound sessions; 0 means no limit.
type Limits struct {
	Hold                time.Duration // how long a script stays alive while it waits for a human
	Expire              time.Duration // how long a parked session waits
	Operations          int           // in one session
	Output              int64         // bytes of stdout and stderr of one session
	Checkpoint          int64         // bytes that are kept of what a session's files held before
	Sessions            int           // alive at once
	SessionsPerIdentity int           // alive at once
	Queue               time.Duration // how long one that is over these waits for a place; 0 means not at all
	Grant               time.Duration // how long a grant may last
}

// Rules are what a session is judged and bounded by, from its beginning to its end.
type Rules struct {
	Judge  Judge
	Limits Limits
	// NoRehearsals says that nobody may have waiting commands rehearsed.
	NoRehearsals bool
}

// Parking parks a session from now on. It goes on at once where something of it was approved.
func (r *Rules) Parking(s *journal.Session, now time.Time) journal.Event {
	e := journal.Event{What: journal.Park, GoesOn: s.ApprovedNotStarted()}
	if expire := r.Limits.Expire; expire > 0 {
		e.Deadline = now.Add(expire)
	}
	return e
}
