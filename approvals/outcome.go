package approvals

import (
	"errors"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/targets"
)

// rejection reports whether a human rejected something.
func rejection(s *Session) (string, bool) {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Rejected {
			return o.Reason, true
		}
	}
	return "", false
}

// filesOutcome is how a script's end counts with what became of its files: a change that was not made is a failure of
// the session, even where the script went on.
func filesOutcome(s *Session, o Outcome) Outcome {
	if o.Status != StatusDone && o.Status != StatusFailed && o.Status != StatusRejected || o.Status == StatusFailed && o.ExitCode == ExitFault {
		return o
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		switch {
		case op.Decision == Conflicted || op.Decision == Failed || op.Decision == Unknown && op.File != nil && op.Reason != "":
			return Outcome{Status: StatusFailed, ExitCode: ExitConflict, Reason: (&Conflict{N: op.N, Reason: op.Reason}).Error()}
		case op.File != nil && op.Decision == Rejected:
			o = Outcome{Status: StatusRejected, ExitCode: ExitNotPermitted, Reason: op.Reason}
		case op.File != nil && op.Decision == Denied:
			o = Outcome{Status: StatusRejected, ExitCode: ExitNotPermitted, Reason: "denied by policy: " + op.Why}
		}
	}
	return o
}

// ending ends a session.
func ending(status Status, exit int, reason string, now time.Time) journal.Event {
	return journal.Event{What: journal.End, At: now, Reason: reason, End: &journal.Ending{Status: status, ExitCode: exit}}
}

// release lets a script that is held run on where nothing of it waits any more.
func release(s *Session) error {
	if s.Status != StatusHeld || s.Waits() {
		return nil
	}
	return s.Apply(journal.Event{What: journal.Release})
}

// errNotKnown says of a change that nobody can tell whether it was made.
var errNotKnown = errors.New("whether it was made is not known")

// outcomeOf is how a change ended.
func outcomeOf(failed error, now time.Time) journal.Event {
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
