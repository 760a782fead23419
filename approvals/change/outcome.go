package change

import (
	"errors"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// errNotKnown says of a change that nobody can tell whether it was made.
var errNotKnown = errors.New("whether it was made is not known")

// Outcome is how a change ended.
func Outcome(failed error, now time.Time) journal.Event {
	if failed == nil {
		return journal.Event{What: journal.Finish, At: now}
	}
	e := journal.Event{What: journal.Fail, At: now, Reason: render.Line(failed.Error()).String()}
	switch {
	case errors.Is(failed, targets.ErrConflict):
		e.What = journal.Conflict
	case errors.Is(failed, errNotKnown):
		e.What = journal.Lose
	}
	return e
}
