package gate

import "shannot-gateway/approvals/journal"

// filesOutcome is how a script's end counts with what became of its files: a change that was not made is a failure of
// the session, even where the script went on.
func filesOutcome(s *journal.Session, o Outcome) Outcome {
	if o.Status != journal.StatusDone && o.Status != journal.StatusFailed && o.Status != journal.StatusRejected || o.Status == journal.StatusFailed && o.ExitCode == journal.ExitFault {
		return o
	}
	for i := range s.Operations {
		op := &s.Operations[i]
		switch {
		case op.Decision == journal.Conflicted || op.Decision == journal.Failed || op.Decision == journal.Unknown && op.File != nil && op.Reason != "":
			return Outcome{Status: journal.StatusFailed, ExitCode: journal.ExitConflict, Reason: (&journal.ConflictError{N: op.N, Reason: op.Reason, Unknown: op.Decision == journal.Unknown}).Error()}
		case op.File != nil && op.Decision == journal.Rejected:
			o = Outcome{Status: journal.StatusRejected, ExitCode: journal.ExitNotPermitted, Reason: op.Reason}
		case op.File != nil && op.Decision == journal.Denied:
			o = Outcome{Status: journal.StatusRejected, ExitCode: journal.ExitNotPermitted, Reason: "denied by policy: " + op.Why}
		}
	}
	return o
}
