package journal

import "time"

// Reopen takes back the approvals of the session that have not been used, that of the rest of its text among them, all that were given before some time, or all where that is
// zero. It reports whether there was one.
func (s *Session) Reopen(why string, before time.Time) (any bool, err error) {
	for i := range s.Operations {
		o := &s.Operations[i]
		if o.Decision != Approved || !o.Started.IsZero() || !before.IsZero() && !o.Decided.Before(before) {
			continue
		}
		if err := o.Apply(Event{What: Reopen, Reason: why}); err != nil {
			return any, err
		}
		any = true
	}
	if r := s.Rest; r != nil && !s.Status.Final() && (any || before.IsZero() || r.At.Before(before)) { // it was given with them, or is as old
		return true, s.Distrust()
	}
	return any, nil
}
