package approvals

import "time"

// approvedSince reports whether a decision has been given since a time, and not used.
func approvedSince(s *Session, t time.Time) bool {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Approved && o.Started.IsZero() && !o.Decided.Before(t) {
			return true
		}
	}
	return false
}

// refused reports whether a human rejected something.
func refused(s *Session) (string, bool) {
	for i := range s.Operations {
		if o := &s.Operations[i]; o.Decision == Refused {
			return o.Reason, true
		}
	}
	return "", false
}

// filesOutcome is how a script's end counts with what became of its files: a change that was not made is a failure of
// the session, even where the script went on.
func filesOutcome(s *Session, o Outcome) Outcome {
	if o.Status != Done && o.Status != Failed && o.Status != Rejected || o.Status == Failed && o.ExitCode == ExitFault {
		return o
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		switch {
		case op.Decision == Conflicted || op.Decision == Broken || op.Decision == UnknownState && op.File != nil && op.Reason != "":
			return Outcome{Status: Failed, ExitCode: ExitConflict, Reason: (&Conflict{N: op.N, Reason: op.Reason}).Error()}
		case op.File != nil && op.Decision == Refused:
			o = Outcome{Status: Rejected, ExitCode: ExitNotPermitted, Reason: op.Reason}
		case op.File != nil && op.Decision == Denied:
			o = Outcome{Status: Rejected, ExitCode: ExitNotPermitted, Reason: "denied by policy: " + op.Why}
		}
	}
	return o
}

// settle gives every operation that waits a decision that nobody took. One that was approved and never started is
// withdrawn: the session that it was for has ended.
func settle(s *Session, d Decision, now time.Time) {
	for i := range s.Operations {
		o := &s.Operations[i]
		switch {
		case o.Decision == Waiting:
			o.Decision, o.Decided = d, now
		case o.Undecided():
			o.Decision = Withdrawn
		}
	}
}

// finish gives the session its final status.
func finish(s *Session, status Status, exit int, reason string, now time.Time) {
	s.Status, s.Reason, s.Ended, s.Deadline = status, reason, now, time.Time{}
	s.ExitCode, s.GoesOn = &exit, false
}
